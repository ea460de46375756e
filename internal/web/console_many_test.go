package web_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"invited/internal/bulk"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

const intoApollo = "/console/bulk/?scope=" + inApollo

// upload sends the form of a table. A file without a name is none, as browsers have it.
func (b *browser) upload(path, name, file string, fields ...string) page {
	b.Helper()
	body, contentType := uploadOf(name, file, fields...)
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, b.server.URL+path, body)
	require.NoError(b, err)
	r.Header = b.header.Clone()
	r.Header.Set("Content-Type", contentType)
	answer, err := b.client.Do(r)
	require.NoError(b, err)
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	require.NoError(b, err)
	require.Empty(b, htmlProblems(string(content)), path)
	return page{answer.StatusCode, answer.Header.Get("Location"), answer.Header, string(content)}
}

func uploadOf(name, file string, fields ...string) (body *bytes.Buffer, contentType string) {
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	part, _ := w.CreateFormFile("file", name)
	_, _ = io.WriteString(part, file)
	for i := 0; i < len(fields); i += 2 {
		_ = w.WriteField(fields[i], fields[i+1])
	}
	_ = w.Close()
	return body, w.FormDataContentType()
}

// paste sends the form of a table with the table itself.
func (b *browser) paste(table string) page {
	b.Helper()
	return b.upload(intoApollo, "", "", "role", "PROJECT.ADMIN", "table", table)
}

// next presses a button of the form with the rows on a page. fields are the button's, and what is typed before.
func (b *browser) next(p page, fields ...string) page {
	b.Helper()
	form := p.form(b)
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.postForm("/console/bulk/", form)
}

// form returns what a browser would send of the form with the rows.
func (p page) form(t testing.TB) url.Values {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(p.body))
	require.NoError(t, err)
	form := url.Values{}
	for n := range tree.Descendants() {
		switch {
		case n.Type != html.ElementNode || attribute(n, "name") == "":
		case n.Data == "input":
			form.Set(attribute(n, "name"), attribute(n, "value"))
		case n.Data == "textarea":
			form.Set(attribute(n, "name"), textOf(n))
		}
	}
	return form
}

// kinds returns the numbers of rows that a page names, by kind.
func (p page) kinds() map[string]string {
	kinds := map[string]string{}
	for _, match := range regexp.MustCompile(`(?:href|value)="[^"]*"[^>]*>([^<>]+) <span class="count">([\d,]+)</span>`).FindAllStringSubmatch(p.body, -1) {
		kinds[match[1]] = match[2]
	}
	return kinds
}

// work does what the queue has to do for bulk invitations.
func (e *env) work() {
	e.Helper()
	for _, row := range storetest.Jobs(e.T, e.db, bulk.Job{}.Kind()) {
		var job bulk.Job
		require.NoError(e, json.Unmarshal(row.EncodedArgs, &job))
		for more := true; more; {
			var err error
			more, err = e.bulk.Run(e.Context(), job, func() bool { return false })
			require.NoError(e, err)
		}
	}
}

// invited returns the number of invitations that Olivia sees.
func (e *env) invited() int {
	e.Helper()
	n, err := e.service.Count(e.Context(), e.user("olivia"), invitation.Query{})
	require.NoError(e, err)
	return n
}

// Olivia pastes a table, corrects what is wrong in it, and sends it. Nothing is typed twice, and nothing is sent before.
func TestTableOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		open := e.invite("open@example.org", apollo)
		b := e.browser()
		require.Equal(e, "/sign-in/?return_to=/console/bulk/", b.get("/console/bulk/").location)
		b.signIn("olivia@acme.example")
		require.Contains(e, b.get("/console/").body, `href="/console/bulk/"`)
		require.Contains(e, b.get("/console/new/?scope="+inApollo).body, `href="/console/bulk/?scope=project%3a`+apollo+`"`)
		start := b.get("/console/bulk/")
		require.Contains(e, start.body, `href="/console/bulk/?scope=`+inApollo+`"`)
		require.Contains(e, start.body, `href="/console/bulk/?scope=rows"`)
		require.NotContains(e, start.body, "Sent before")
		form := b.get(intoApollo)
		require.Contains(e, form.body, `value="PROJECT.ADMIN">System administrator`)

		checked := b.paste("email;full_name;role\r\na@example.org;Ada;\r\nnobody;Nobody;\r\nopen@example.org;;\r\n\r\nA@Example.org;Ada once more;\r\nb@example.org;;NO.SUCH\r\n=c@example.org;;\r\n")
		require.Equal(e, http.StatusOK, checked.status, checked.body)
		require.Equal(e, "2 of 6 can be invited", checked.heading(e))
		require.Equal(e, map[string]string{
			"All rows": "6", "To look at": "4", "Can be invited": "2", "Twice, or invited already": "2", "Has a mistake": "2",
		}, checked.kinds())
		require.Regexp(e, `(?s)name="row-1-email"[^>]*value="nobody" aria-invalid="true" aria-describedby="row-1-email-problem">\n<span class="problem" id="row-1-email-problem">Enter a valid e-mail address.`, checked.body)
		require.Regexp(e, `name="row-4-role"[^>]*value="NO.SUCH" aria-invalid="true"`, checked.body)
		require.Contains(e, checked.body, "line 3")
		require.NotContains(e, checked.body, `name="row-0-email"`)
		require.Contains(e, checked.body, "This address has an open invitation to this role.")
		require.Regexp(e, `Twice in the table</span><span class="hint reason">Line 2 has the same person.`, checked.body)
		require.Contains(e, checked.body, "<title>2 of 6 can be invited – ")
		require.Contains(e, checked.body, "There is no role of this name.")
		require.Equal(e, 1, e.invited(), "nothing was sent")

		all := b.next(checked, "go", "all:1")
		require.Regexp(e, `(?s)a@example.org.*nobody.*open@example.org.*A@Example.org`, all.body, "in the order of the rows")
		saved := b.next(checked, "step", "download")
		require.Equal(e, `attachment; filename="not-invited.csv"`, saved.header.Get("Content-Disposition"))
		require.Contains(e, saved.body, "nobody,Nobody,")
		require.NotContains(e, saved.body, "a@example.org,Ada,")

		corrected := b.next(checked, "step", "check", "row-1-email", " d@example.org ", "row-4-role", "PROJECT.ADMIN")
		require.Equal(e, "4 of 6 can be invited", corrected.heading(e))
		require.Equal(e, 1, e.invited())
		corrected = b.next(corrected, "step", "send", "row-3-email", "e@example.org")
		require.Equal(e, "5 of 6 can be invited", corrected.heading(e), "what was corrected since is checked first")
		require.Contains(e, corrected.text(), "Your corrections are checked. Nothing was sent yet: look at them, and send.")
		require.Equal(e, 1, e.invited())
		sent := b.next(corrected, "step", "send")
		require.Equal(e, "5 of 6 invited", sent.heading(e))
		require.Contains(e, sent.body, "One row is left")
		require.NotContains(e, sent.body, `value="send"`)
		require.Equal(e, 6, e.invited())
		require.Contains(e, sent.body, `name="row-0-email" type="text" autocomplete="off" spellcheck="false" value="open@example.org"`)

		last := b.next(sent, "step", "check", "row-0-email", "f@example.org")
		require.Equal(e, "1 of 1 can be invited", last.heading(e))
		require.Contains(e, last.body, "Send the invitation</button>")
		last = b.next(last, "step", "send")
		require.Equal(e, "1 of 1 invited", last.heading(e))
		require.Contains(e, last.body, "Everybody in the table was invited.")
		require.NotContains(e, last.body, "<table")
		found, err := e.service.List(e.Context(), e.user("olivia"), invitation.Query{Email: "a@example.org"}, 1, 10)
		require.NoError(e, err)
		require.Len(e, found.Invitations, 1)
		require.Equal(e, admin, found.Invitations[0].Role.UUID.String())

		// Who is invited already can get the mail again.
		again := b.upload(intoApollo, "", "", "role", "PROJECT.ADMIN", "again", "yes", "table", "email\nopen@example.org\n")
		require.Equal(e, map[string]string{"All rows": "1", "Can be sent again": "1"}, again.kinds())
		require.Equal(e, "1 of 1 invited", b.next(again, "step", "send").heading(e))
		events, err := e.service.Events(e.Context(), e.user("olivia"), open.UUID, 1, 10)
		require.NoError(e, err)
		require.Greater(e, events.Total, 1)
	})
}

// A table of more than 100 rows is sent in the background: Olivia sees how far it is, leaves, comes back, and corrects the rest.
func TestManyInTheBackground(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var table strings.Builder
		table.WriteString("email,full_name,scope\n")
		for i := range 120 {
			fmt.Fprintf(&table, "guest%d@example.org,\"=cmd|%d\",\n", i, i)
		}
		table.WriteString("nobody,=1+1,\nx@example.org,,nowhere\n")
		b, staff, other := e.browser(), e.browser(), e.browser()
		b.signIn("olivia@acme.example")
		staff.signIn("sam@example.com")
		other.signIn("ina@university.example")
		checked := b.upload(intoApollo, "guests.csv", table.String(), "role", "PROJECT.ADMIN")
		require.Equal(e, "120 of 122 can be invited", checked.heading(e))
		second := b.next(checked, "go", "created:3")
		require.Contains(e, second.body, "101 to 120 of 120")
		require.Contains(e, second.body, `value="created:2">Previous rows`)
		require.Contains(e, b.next(checked, "go", "created:999").body, "101 to 120 of 120")

		sent := b.next(checked, "step", "send")
		require.Regexp(e, `^/console/bulk/[0-9a-f-]{36}/$`, sent.location)
		running := b.get(sent.location)
		require.Equal(e, "Inviting 122 people", running.heading(e))
		require.Contains(e, running.body, `<progress max="122" value="0"`)
		require.Contains(e, running.body, "You can leave this page and come back.")
		require.Contains(e, b.get("/console/bulk/").body, `href="`+sent.location+`"`)
		e.work()
		done := b.get(sent.location)
		require.Equal(e, "120 of 122 invited", done.heading(e))
		require.Equal(e, map[string]string{"All rows": "122", "Not sent": "2", "Invited": "120", "Has a mistake": "2"}, done.kinds())
		require.Equal(e, 120, e.invited())
		require.NotContains(e, done.body, "<progress")
		require.Contains(e, done.body, "1 to 2 of 2", "it opens on what was not sent")
		require.Contains(e, b.get(sent.location+"?result=all").body, `href="`+sent.location+`?page=2&amp;result=all" rel="next"`)
		rest := b.get(sent.location + "?result=rest")
		require.Contains(e, rest.body, "E-mail address: Enter a valid e-mail address.")
		require.NotContains(e, rest.body, "guest1@example.org")
		require.Equal(e, sent.location, b.get(sent.location+"?page=9").location)

		saved := b.get(sent.location + "csv/?result=rest")
		require.Equal(e, "text/csv; charset=utf-8", saved.header.Get("Content-Type"))
		require.Equal(e, `attachment; filename="invitations-`+strings.Split(sent.location, "/")[3]+`.csv"`, saved.header.Get("Content-Disposition"))
		require.Contains(e, saved.body, "nobody,'=1+1,", "no spreadsheet takes it for a formula")
		require.Equal(e, 3, strings.Count(saved.body, "\n"))
		require.Equal(e, 123, strings.Count(b.get(sent.location+"csv/").body, "\n"))
		again := b.upload(intoApollo, "rest.csv", saved.body, "role", "PROJECT.ADMIN")
		require.Equal(e, "0 of 2 can be invited", again.heading(e), "the file can be corrected, and sent again")

		left := b.get(sent.location + "rest/")
		require.Contains(e, left.text(), "120 were sent before. These 2 rows were not.")
		require.Contains(e, b.next(left, "step", "check").text(), "120 were sent before. These 2 rows were not.")
		corrected := b.next(left, "step", "check", "row-0-email", "somebody@example.org")
		require.Equal(e, "1 of 2 can be invited", corrected.heading(e))
		require.Equal(e, "1 of 2 invited", b.next(corrected, "step", "send").heading(e))

		// Staff see it; nobody else does.
		require.Equal(e, http.StatusOK, staff.get(sent.location).status)
		require.Contains(e, staff.get("/console/bulk/").body, "Olivia Owner")
		require.NotContains(e, other.get("/console/bulk/").body, sent.location)
		for _, path := range []string{sent.location, sent.location + "csv/", sent.location + "rest/"} {
			require.Equal(e, http.StatusNotFound, other.get(path).status, path)
		}
		require.Equal(e, http.StatusNotFound, other.post(sent.location+"cancel/").status)

		// It can be stopped, as long as rows are left.
		refused := b.post(sent.location + "cancel/")
		require.Equal(e, http.StatusBadRequest, refused.status)
		require.Contains(e, refused.body, "Nothing was changed.")
		second = b.next(b.upload(intoApollo, "guests.csv", strings.ReplaceAll(table.String(), "guest", "visitor"), "role", "PROJECT.ADMIN"), "step", "send")
		require.Equal(e, second.location, b.post(second.location+"cancel/").location)
		e.work()
		stopped := b.get(second.location)
		require.Contains(e, stopped.body, "Stopped. Nobody was invited.")
		require.Contains(e, stopped.body, "Look at the rest, and send (122)</a>")
		require.Equal(e, map[string]string{"All rows": "122", "Not sent": "122", "Not reached": "122"}, stopped.kinds())
		require.Equal(e, "0 of 122 invited", stopped.heading(e))
		require.Equal(e, 121, e.invited())
	})
}

// What is no table is refused with the line, at the field that it came from.
func TestBadTablesOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		for name, each := range map[string]struct{ table, problem string }{
			"empty":          {" \n", "The table is empty"},
			"a NUL":          {"email\na@example.org\nb\x00@example.org\n", "Line 3:"},
			"a quote":        {"email,full_name\na@example.org,\"Ada\nb@example.org,Ben\n", "Line 2:"},
			"two of a name":  {"email,email\na@example.org,b@example.org\n", "Line 1:"},
			"no address":     {"name\nAda\n", "Line 1:"},
			"a large cell":   {"email\na@example.org\n" + strings.Repeat("x", 1<<20) + "\n", "Line 3:"},
			"too many":       {"email\n" + strings.Repeat("a@example.org\n", 10_001), "Line 10002:"},
			"a spreadsheet":  {"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xfe", "Save the table as CSV"},
			"only the names": {"email\n", "no rows"},
		} {
			got := b.upload(intoApollo, "table.csv", each.table, "role", "PROJECT.ADMIN")
			require.Equal(e, http.StatusBadRequest, got.status, name)
			require.Contains(e, got.body, each.problem, name)
			require.Regexp(e, `(?s)id="file-problem" role="alert">[^<]*`+each.problem+`.*id="file"[^>]* aria-describedby="file-problem`, got.body, name)
			require.Contains(e, got.body, `<option value="PROJECT.ADMIN" selected>`, "the rest of the form stays")
			if name == "empty" {
				continue
			}
			got = b.paste(each.table)
			require.Regexp(e, `(?s)id="table-problem" role="alert">[^<]*`+each.problem+`.*id="table"[^>]* aria-describedby="table-problem`, got.body, name)
		}
		require.Contains(e, b.paste("email\n\"a").body, "email\n&#34;a</textarea>", "the table stays")
		require.Contains(e, b.upload(intoApollo, "", "").body, "Choose a file, or paste a table.")
		require.Contains(e, b.upload(intoApollo, "x.csv", "email\n", "table", "email\n").body, "You chose a file and pasted a table.")
		windows := b.upload(intoApollo, "x.csv", "email\tfull_name\na@example.org\tJ\xfcrgen\n", "role", "PROJECT.ADMIN")
		require.Contains(e, b.next(windows, "go", "all:1").body, "Jürgen")

		large := b.upload(intoApollo, "large.csv", "email\n"+strings.Repeat("x", 8<<20))
		require.Equal(e, http.StatusBadRequest, large.status)
		require.Regexp(e, `(?s)id="file-problem" role="alert">The table is larger than 8 MB.*id="file"[^>]* aria-describedby="file-problem`, large.body)
		require.Zero(e, e.invited())
	})
}

// A user who sends tables slowly keeps nobody else out, and has each place again that a request has left.
func TestSlowTables(t *testing.T) {
	onEachEngine(t, func(e *env) {
		slow, other := e.browser(), e.browser()
		slow.signIn("olivia@acme.example")
		other.signIn("sam@example.com")
		var all sync.WaitGroup
		var writers []*io.PipeWriter
		for range 3 {
			body, writer := io.Pipe()
			writers = append(writers, writer)
			r, err := http.NewRequestWithContext(e.Context(), http.MethodPost, slow.server.URL+intoApollo, body)
			require.NoError(e, err)
			r.Header = slow.header.Clone()
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			all.Go(func() {
				if answer, err := slow.client.Do(r); err == nil {
					_ = answer.Body.Close()
				}
			})
			_, err = writer.Write([]byte("table=email"))
			require.NoError(e, err)
		}
		began := time.Now()
		require.Equal(e, http.StatusOK, other.paste("email,role\na@example.org,PROJECT.ADMIN\n").status)
		require.Less(e, time.Since(began), 4*time.Second, "less than a request waits for its place")
		for _, writer := range writers {
			_ = writer.Close()
		}
		all.Wait()
		for range 3 {
			require.Equal(e, http.StatusOK, slow.paste("email,role\na@example.org,PROJECT.ADMIN\n").status)
		}
	})
}

// carry returns the rows of a form as a browser sends them, whatever they are.
func carry(t testing.TB, content string) string {
	t.Helper()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, err := io.WriteString(w, content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return base64.RawURLEncoding.EncodeToString(compressed.Bytes())
}

// The rows that a form carries along are checked as if they came for the first time.
func TestCarriedRowsAreChecked(t *testing.T) {
	const other = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a77"
	onEachEngine(t, func(e *env) {
		e.apply("customers: [{name: Globex, projects: [{name: Other, uuid: " + other + "}]}]")
		b := e.browser()
		b.signIn("olivia@acme.example")
		post := func(rows, step string) page { return b.post("/console/bulk/", "rows", rows, "step", step) }
		for name, rows := range map[string]string{
			"no base64":     "?",
			"no gzip":       "e30",
			"no JSON":       carry(e, "x"),
			"not rows":      carry(e, `[{"email": 1}]`),
			"none":          carry(e, "[]"),
			"too many":      carry(e, "["+strings.Repeat(`{"email":"a@example.org"},`, 10_000)+`{"email":"a@example.org"}]`),
			"millions":      carry(e, "["+strings.Repeat("{},", 10<<20)+"{}]"),
			"a bomb":        carry(e, `[{"email":"`+strings.Repeat("a", 40<<20)),
			"half of it":    carry(e, `[{"email":"a@example.org"}]`)[:30],
			"nothing":       "",
			"null":          carry(e, "null"),
			"empty objects": carry(e, `{}`),
		} {
			for _, step := range []string{"check", "send", "download"} {
				require.Equal(e, http.StatusBadRequest, post(rows, step).status, "%s: %s", name, step)
			}
		}
		for name, row := range map[string]string{
			"another organization": `{"email":"a@example.org","role":"PROJECT.ADMIN","scope":"` + other + `"}`,
			"no role":              `{"email":"a@example.org","scope":"` + apollo + `"}`,
			"a NUL":                `{"email":"a@example.org","full_name":"\u0000","role":"PROJECT.ADMIN","scope":"` + apollo + `"}`,
			"a long text":          `{"email":"a@example.org","extra_invitation_text":"` + strings.Repeat("x", 2001) + `","role":"PROJECT.ADMIN","scope":"` + apollo + `"}`,
		} {
			require.Equal(e, "0 of 1 invited", post(carry(e, "["+row+"]"), "send").heading(e), name)
		}
		// Messages that somebody wrote are not shown as the server's.
		good := `{"email":"a@example.org","role":"PROJECT.ADMIN","scope":"` + apollo + `","wrong":{"email":["evil"]}}`
		require.Equal(e, "1 of 1 can be invited", post(carry(e, "["+good+"]"), "check").heading(e))
		require.Zero(e, e.invited())
	})
}

// Who may not invite sees why, and can send no table: it is not read.
func TestTablesOfOthers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ina := e.browser()
		ina.signIn("ina@university.example")
		require.Contains(e, ina.get("/console/bulk/").body, "You may not invite anywhere.")
		require.Contains(e, ina.get("/console/bulk/?scope=rows").body, "You may not invite anywhere.")
		require.NotContains(e, ina.get("/console/").body, "Invite many people")
		require.Equal(e, http.StatusNotFound, ina.upload("/console/bulk/?scope=rows", "", "", "table", "email\na@example.org\n").status)
		b := e.browser()
		b.signIn("olivia@acme.example")
		for _, scope := range []string{"project:" + uuid.NewString(), "nonsense", "project:x", ""} {
			require.Equal(e, http.StatusNotFound, b.upload("/console/bulk/?scope="+scope, "", "", "table", "email\na@example.org\n").status, scope)
		}
		require.Equal(e, http.StatusNotFound, b.get("/console/bulk/"+uuid.NewString()+"/").status)
		require.Equal(e, http.StatusNotFound, b.get("/console/bulk/x/csv/").status)

		body, contentType := uploadOf("large.csv", strings.Repeat("x", 4<<20))
		size := body.Len()
		r := httptest.NewRequestWithContext(e.Context(), http.MethodPost, "/console/bulk/?scope=rows", body)
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, cookie := range ina.client.Jar.Cookies(mustParse(e, e.server.URL)) {
			r.AddCookie(cookie)
		}
		answer := httptest.NewRecorder()
		e.server.Config.Handler.ServeHTTP(answer, r)
		require.Equal(e, http.StatusNotFound, answer.Code)
		require.Less(e, size-body.Len(), 200<<10, "of "+strconv.Itoa(size))
		require.Zero(e, e.invited())
	})
}

// The pages say as what and where to, and of each row that names another role or place which.
func TestAimsOfATable(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		const common = "As System administrator, to the project Apollo of the organization Acme"
		require.Contains(e, b.paste("email\na@example.org\n").text(), common+".")
		var table strings.Builder
		table.WriteString("email,role,scope\n")
		for i := range 100 {
			fmt.Fprintf(&table, "guest%d@example.org,,\n", i)
		}
		table.WriteString("owner@example.org,CUSTOMER.OWNER," + e.organization().UUID.String() + "\nx@example.org,NO.SUCH,nowhere\n")
		checked := b.paste(table.String())
		require.Contains(e, checked.text(), common+", unless a row names its own.")
		require.Contains(e, checked.text(), "line 103 · as NO.SUCH · to nowhere")
		require.Contains(e, b.next(checked, "go", "all:3").text(), "line 102 · as CUSTOMER.OWNER · to Acme Can be")
		require.Contains(e, b.upload("/console/bulk/?scope=rows", "", "", "table", "email,role,scope\n"+
			"a@example.org,PROJECT.ADMIN,"+apollo+"\nb@example.org,CUSTOMER.OWNER,"+e.organization().UUID.String()+"\n").text(), "Each row names its own role and place.")

		sent := b.next(checked, "step", "send")
		require.NotContains(e, b.get(sent.location).text(), "As ", "it is not known yet")
		e.work()
		require.Contains(e, b.get(sent.location).text(), common+".")
		require.Contains(e, b.get(sent.location+"?page=3&result=all").text(), "line 102 · as CUSTOMER.OWNER · to Acme Invited")
		require.Regexp(e, `102 people, [^<]* UTC Done as System administrator, to Apollo of Acme 101 invited`, b.get("/console/bulk/").text())
	})
}

// A row that is refused as a whole is corrected at its role and its place, in the console's words.
func TestRefusedRowsAreCorrectedInPlace(t *testing.T) {
	const hidden = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a77"
	onEachEngine(t, func(e *env) {
		e.apply("customers: [{name: Globex, projects: [{name: Other, uuid: " + hidden + "}]}]")
		b := e.browser()
		b.signIn("olivia@acme.example")
		checked := b.paste("email,role,scope,full_name,extra_invitation_text\n" +
			"a@example.org,CUSTOMER.OWNER,,,\n" + // not a role of projects
			"b@example.org,,nowhere,,\n" +
			",,,,\"Hello\nthere\"\n" +
			"c@example.org,,," + strings.Repeat("x", 101) + ",\n" +
			"d@example.org,," + hidden + ",,\n")
		require.Equal(e, "0 of 5 can be invited", checked.heading(e))
		require.Regexp(e, `(?s)>This role is not one of this place\..*name="row-0-role"[^>]*value="CUSTOMER.OWNER".*name="row-0-scope"[^>]*`+apollo, checked.body)
		require.Contains(e, checked.body, `id="row-1-scope-problem">There is no such place, or you may not see it.`)
		require.Contains(e, checked.body, `id="row-2-email-problem">The address is missing.`)
		require.Contains(e, checked.body, `id="row-3-full_name-problem">At most 100 characters.`)
		require.Contains(e, checked.body, `name="row-4-scope"`)
		require.Contains(e, checked.body, `<option value="PROJECT.ADMIN">System administrator</option>`)
		for _, words := range []string{"This field is required", "Ensure this", "Object with", "content type", "object from url", "Not found"} {
			require.NotContains(e, checked.body, words)
		}
		checked = b.next(checked, "step", "check", "row-0-role", "PROJECT.ADMIN", "row-1-scope", apollo, "row-2-email", "e@example.org",
			"row-3-full_name", "Cat", "row-4-scope", apollo)
		require.Equal(e, "5 of 5 can be invited", checked.heading(e))
		long := b.paste("email,extra_invitation_text\nf@example.org,\ng@example.org,\"Hello\n" + strings.Repeat("x", 2001) + "\"\n")
		sent := b.next(long, "step", "send", "row-1-extra_invitation_text", "Hello\r\n"+strings.Repeat("x", 2001))
		require.Equal(e, "1 of 2 invited", sent.heading(e), "line breaks as browsers send them are no correction")
		require.Equal(e, "5 of 5 invited", b.next(checked, "step", "send").heading(e))
	})
}

// A table without roles is refused at once where no role is chosen, and one without places.
func TestTablesWithoutRoles(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		got := b.upload(intoApollo, "", "", "table", "email,role\na@example.org,\n")
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Regexp(e, `id="role-problem" role="alert">Choose a role, or add a column role\.</p>\s*<select id="role"[^>]* autofocus`, got.body)
		require.Contains(e, got.body, "a@example.org,\n</textarea>")
		require.Equal(e, "1 of 2 can be invited", b.upload(intoApollo, "", "", "table", "email,role\na@example.org,\nb@example.org,PROJECT.ADMIN\n").heading(e))
		for table, problem := range map[string]string{
			"email\na@example.org\n":                      "Add the columns role and scope, or choose one place for all.",
			"email,role\na@example.org,PROJECT.ADMIN\n":   "Add a column scope, or choose one place for all.",
			"email,scope\na@example.org," + apollo + "\n": "Add a column role, or choose one place and one role for all.",
		} {
			got := b.upload("/console/bulk/?scope=rows", "", "", "table", table)
			require.Equal(e, http.StatusBadRequest, got.status)
			require.Contains(e, got.body, `id="table-problem" role="alert">`+problem)
			require.Contains(e, b.upload("/console/bulk/?scope=rows", "x.csv", table).body, `id="file-problem" role="alert">`+problem)
		}
	})
}
