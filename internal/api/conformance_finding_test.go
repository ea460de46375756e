package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
)

// The filters by the creator, the creation and a text are the fields of the list.
func TestFindingFilters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(oddScopes)
		began := e.clock.Now()
		for _, each := range []struct{ user, email, scope, full, native string }{
			{"owner", "Anna.Berg@alpha.example", apollo, "Anna Berg", ""},
			{"manager", "bob@beta.example", apollo, "ÉMILE 50%", "Çelik"},
			{"rival", "carl@gamma.example", hydra, "", "李雷 apollo_1"},
			{"staff", "dora@bücher.example", sale, "Dora", "Dora"},
		} {
			body := draft(each.email, admin, apollo, "full_name", each.full, "native_name", each.native)
			body["scope"] = "https://anywhere.example/api/projects/" + each.scope + "/"
			e.request("POST", base, each.user, body).is(http.StatusCreated, "")
			e.clock.Advance(time.Hour)
		}
		at := func(name string, after time.Duration) string {
			return encodeQuery(name, began.Add(after).Format(time.RFC3339Nano))
		}
		by := func(user string) string { return "created_by=" + e.userID(user).String() }
		for _, each := range []struct{ user, query, expected string }{
			{"staff", by("owner"), "Anna"},
			{"staff", "created_by=" + strings.ToUpper(strings.ReplaceAll(e.userID("rival").String(), "-", "")), "carl"},
			{"staff", "created_by=" + uuid.NewString(), ""},
			{"owner", by("manager"), "bob"},
			{"owner", by("rival"), ""}, // rival's are not owner's to see
			{"staff", at("created_after", 0), "Anna bob carl dora"},
			{"staff", at("created_after", time.Microsecond), "bob carl dora"},
			{"staff", at("created_before", time.Hour), "Anna bob"},
			{"staff", at("created_before", time.Hour-time.Microsecond), "Anna"},
			{"staff", at("created_after", time.Hour) + "&" + at("created_before", 2*time.Hour), "bob carl"},
			{"staff", at("created_after", 3*time.Hour) + "&" + at("created_before", time.Hour), ""},
			{"staff", encodeQuery("created_before", "9999-12-31T23:59:59-23:59"), "Anna bob carl dora"},
			{"staff", encodeQuery("created_after", "0000-01-01T00:00:00Z"), "Anna bob carl dora"},
			{"owner", encodeQuery("q", "ALPHA"), "Anna"},
			{"staff", encodeQuery("q", "apollo"), "Anna bob carl"},
			{"staff", encodeQuery("q", "émile"), "bob"},
			{"staff", encodeQuery("q", "çELIK"), "bob"},
			{"staff", encodeQuery("q", "50%"), "bob dora"}, // a name, and the scope's
			{"staff", encodeQuery("q", "50%_"), "dora"},
			{"staff", encodeQuery("q", "o_1"), "carl"},
			{"staff", encodeQuery("q", "李"), "carl"},
			{"staff", encodeQuery("q", "xn--bcher-kva"), "dora"},
			{"staff", encodeQuery("q", `\`), "dora"},
			{"staff", encodeQuery("q", "_"), "carl dora"},
			{"staff", encodeQuery("q", "' OR 1=1 --"), ""},
			{"staff", encodeQuery("q", " berg ") + "&state=pending", "Anna"},
			{"staff", encodeQuery("q", "berg") + "&state=canceled", ""},
			{"owner", encodeQuery("q", "carl"), ""},
			{"staff", "q=&created_by=&created_after=&created_before=", "Anna bob carl dora"},
		} {
			names := []string{}
			for _, email := range e.emails(each.user, each.query) {
				names = append(names, email[:4])
			}
			slices.Sort(names)
			expected := []string{}
			for _, name := range strings.Fields(each.expected) {
				expected = append(expected, (name + "@")[:4])
			}
			require.Equal(e.t, expected, names, each.query)
			count := e.request("HEAD", base+"?"+each.query, each.user, nil).is(http.StatusOK, "")
			require.Equal(e.t, strconv.Itoa(len(names)), count.Header.Get("X-Result-Count"), each.query)
		}
		for _, query := range []string{
			"created_by=me", "created_after=tomorrow", "created_before=2026-02-30T00:00:00Z", "created_after=2026-11-23", "q=a&q=b", "q=%00",
			"q=" + strings.Repeat("a", 2001),
		} {
			name, _, _ := strings.Cut(query, "=")
			require.Equal(e.t, []string{name}, e.request("GET", base+"?"+query, "staff", nil).invalidFields(), query)
			e.request("HEAD", base+"?"+query, "staff", nil).is(http.StatusBadRequest, "")
		}
		// Rows of the version before have no folded names.
		e.exec("UPDATE invitations SET full_name_folded = NULL, native_name_folded = NULL")
		require.Equal(e.t, []string{"Anna.Berg@alpha.example"}, e.emails("staff", encodeQuery("q", "ANNA BERG")))
	})
}

// A name that the policy hides is not searched.
func TestTextFilterKeepsHiddenNames(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for i, each := range [][2]string{{"Secret", ""}, {"", "Secret"}} {
			e.exec(fmt.Sprintf("UPDATE invitations SET full_name = '%s', full_name_folded = lower('%s'), native_name = '%s', native_name_folded = lower('%s') WHERE uuid = '%s'",
				each[0], each[0], each[1], each[1], e.create("owner", fmt.Sprint("hidden", i, "@x.example"), admin, apollo).UUID))
		}
		require.Equal(e.t, []string{"hidden1@x.example"}, e.emails("staff", "q=secret"))
	}, func(p *invitation.Policy) { p.AllowedFields = []string{"native_name"} })
}

// nextLink matches the link to the next page.
var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// readByCursor returns the addresses that the pages of a cursor show, from the first link on.
func (e *env) readByCursor(user, query string) (emails []string) {
	e.t.Helper()
	path, total := base+"?"+query, ""
	for pages := 0; path != ""; pages++ {
		require.Less(e.t, pages, 100)
		answer := e.request("GET", path, user, nil).is(http.StatusOK, "")
		var rows []server.Invitation
		answer.decode(&rows)
		for _, row := range rows {
			emails = append(emails, row.Email)
		}
		if total == "" {
			total = answer.Header.Get("X-Result-Count")
		}
		require.Equal(e.t, total, answer.Header.Get("X-Result-Count"))
		header := answer.Header.Get("Link")
		require.Contains(e.t, header, "cursor=start")
		require.NotRegexp(e.t, `rel="(last|prev)"|[?&]page=[^&>]`, header)
		path = ""
		if found := nextLink.FindStringSubmatch(header); found != nil {
			address, err := url.Parse(found[1])
			require.NoError(e.t, err)
			require.True(e.t, strings.HasPrefix(found[1], "https://api.example/api/"), found[1])
			path = address.RequestURI()
		}
	}
	require.Equal(e.t, strconv.Itoa(len(emails)), total)
	return emails
}

func TestCursor(t *testing.T) {
	onEachEngine(t, func(e *env) {
		createForOrdering(e) // c a d b e, with a canceled, d accepted and e a project that starts
		short := func(emails []string) string {
			for i, email := range emails {
				emails[i] = strings.TrimSuffix(email, "@x.example")
			}
			return strings.Join(emails, " ")
		}
		for _, each := range []struct{ user, query, expected string }{
			{"staff", "cursor=start", "e b d a c"},
			{"staff", "cursor=", "e b d a c"},
			{"staff", "cursor", "e b d a c"},
			{"staff", "cursor=start&page=&o=", "e b d a c"},
			{"staff", "cursor=start&page_size=1", "e b d a c"},
			{"staff", "cursor=start&page_size=2&o=-created", "e b d a c"},
			{"staff", "cursor=start&page_size=2&o=created", "c a d b e"},
			{"staff", "cursor=start&page_size=1&state=pending,project", "e b c"},
			{"staff", "cursor=start&page_size=2&state=pending&state=canceled&o=created", "c a b"},
			{"staff", "cursor=start&page_size=1&q=x.example&field=email&field=uuid", "e b d a c"},
			{"staff", "cursor=start&page_size=5", "e b d a c"},
			{"owner", "cursor=start&page_size=2", "e b d a c"},
			{"owner", "cursor=start&page_size=2&email=c@x", "c"},
			{"rival", "cursor=start", ""},
		} {
			require.Equal(e.t, each.expected, short(e.readByCursor(each.user, each.query)), "%s: %s", each.user, each.query)
		}

		// The place stays where it is when the row that it is behind gets another life, or goes.
		first := e.request("GET", base+"?cursor=&page_size=2", "staff", nil)
		next := nextLink.FindStringSubmatch(first.Header.Get("Link"))[1]
		id := func(email string) uuid.UUID {
			rows, _ := e.list("staff", "email_exact="+email+"@x.example")
			return rows[0].UUID
		}
		e.clock.Advance(time.Hour)
		e.do("staff", id("a"), "send").is(http.StatusOK, "") // canceled: begins again
		e.do("staff", id("b"), "delete").is(http.StatusOK, "")
		e.clock.Advance(time.Hour)
		e.create("staff", "f@x.example", admin, apollo)
		u, err := url.Parse(next)
		require.NoError(e.t, err)
		require.Equal(e.t, []string{"f@x.example", "a@x.example"}, e.emails("staff", "")[:2], "by created")
		var rows []server.Invitation
		e.request("GET", u.RequestURI(), "staff", nil).is(http.StatusOK, "").decode(&rows)
		require.Equal(e.t, []string{"d@x.example", "a@x.example"}, []string{rows[0].Email, rows[1].Email})
		require.Equal(e.t, "f e d a c", short(e.readByCursor("staff", "cursor=start&page_size=3")))
		// A cursor shows what the caller may see, and no more, whoever got it.
		e.request("GET", u.RequestURI(), "rival", nil).is(http.StatusOK, "[]")
		// Nothing comes behind the last row, and the count is that of the list.
		cursor := func(micros int64, id uuid.UUID) string {
			raw := []byte{1}
			for shift := 56; shift >= 0; shift -= 8 {
				raw = append(raw, byte(micros>>shift))
			}
			return "cursor=" + base64.RawURLEncoding.EncodeToString(append(raw, id[:]...))
		}
		end := e.request("GET", base+"?"+cursor(0, uuid.Nil), "staff", nil).is(http.StatusOK, "[]")
		require.Equal(e.t, "5", end.Header.Get("X-Result-Count"))
		require.NotContains(e.t, end.Header.Get("Link"), "next")

		maximum := uuid.UUID([16]byte{0: 255, 15: 255})
		for _, each := range []struct{ query, field string }{
			{"cursor=1", "cursor"},
			{"cursor=START", "cursor"},
			{"cursor=" + strings.Repeat("A", 34), "cursor"},
			{"cursor=" + strings.Repeat("A", 3000), "cursor"},
			{cursor(1<<63-1, maximum), "cursor"},
			{cursor(-1<<63, uuid.Nil), "cursor"},
			{cursor(0, uuid.Nil) + "A", "cursor"},
			{cursor(0, uuid.Nil)[:40], "cursor"},
			{strings.Replace(cursor(0, uuid.Nil), "=AQ", "=Ag", 1), "cursor"},
			{"cursor=%00", "cursor"},
			{"cursor=start&cursor=start", "cursor"},
			{"cursor[]=start", "cursor[]"},
			{"cursor=start&page=1", "page"},
			{"cursor=&page=2", "page"},
			{"cursor=start&page=last", "page"},
			{"cursor=start&o=email", "o"},
			{"cursor=start&o=-created,email", "o"},
			{"cursor=start&o=state", "o"},
			{"cursor=start&page_size=0", "page_size"},
			{"cursor=start&state=x", "state"},
		} {
			require.Equal(e.t, []string{each.field}, e.request("GET", base+"?"+each.query, "staff", nil).invalidFields(), each.query)
		}
		for _, far := range []string{cursor(253402300799999999, maximum), cursor(-62135596800000000, uuid.Nil)} {
			e.request("GET", base+"?o=created&"+far, "staff", nil).is(http.StatusOK, "")
		}
		e.request("HEAD", base+"?cursor=x&page=1", "staff", nil).is(http.StatusOK, "") // counts ignore pages
	})
}
