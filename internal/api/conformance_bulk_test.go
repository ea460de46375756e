package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/bulk"
	"invited/internal/database"
	"invited/internal/store"
	"invited/internal/storetest"
)

const bulks = base + "bulk/"

// bulkAt returns the path of a bulk invitation, or of something below it.
func bulkAt(id string, below ...string) string {
	path := bulks + id + "/"
	if len(below) > 0 {
		path += below[0] + "/"
	}
	return path
}

// sendTable sends a table as a bulk invitation.
func (e *env) sendTable(user, query, table string) response {
	e.t.Helper()
	return e.sendAs("text/csv", user, query, table)
}

func (e *env) sendAs(contentType, user, query, body string) response {
	e.t.Helper()
	r := e.newRequest("POST", bulks+"?"+query, user, body)
	r.Header.Set("Content-Type", contentType)
	return e.send(r)
}

// runBulk does the rows of a bulk invitation.
func (e *env) runBulk(id uuid.UUID) {
	e.t.Helper()
	service := &bulk.Service{Store: e.db.Bulk(), Invitations: e.service}
	for more := true; more; {
		var err error
		more, err = service.Run(e.context(), bulk.Job{Bulk: id}, func() bool { return false })
		require.NoError(e.t, err)
	}
}

// report decodes the results of a bulk invitation that was done at once.
func (r response) report() (report server.BulkInvitationReport) {
	r.t.Helper()
	r.is(http.StatusOK, "").decode(&report)
	return report
}

// shortResult returns a result as one text: line, e-mail, result, and messages by field.
func shortResult(r server.BulkInvitationResult) string {
	line := "-"
	if r.Line != nil {
		line = fmt.Sprint(*r.Line)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s %s", r.Index, line, r.Email, r.Result, strings.TrimPrefix(strings.TrimSpace(toJSON(r.Errors)), "{}")))
}

func shortResults(results []server.BulkInvitationResult) []string {
	all := []string{}
	for _, each := range results {
		all = append(all, shortResult(each))
	}
	return all
}

// A row with each result, in both forms. What a dry run says comes true.
func TestBulkInvitationOfAFewRows(t *testing.T) {
	onEachEngine(t, func(e *env) {
		open := e.create("owner", "open@example.org", admin, apollo).UUID
		rows := []map[string]any{
			{"email": "new@example.org", "full_name": "New Person", "phone_number": "+372 555 0100"},
			{"email": "Open@Example.org"},
			{"email": "NEW@example.org"},
			{"email": "manager@acme.example", "role": "PROJECT.MANAGER"},
			{"email": "not an address", "scope": scopeURL(hydra), "role": "No such role"},
			{"email": "reader@acme.example", "role": manager, "scope": acme},
			{"email": "other@example.org", "role": "CUSTOMER.READER", "scope": scopeURL(acme)},
			{"email": "by-uuid@example.org", "role": admin, "scope": apollo},
		}
		defaults := map[string]any{"role": "PROJECT.ADMIN", "scope": scopeURL(apollo)}
		table := "E-MAIL IS BELOW;Full_Name;email;phone_number;ROLE;scope\r\n"
		for _, row := range rows {
			cell := func(name string) string {
				text, _ := row[name].(string)
				return text
			}
			table += "x;" + cell("full_name") + ";" + cell("email") + ";'" + cell("phone_number") + ";" + cell("role") + ";" + cell("scope") + "\r\n"
		}
		table = strings.ReplaceAll(table, ";';", ";;")
		want := func(isTable bool) []string {
			all := []string{
				`new@example.org created`,
				`Open@Example.org duplicate {"email":["` + msgDuplicate + `"]}`,
				`NEW@example.org duplicate {"email":["` + msgDuplicate + `"]}`,
				`manager@acme.example member {"email":["User has already the same role in this scope."]}`,
				`not an address invalid {"email":["` + msgBadEmail + `"],"role":["Object with name=No such role does not exist."],"scope":["Can't restore object from url: ` + scopeURL(hydra) + `"]}`,
				`reader@acme.example invalid {"non_field_errors":["` + msgRole + `"]}`,
				`other@example.org created`,
				`by-uuid@example.org created`,
			}
			for i := range all {
				all[i] = fmt.Sprintf("%d %s %s", i, either(isTable, fmt.Sprint(i+2), "-"), all[i])
			}
			return all
		}
		counts := server.BulkInvitationCounts{Created: 3, Duplicate: 2, Member: 1, Invalid: 2}
		body := toJSON(map[string]any{"rows": rows, "defaults": defaults})
		query := "role=PROJECT.ADMIN&scope=" + scopeURL(apollo)

		nothing := e.expectNoChange()
		for _, dry := range []response{
			e.request("POST", bulks+"?dry_run=true", "owner", body), e.sendTable("owner", "dry_run=true&"+query, table),
		} {
			report := dry.report()
			require.True(e.t, report.DryRun)
			require.Equal(e.t, want(report.Results[0].Line != nil), shortResults(report.Results))
			require.Equal(e.t, counts, report.Counts)
			require.Nil(e.t, report.Results[0].UUID)
			require.Equal(e.t, open, *report.Results[1].UUID)
		}
		nothing()
		for _, isTable := range []bool{false, true} {
			answer := either(isTable, func() response { return e.sendTable("owner", query, table) },
				func() response { return e.request("POST", bulks, "owner", body) })()
			report := answer.report()
			require.False(e.t, report.DryRun)
			require.Equal(e.t, want(isTable), shortResults(report.Results))
			require.Equal(e.t, counts, report.Counts)
			require.Equal(e.t, len(rows), report.Total)
			require.Equal(e.t, *report.Results[0].UUID, *report.Results[2].UUID)
			made := e.retrieve(*report.Results[0].UUID)
			require.Equal(e.t, "New Person", *made.FullName)
			require.Equal(e.t, "+372 555 0100", *made.PhoneNumber)
			require.Equal(e.t, "PROJECT.ADMIN", made.RoleName)
			require.Equal(e.t, "owner", made.CreatedByUsername)
			require.Len(e.t, e.deliveryJobs(made.UUID), 1)

			again := e.request("POST", bulks+"?on_duplicate=send", "owner", body).report()
			require.Equal(e.t, server.BulkInvitationResultCode("sent"), again.Results[0].Result)
			require.Equal(e.t, made.UUID, *again.Results[0].UUID)
			require.Equal(e.t, server.BulkInvitationCounts{Sent: 4, Duplicate: 1, Member: 1, Invalid: 2}, again.Counts)
			for _, each := range report.Results {
				if each.Result == "created" {
					e.do("staff", *each.UUID, "delete").is(http.StatusOK, "")
				}
			}
		}
		e.request("POST", bulks, "reader", "no rows are read").is(http.StatusForbidden, detailBody("You do not have permission to perform this action."))
		_, list := e.list("owner", "")
		require.Equal(e.t, "1", list.Header.Get("X-Result-Count"))
		require.Equal(e.t, "0", e.request("HEAD", bulks, "owner", nil).Header.Get("X-Result-Count"))
	})
}

// Many rows are done in the background, and can be followed, filtered, corrected and sent again.
func TestBulkInvitationInTheBackground(t *testing.T) {
	onEachEngine(t, func(e *env) {
		table := "email,full_name,role,scope\n"
		for i := range 101 {
			switch i {
			case 7:
				table += "=cmd|' /C calc'!A0,\"Evil; \"\"=1+1\"\"\",PROJECT.ADMIN," + scopeURL(apollo) + "\n"
			case 50:
				table += "guest50@example.org," + strings.Repeat("x", 101) + ",PROJECT.ADMIN," + scopeURL(apollo) + "\n"
			default:
				table += fmt.Sprintf("guest%d@example.org,Guest,PROJECT.ADMIN,%s\n", i, scopeURL(apollo))
			}
		}
		answer := e.sendTable("owner", "", table).is(http.StatusAccepted, "")
		var taken server.BulkInvitation
		answer.decode(&taken)
		id := taken.UUID.String()
		require.Equal(e.t, "https://api.example"+bulkAt(id), answer.Header.Get("Location"))
		require.Equal(e.t, "https://api.example"+bulkAt(id), taken.URL)
		require.Equal(e.t, "queued", string(taken.State))
		require.Equal(e.t, []int{101, 0}, []int{taken.Total, taken.Done})
		_, list := e.list("owner", "")
		require.Equal(e.t, "0", list.Header.Get("X-Result-Count"))
		e.retrieveBulk("owner", id, "").is(http.StatusOK, "")

		e.runBulk(taken.UUID)
		var done server.BulkInvitationDetails
		page := e.retrieveBulk("owner", id, "page_size=100").is(http.StatusOK, "")
		page.decode(&done)
		require.Equal(e.t, "done", string(done.State))
		require.Equal(e.t, 101, done.Done)
		require.NotNil(e.t, done.Finished)
		require.Equal(e.t, "Olivia Owner", done.CreatedByFullName)
		require.Equal(e.t, server.BulkInvitationCounts{Created: 99, Invalid: 2}, done.Counts)
		require.Len(e.t, done.Results, 100)
		require.Equal(e.t, "101", page.Header.Get("X-Result-Count"))
		require.Contains(e.t, page.Header.Get("Link"), `<https://api.example`+bulkAt(id)+`?page=2&page_size=100>; rel="next"`)
		e.retrieveBulk("owner", id, "page=2&page_size=100").is(http.StatusOK, "").decode(&done)
		require.Equal(e.t, []string{"100 102 guest100@example.org created"}, shortResults(done.Results))
		e.retrieveBulk("owner", id, "page=3&page_size=100").is(http.StatusNotFound, detailBody("Invalid page."))

		invalid := e.retrieveBulk("owner", id, "result=invalid,refused&page_size=1").is(http.StatusOK, "")
		invalid.decode(&done)
		require.Equal(e.t, []string{`7 9 =cmd|' /C calc'!A0 invalid {"email":["` + msgBadEmail + `"]}`}, shortResults(done.Results))
		require.Equal(e.t, "2", invalid.Header.Get("X-Result-Count"))
		require.Contains(e.t, invalid.Header.Get("Link"), `?page=2&page_size=1&result=invalid,refused>; rel="next"`)
		e.retrieveBulk("owner", id, "result=x").is(http.StatusBadRequest, "")

		file := e.table("owner", id, "result=invalid").is(http.StatusOK, "")
		require.Equal(e.t, "text/csv; charset=utf-8", file.Header.Get("Content-Type"))
		require.Equal(e.t, `attachment; filename="invitations-`+id+`.csv"`, file.Header.Get("Content-Disposition"))
		require.Equal(e.t, "nosniff", file.Header.Get("X-Content-Type-Options"))
		require.Equal(e.t, "no-store", file.Header.Get("Cache-Control"))
		require.Equal(e.t, "\ufeffemail,full_name,role,scope,result,reason,uuid,line\n"+
			"'=cmd|' /C calc'!A0,\"Evil; \"\"=1+1\"\"\",PROJECT.ADMIN,"+scopeURL(apollo)+",invalid,email: "+msgBadEmail+",,9\n"+
			"guest50@example.org,"+strings.Repeat("x", 101)+",PROJECT.ADMIN,"+scopeURL(apollo)+
			",invalid,full_name: Ensure this field has no more than 100 characters.,,52\n", file.Body)
		corrected := strings.NewReplacer("'=cmd|' /C calc'!A0", "guest7@example.org", strings.Repeat("x", 101), "Guest").Replace(file.Body)
		require.Equal(e.t, []string{"0 2 guest7@example.org created", "1 3 guest50@example.org created"},
			shortResults(e.sendTable("owner", "", corrected).report().Results))
		again := e.sendTable("owner", "dry_run=true", e.table("owner", id, "").Body).report()
		require.Equal(e.t, server.BulkInvitationCounts{Duplicate: 99, Invalid: 2}, again.Counts)

		e.request("POST", bulkAt(id, "cancel"), "owner", nil).
			is(http.StatusBadRequest, ruleError("Only a queued or running bulk invitation can be canceled."))
	})
}

func (e *env) retrieveBulk(user, id, query string) response {
	e.t.Helper()
	return e.request("GET", bulkAt(id)+"?"+query, user, nil)
}

func (e *env) table(user, id, query string) response {
	e.t.Helper()
	return e.request("GET", bulkAt(id, "csv")+"?"+query, user, nil)
}

// submit101 sends 101 rows, of which the last is not valid.
func (e *env) submit101(user string) server.BulkInvitation {
	e.t.Helper()
	rows := make([]any, 101)
	for i := range rows {
		rows[i] = map[string]any{"email": fmt.Sprintf("guest%d@example.org", i)}
	}
	rows[100] = map[string]any{"email": 7}
	var taken server.BulkInvitation
	e.request("POST", bulks, user, map[string]any{"rows": rows, "defaults": map[string]any{"role": admin, "scope": scopeURL(apollo)}}).
		is(http.StatusAccepted, "").decode(&taken)
	return taken
}

// A bulk invitation is its creator's and staff's: to anybody else it does not exist.
func TestWhoseBulkInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(deputies)
		own := e.submit101("owner").UUID.String()
		other := e.submit101("manager").UUID.String()
		for _, p := range personas() {
			sees := p.name == "owner" || p.name == "staff"
			status := either(!p.known(), http.StatusUnauthorized, either(sees, http.StatusOK, http.StatusNotFound))
			for _, answer := range []response{
				e.retrieveBulk(p.name, own, ""), e.retrieveBulk(p.name, own, "page=2"), e.table(p.name, own, "result=created"),
			} {
				require.Equal(e.t, either(sees && strings.Contains(answer.Body, "Invalid page"), http.StatusNotFound, status), answer.Status, "%s: %s", p.name, answer.Body)
			}
			if !sees {
				e.request("POST", bulkAt(own, "cancel"), p.name, nil).is(status, "")
			}
			list := e.request("GET", bulks, p.name, nil)
			counted := e.request("HEAD", bulks, p.name, nil)
			require.Equal(e.t, list.Header.Get("X-Result-Count"), counted.Header.Get("X-Result-Count"))
			require.Equal(e.t, either(p.known(), http.StatusOK, http.StatusUnauthorized), list.Status)
			require.Equal(e.t, sees, strings.Contains(list.Body, own), p.name)
			require.Equal(e.t, p.name == "manager" || p.name == "staff", strings.Contains(list.Body, other), p.name)
		}
		for _, path := range []string{bulkAt(uuid.NewString()), bulkAt("x"), bulkAt(uuid.NewString(), "csv"), bulkAt("x", "csv")} {
			e.request("GET", path, "staff", nil).is(http.StatusNotFound, notFound)
		}
		e.request("POST", bulkAt(own, "cancel"), "staff", nil).is(http.StatusOK, detailBody("Bulk invitation has been canceled."))
		e.request("POST", bulkAt(other, "cancel"), "manager", nil).is(http.StatusOK, "")
		e.runBulk(uuid.MustParse(own))
		var stopped server.BulkInvitationDetails
		e.retrieveBulk("owner", own, "result=canceled&page_size=2").is(http.StatusOK, "").decode(&stopped)
		require.Equal(e.t, "canceled", string(stopped.State))
		require.Equal(e.t, server.BulkInvitationCounts{Canceled: 101}, stopped.Counts)
		require.Equal(e.t, []string{"0 - guest0@example.org canceled", "1 - guest1@example.org canceled"}, shortResults(stopped.Results))
		e.deleteOwner()
		e.retrieveBulk("staff", own, "").is(http.StatusOK, "").decode(&stopped)
		require.Empty(e.t, stopped.CreatedByUsername)
		require.Empty(e.t, stopped.CreatedByFullName)
	})
}

// Clients of one user that send large bodies slowly keep no other user out, nor does anybody who may invite nowhere.
func TestSlowBulkInvitations(t *testing.T) {
	onEachEngine(t, func(e *env) {
		slow := func(user string) *bufio.Reader {
			address, err := url.Parse(e.server.URL)
			require.NoError(e.t, err)
			conn, err := net.Dial("tcp", address.Host)
			require.NoError(e.t, err)
			e.t.Cleanup(func() { _ = conn.Close() })
			require.NoError(e.t, conn.SetDeadline(time.Now().Add(time.Minute)))
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nExpect: 100-continue\r\n"+
				"Authorization: Token %s-key\r\nContent-Length: %d\r\n\r\n", bulks, user, 8<<20)
			require.NoError(e.t, err)
			return bufio.NewReader(conn)
		}
		status := func(r *bufio.Reader) string {
			line, err := r.ReadString('\n')
			require.NoError(e.t, err)
			return strings.TrimSpace(line)
		}
		began := time.Now()
		require.Equal(e.t, "HTTP/1.1 403 Forbidden", status(slow("reader")))
		first := slow("owner")
		require.Equal(e.t, "HTTP/1.1 100 Continue", status(first), "its body has its room")
		require.Equal(e.t, "HTTP/1.1 429 Too Many Requests", status(slow("owner")))
		table := "email,role,scope\n" + strings.Repeat("guest@example.org,PROJECT.ADMIN,"+scopeURL(apollo)+"\n", 1_000)
		require.Len(e.t, e.sendTable("manager", "dry_run=true", table).report().Results, 1_000)
		require.Equal(e.t, "5", e.sendTable("owner", "", table).is(http.StatusTooManyRequests, "").Header.Get("Retry-After"))
		few := table[:strings.Index(table, "\n")+1] + "few@example.org,PROJECT.ADMIN," + scopeURL(apollo) + "\n"
		require.Len(e.t, e.sendTable("owner", "", few).report().Results, 1, "a small body needs no room")
		require.Less(e.t, time.Since(began), 4*time.Second, "less than a request waits for memory")
	})
}

// A row of a bulk invitation gets the messages that a request to create one invitation gets for the same values, to the
// letter, in whatever number and order.
func TestBulkInvitationSaysWhatCreateSays(t *testing.T) {
	onEachEngine(t, func(e *env) {
		texts := func(length int) []any {
			return []any{
				strings.Repeat("ü", length), strings.Repeat("ü", length+1), strings.Repeat("\U0001f600", length+1), "a\x00b", "a\x1fb", "a\x7fb", "a\u0085b",
				"a\tb", "a\nb", "a\r\nb", " \u00a0x\u200b", "a\u200bb", strings.Repeat("\x01", length+1), 7, 1.5, 1e30, true, nil,
				[]any{},
				map[string]any{"a": 1},
				"", " ",
			}
		}
		times := []any{
			"2026-12-24", "2026-12-24T09:30:00Z", "2026-12-24T09:30:00+02:00", "2026-12-24T09:30:00.123456789Z", "2026-11-23T09:30:00Z",
			"2020-01-01T00:00:00Z", "9999-12-31T23:59:59-10:00", "24.12.2026", 7, true,
			[]any{},
			map[string]any{},
			"2026-13-24T09:30:00Z",
		}
		values := map[string][]any{
			"email": append(texts(254), "a", "a@b", "a@b.example\x00", strings.Repeat("a", 65)+"@b.example", "Üa@b.example", "a@ü.example",
				strings.Repeat("a", 60)+"@"+strings.Repeat("b.", 95)+"ex", strings.Repeat("a", 60)+"@"+strings.Repeat("b.", 120)+"example"),
			"scope": append(texts(2000), scopeURL(hydra), scopeURL(dropped), scopeURL(gone), scopeURL(acme), scopeURL(nodes), "/api/projects/x/", "http://[/",
				"ftp://x/api/projects/"+apollo+"/", strings.ReplaceAll(scopeURL(apollo), apollo, uuid.NewString())),
			"role":      append(texts(20), strings.Repeat("x", 256), uuid.NewString(), "x", reader, retired, strings.ReplaceAll(admin, "-", ""), "{"+admin+"}"),
			"full_name": texts(100), "native_name": texts(100), "phone_number": texts(255), "organization": texts(100), "job_title": texts(120),
			"civil_number": append(texts(50), "12 34"), "extra_invitation_text": append(texts(2000), "a\vb"),
			"expires": times, "membership_expires": times,
		}
		var bodies []map[string]any
		for field, all := range values {
			for _, other := range []map[string]any{{}, {"email": "x", "civil_number": "1 2"}, {"scope": "x", "role": uuid.NewString()}} {
				for _, value := range all {
					body := draft(fmt.Sprintf("guest%d@example.org", len(bodies)), admin, apollo)
					for name, each := range other {
						body[name] = each
					}
					body[field] = value
					bodies = append(bodies, body)
				}
				missing := draft(fmt.Sprintf("guest%d@example.org", len(bodies)), admin, apollo)
				for name, each := range other {
					missing[name] = each
				}
				delete(missing, field)
				bodies = append(bodies, missing)
			}
		}
		report := e.request("POST", bulks+"?dry_run=true", "owner", map[string]any{"rows": bodies}).report()
		require.Len(e.t, report.Results, len(bodies))
		different := 0
		for i, body := range bodies {
			r := report.Results[i]
			answer := e.request("POST", base, "owner", body)
			if answer.Status == http.StatusCreated {
				require.Contains(e.t, []server.BulkInvitationResultCode{"created", "duplicate"}, r.Result, toJSON(body)) // of an earlier row
				e.do("staff", answer.invitation().UUID, "delete").is(http.StatusOK, "")
				continue
			}
			var want map[string][]string
			answer.is(http.StatusBadRequest, "").decode(&want)
			got := map[string][]string(r.Errors)
			if messages := got["role"]; len(messages) == 1 { // a row can have the name of a role
				messages[0] = strings.Replace(messages[0], "Object with name=", "Object with uuid=", 1)
			}
			if !equalMessages(want, got) {
				different++
				e.t.Errorf("%s\ncreate: %sbulk: %s %s", truncateText(toJSON(body)), truncateText(toJSON(want)), r.Result, truncateText(toJSON(got)))
			}
			require.Less(e.t, different, 5)
		}
		require.Greater(e.t, report.Counts.Invalid, 400)
	})
}

func truncateText(text string) string { return text[:min(len(text), 300)] }

func equalMessages(want, got map[string][]string) bool {
	w, _ := json.Marshal(want)
	g, _ := json.Marshal(got)
	return string(w) == string(g)
}

// What can't be read as rows is refused as a whole, with the reason, and nothing is written.
func TestBulkInvitationRefusesWhatIsNoRows(t *testing.T) {
	onEachEngine(t, func(e *env) {
		nothing := e.expectNoChange()
		fields := func(message string) string { return fieldError("non_field_errors", message) }
		const head = "email,role\na@example.org,x\n"
		for _, each := range []struct {
			contentType, body string
			status            int
			want              string
		}{
			{"text/csv", "", 400, fields("The table is empty: it needs a line with the names of the columns, and a line for each person.")},
			{"text/csv", "email,role\n", 400, fields("The table has no rows below the names of the columns.")},
			{"text/csv; charset=utf-8", head + "b@x\x00y,B\n", 400, fields("Line 3: there is a NUL character. Save the table as CSV in UTF-8.")},
			{"text/csv", head + "\"b@example.org,B\n", 400, fields("Line 3: the quote that begins here does not end.")},
			{"text/csv", "email\n" + strings.Repeat("a@example.org\n", 10_001), 400, fields("Line 10002: this is row 10001; a table has at most 10000.")},
			{"text/csv", head + "b@example.org," + strings.Repeat("x", 1<<20), 400, fields(`Line 3: column "role" has more than 10000 characters.`)},
			{"text/csv", "email,role,Role\n", 400, fields(`Line 1: two columns have the name "role".`)},
			{"text/csv", "Name;Mail\nA;a@example.org\n", 400, fields(`Line 1: no column has the name "email". The names found are "name", "mail".`)},
			{"text/csv", "PK\x03\x04\x14\x00", 400, fields("This is the file of a spreadsheet program. Save the table as CSV, and send that.")},
			{"text/csv; charset=koi8-r", head, 400, fields(`There is no reading the character set "koi8-r". Save the table as CSV in UTF-8.`)},
			{"text/csv", strings.Repeat("x", 8<<20+1), 413, detailBody("Request body is larger than 8 MiB.")},
			{
				"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK\x03\x04", 415,
				detailBody("This is the file of a spreadsheet program. Save the table as CSV, and send that as text/csv."),
			},
			{"application/vnd.ms-excel", head, 415, detailBody("This is the file of a spreadsheet program. Save the table as CSV, and send that as text/csv.")},
			{"text/plain", head, 415, detailBody(`Unsupported media type "text/plain" in request.`)},
			{"application/x-www-form-urlencoded", head, 415, detailBody(`Unsupported media type "application/x-www-form-urlencoded" in request.`)},
			{"", head, 415, detailBody(`Unsupported media type "" in request.`)},
			{"text/csv;;", head, 415, detailBody(`Unsupported media type "text/csv;;" in request.`)},
			{"application/json; charset=latin1", `{"rows": [{}]}`, 415, ""},
			{"application/json", "", 400, fieldError("rows", msgRequired)},
			{"application/json", head, 400, ""},
			{"application/json", `{"dry_run": true, "rows": [{"email": "a@example.org"}]}`, 400, fieldError("dry_run", "Send this as a query parameter: ?dry_run=true.")},
			{"application/json", `{"rows": []}`, 400, fieldError("rows", "This list may not be empty.")},
			{"application/json", `{"rows": [{"email": "a", "email": "b"}]}`, 400, fields("JSON parse error - duplicate object member name at /rows/0/email.")},
			{"application/json", `{"rows": [` + strings.Repeat("{},", 10_000) + `{}]}`, 400, fieldError("rows", "Ensure this field has no more than 10000 elements.")},
			{"application/json", `{"rows": ` + strings.Repeat("[", 8<<20-10), 400, ""},
			{"application/json", `{"rows": [{}]}` + strings.Repeat(" ", 8<<20), 413, detailBody("Request body is larger than 8 MiB.")},
		} {
			answer := e.sendAs(each.contentType, "owner", "", each.body)
			require.Equal(e.t, each.status, answer.Status, "%s %.60q: %s", each.contentType, each.body, answer.Body)
			if each.want != "" {
				answer.is(each.status, each.want)
			}
		}
		for query, field := range map[string]string{"dry_run=maybe": "dry_run", "on_duplicate=x": "on_duplicate", "role=" + strings.Repeat("x", 256): "role"} {
			require.Equal(e.t, []string{field}, e.sendTable("owner", query, head).invalidFields())
		}
		e.sendTable("", "", head).is(http.StatusUnauthorized, "")
		nothing()
	})
}

// The table of results goes to who accepts tables.
func TestBulkInvitationTableIsAccepted(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.submit101("owner").UUID.String()
		for accept, status := range map[string]int{
			"": 200, "*/*": 200, "text/csv": 200, "text/*": 200, "application/json": 406, "text/csv;q=0": 406,
			"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": 200,
		} {
			r := e.newRequest("GET", bulkAt(id, "csv"), "owner", nil)
			r.Header.Set("Accept", accept)
			require.Equal(e.t, status, e.send(r).Status, accept)
		}
		require.Equal(e.t, 406, func() int {
			r := e.newRequest("GET", bulkAt(id), "owner", nil)
			r.Header.Set("Accept", "text/csv")
			return e.send(r).Status
		}())
	})
}

// An Idempotency-Key is for the same table: another one with the key is refused, and no key is used up by what can't be read.
func TestBulkInvitationWithAKey(t *testing.T) {
	onEachEngine(t, func(e *env) {
		sendAs := func(contentType, table string) response {
			r := e.newRequest("POST", bulks, "owner", table)
			r.Header.Set("Content-Type", contentType)
			return e.sendKeyed(`"a-key"`, r)
		}
		send := func(table string) response { return sendAs("text/csv; charset=utf-8", table) }
		table := "email,role,scope\na@example.org,PROJECT.ADMIN," + scopeURL(apollo) + "\n"
		send("mail\n").is(http.StatusBadRequest, "")
		first := send(table)
		require.Equal(e.t, 1, first.report().Counts.Created)
		again := send(table)
		require.Equal(e.t, "true", again.Header.Get("Idempotent-Replayed"))
		require.Equal(e.t, first.Body, again.Body)
		require.Equal(e.t, http.StatusUnprocessableEntity, send(strings.ReplaceAll(table, "a@", "b@")).Status)
		sendAs("Text/CSV;charset=UTF-8", table).isReplay(first)
		for _, other := range []string{"text/csv", "text/csv; charset=windows-1252"} {
			sendAs(other, table).is(http.StatusUnprocessableEntity, sameKeyUsed)
		}
		require.Equal(e.t, []string{"a@example.org"}, e.emails("owner", ""))
	})
}

// A dry run is not kept, and uses no key up. Operations without dry runs know no such parameter.
func TestDryRunWithAKey(t *testing.T) {
	onEachEngine(t, func(e *env) {
		rows := map[string]any{"rows": []any{draft("a@example.org", admin, apollo)}}
		to := func(path string, body any) *http.Request { return e.newRequest("POST", path, "owner", body) }
		for _, query := range []string{"?dry_run=true", "?dry_run=true", "?dry_run=true&on_duplicate=send"} {
			answer := e.sendKeyed("k", to(bulks+query, rows))
			require.True(e.t, answer.report().DryRun)
			require.Empty(e.t, answer.Header.Get("Idempotent-Replayed"))
		}
		require.Equal(e.t, "0", e.countRows("idempotency_keys"))
		for _, query := range []string{"?dry_run=false", "?dry_run="} {
			first := e.sendKeyed("k"+query, to(bulks+query, rows))
			require.False(e.t, first.report().DryRun)
			e.sendKeyed("k"+query, to(bulks+query, rows)).isReplay(first)
		}
		single := to(base+"?dry_run=true", draft("b@example.org", admin, apollo))
		first := e.sendKeyed("single", single).is(http.StatusCreated, "")
		e.sendKeyed("single", single).isReplay(first)
		require.Equal(e.t, "3", e.countRows("idempotency_keys"))
	})
}

// An answer that is too large to be kept undoes its request. None of real rows is as large.
func TestLargeAnswerWithAKey(t *testing.T) {
	onEachEngine(t, func(e *env) {
		send := func(row map[string]string) response {
			rows := []any{draft("a@example.org", admin, apollo)}
			for range bulk.DirectRows - 1 {
				rows = append(rows, row)
			}
			return e.sendKeyed("k", e.newRequest("POST", bulks, "owner", map[string]any{"rows": rows}))
		}
		nothing := e.expectNoChange()
		send(map[string]string{"email": strings.Repeat("x", 11_000)}).is(http.StatusBadRequest,
			fieldError("non_field_errors", "The answer would be too large to be kept for the Idempotency-Key: send less at once. Nothing was changed."))
		nothing()
		first := send(map[string]string{
			"email": strings.Repeat("x", 1000), "role": strings.Repeat("x", 1000), "scope": strings.Repeat("x", 3000),
			"expires": strings.Repeat("x", 1000), "full_name": strings.Repeat("x", 1000), "phone_number": strings.Repeat("x", 1000),
		})
		require.Equal(e.t, 1, first.report().Counts.Created)
		e.t.Logf("%d bytes", len(first.Body))
	})
}

// A hundred rows take as many statements as one, but for one more where a statement has no room for all.
func TestStatementsOfBulkInvitations(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		statements := &storetest.Statements{}
		e := newEnv(t, engine, envConfig{open: func(clock func() time.Time) *store.Store {
			return statements.Open(t, engine.Fresh(t), database.Options{Clock: clock})
		}})
		for _, query := range []string{"dry_run=true", "on_duplicate=skip"} {
			counts := map[int]int{}
			for _, many := range []int{1, 100} {
				rows := make([]any, many)
				for i := range rows {
					rows[i] = draft(fmt.Sprintf("guest.%d.%d@example.org", many, i), member, apollo)
				}
				statements.Take()
				require.Equal(t, many, e.request("POST", bulks+"?"+query, "owner", map[string]any{"rows": rows}).report().Counts.Created)
				counts[many] = len(statements.Take())
			}
			t.Logf("%s: %v", query, counts)
			require.LessOrEqual(t, counts[100], counts[1]+1, query)
			require.Less(t, counts[100], 12, query)
		}
	})
}

// largeBulks has bodies that cost much of the memory: by their size, or by what they have at once.
func largeBulks() []string {
	row := func(n int) string { return `{"email":"` + strings.Repeat("x", n) + `","full_name":"Somebody"},` }
	return []string{
		`{"rows":[` + strings.Repeat(row(20), 9_999) + `{}]}`,
		`{"rows":[` + strings.Repeat(row(750), 9_999) + `{}]}`,
		`{"rows":[` + strings.Repeat("{},", 9_999) + `{}]}`,
		`{"rows":[` + strings.Repeat("{},", 9_999) + `{}],"defaults":{"extra_invitation_text":"` + strings.Repeat("x", 60<<10) + `"}}`,
		`{"rows":[` + strings.Repeat("{},", 9_999) + `{}],"defaults":{"extra_invitation_text":"` + strings.Repeat("x", 2000) + `"}}`,
		`{"rows":` + strings.Repeat("[", 8<<20-8),
		`{"rows":[{"` + strings.Repeat("x", 8<<20-40) + `":1}]}`,
	}
}

// discardAnswer sends a request and returns the status. It does not keep the response, whose memory would be measured.
func discardAnswer(client *http.Client, r *http.Request) (status int, err error) {
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// A dry run of 10,000 rows allocates less than 150 MB, however large the rows are. The test is not parallel, since it counts
// what the process allocates.
func TestLargeBulkInvitationTakesLittleMemory(t *testing.T) { //nolint:paralleltest // as above
	e := newEnv(t, storetest.Engines[0], envConfig{})
	for _, body := range largeBulks() {
		var before, after runtime.MemStats
		r := e.newRequest("POST", bulks+"?dry_run=true", "owner", body)
		runtime.ReadMemStats(&before)
		status, err := discardAnswer(e.server.Client(), r)
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		allocated := (after.TotalAlloc - before.TotalAlloc) / 1e6
		t.Logf("%.60s: %d, %d bytes allocate %d MB", body, status, len(body), allocated)
		require.Less(t, allocated, uint64(150), "%.60s", body)
	}
}

// Many large bodies at once wait for each other, or are refused for now. Without the limits, the 40 would take 3 GB.
func TestManyLargeBulkInvitations(t *testing.T) { //nolint:paralleltest // what the process has allocated is measured
	e := newEnv(t, storetest.Engines[0], envConfig{})
	bodies := largeBulks()
	statuses := make(chan int)
	ended, peak := make(chan struct{}), make(chan uint64)
	go func() {
		sample, most := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}, uint64(0)
		for ticker := time.NewTicker(2 * time.Millisecond); ; {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-ended:
				peak <- most
				return
			case <-ticker.C:
			}
		}
	}()
	for i := range 40 {
		r := e.newRequest("POST", bulks+"?dry_run=true", "owner", bodies[i%len(bodies)])
		go func() {
			status, _ := discardAnswer(e.server.Client(), r)
			statuses <- status
		}()
	}
	count := map[int]int{}
	for range 40 {
		count[<-statuses]++
	}
	close(ended)
	most := <-peak
	t.Logf("statuses %v, and at most %d MiB, garbage included", count, most>>20)
	require.Equal(t, 40, count[200]+count[400]+count[429]+count[503])
	require.NotZero(t, count[200]+count[400], "what is not refused is read to its end")
	require.Less(t, most, uint64(1<<30))
	alone := map[int]int{}
	for _, body := range bodies {
		status, err := discardAnswer(e.server.Client(), e.newRequest("POST", bulks+"?dry_run=true", "owner", body))
		require.NoError(t, err)
		alone[status]++
	}
	require.NotZero(t, alone[200])
	require.Equal(t, len(bodies), alone[200]+alone[400], "whoever was refused is served afterwards: %v", alone)
	e.request("POST", bulks+"?dry_run=true", "owner", map[string]any{"rows": []any{map[string]any{}}}).report()
}
