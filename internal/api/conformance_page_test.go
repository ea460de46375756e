package api_test

import (
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
)

// createForOrdering creates invitations that each key orders differently.
func createForOrdering(e *env) {
	e.t.Helper()
	for _, each := range []struct{ user, email string }{
		{"staff", "c@x.example"},   // Sam Staff
		{"manager", "a@x.example"}, // Max Manager
		{"owner", "d@x.example"},   // Olivia Owner
		{"staff2", "b@x.example"},  // no full name
	} {
		e.create(each.user, each.email, admin, apollo)
		e.clock.Advance(time.Microsecond)
	}
	rows, _ := e.list("staff", "email_exact=a@x.example")
	e.do("staff", rows[0].UUID, "cancel").is(http.StatusOK, "")
	rows, _ = e.list("staff", "email_exact=d@x.example")
	e.do("stranger", rows[0].UUID, "accept").is(http.StatusOK, "")
	e.create("staff", "e@x.example", admin, artemis) // project
}

func TestOrdering(t *testing.T) {
	onEachEngine(t, func(e *env) {
		createForOrdering(e)
		for _, each := range []struct{ query, expected string }{
			{"", "e b d a c"},
			{"o=created", "c a d b e"},
			{"o=-created", "e b d a c"},
			{"o=email", "a b c d e"},
			{"o=-email", "e d c b a"},
			{"o=created_by,email", "a d c e b"},
			{"o=-created_by,email", "b c e d a"},
			{"o=created_by&o=-email", "a d e c b"},
			{"o=state,email", "d a b c e"}, // accepted, canceled, pending, pending, project
			{"o=state,-email", "d a c b e"},
			{"o=-state,created", "e c b a d"},
			{"o=-state&o=-created", "e b c a d"},
			{"o=created_by,state&o=email", "a d c e b"},
			{"o=email,-email", "a b c d e"},
		} {
			e.run(each.query, func(e *env) {
				var all []string
				for _, email := range e.emails("staff", each.query) {
					all = append(all, strings.TrimSuffix(email, "@x.example"))
				}
				require.Equal(e.t, each.expected, strings.Join(all, " "))
			})
		}
	})
}

func TestOrderingByState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		oneInEachState(e)
		expected := []string{"accepted", "canceled", "expired", "pending", "project", "rejected", "requested"}
		for _, key := range []string{"o=state", "o=-state"} {
			rows, _ := e.list("staff", key)
			var states []string
			for _, each := range rows {
				states = append(states, string(each.State))
			}
			require.Equal(e.t, expected, states, key)
			slices.Reverse(expected)
		}
	}, onlyStaff)
}

func TestPagesDoNotOverlap(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(57) // all have the same creation time, state and creator
		for _, each := range []string{"", "o=created", "o=-state", "o=created_by", "o=email", "o=-email,state"} {
			for _, size := range []int{7, 10, 57} {
				seen := map[string]bool{}
				var before []string
				for page := 1; (page-1)*size < 57; page++ {
					rows, _ := e.list("staff", each+"&page_size="+strconv.Itoa(size)+"&page="+strconv.Itoa(page))
					for _, row := range rows {
						require.False(e.t, seen[row.UUID.String()], "twice: %s", each)
						seen[row.UUID.String()] = true
						if !strings.Contains(each, "email") {
							before = append(before, row.UUID.String())
						}
					}
				}
				require.Len(e.t, seen, 57)
				require.True(e.t, slices.IsSorted(before), "ties are broken by uuid")
			}
		}
	})
}

func TestPageSizes(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(301)
		for _, each := range []struct {
			query string
			rows  int
		}{
			{"", 10},
			{"page=31", 1},
			{"page=030", 10},
			{"page_size=1", 1},
			{"page_size=299", 299},
			{"page_size=300", 300},
			{"page_size=301", 300},
			{"page_size=1000", 300},
			{"page_size=99999999999999999999999999", 300},
			{"page_size=301&page=2", 1},
			{"page_size=99999999999999999999999999&page=2", 1},
		} {
			e.run(each.query, func(e *env) {
				rows, answer := e.list("staff", each.query)
				require.Len(e.t, rows, each.rows)
				require.Equal(e.t, "301", answer.Header.Get("X-Result-Count"))
			})
		}
	})
}

func TestInvalidPages(t *testing.T) {
	onEachEngine(t, func(e *env) {
		invalid := func(e *env, query string) {
			e.t.Helper()
			e.request("GET", base+"?"+query, "staff", nil).is(http.StatusNotFound, `{"detail": "Invalid page."}`)
		}
		rows, answer := e.list("staff", "page=1")
		require.Empty(e.t, rows)
		require.JSONEq(e.t, "[]", answer.Body)
		require.Equal(e.t, "0", answer.Header.Get("X-Result-Count"))
		invalid(e, "page=2")

		e.insertPending(11)
		for _, page := range []string{
			"3", "0", "-1", "x", "1.5", "1e0", "LAST", "2147483647", "02147483647", "2147483648", "9223372036854775807", "9223372036854775808",
			"99999999999999999999999999999999",
		} {
			e.run(page, func(e *env) {
				invalid(e, "page="+page)
				invalid(e, "page_size=300&page="+page)
			})
		}
		invalid(e, "page=2&page_size=11")
		invalid(e, "page=2&state=expired")
		invalid(e, "page=0&o=email")
	})
}

var linkPattern = regexp.MustCompile(`^<([^<>]*)>; rel="(first|prev|next|last)"$`)

// pageLinks returns the URLs of the Link header by relation.
func (r response) pageLinks() map[string]*url.URL {
	r.t.Helper()
	all := map[string]*url.URL{}
	for _, each := range strings.Split(r.Header.Get("Link"), ", ") {
		parts := linkPattern.FindStringSubmatch(each)
		require.NotNil(r.t, parts, each)
		require.NotContains(r.t, all, parts[2])
		address, err := url.Parse(parts[1])
		require.NoError(r.t, err)
		require.Equal(r.t, "https://api.example/api/user-invitations/", address.Scheme+"://"+address.Host+address.Path)
		all[parts[2]] = address
	}
	return all
}

func TestLinkHeader(t *testing.T) {
	onEachEngine(t, func(e *env) {
		pages := func(e *env, query string) map[string]string {
			e.t.Helper()
			_, answer := e.list("staff", query)
			all := map[string]string{}
			for relation, address := range answer.pageLinks() {
				if all[relation] = address.Query().Get("page"); all[relation] == "" { // page 1 is what a list without a page shows
					require.False(e.t, address.Query().Has("page"))
					all[relation] = "1"
				}
			}
			return all
		}
		require.Equal(e.t, map[string]string{"first": "1", "last": "1"}, pages(e, ""))
		e.insertPending(30)
		require.Equal(e.t, map[string]string{"first": "1", "next": "2", "last": "3"}, pages(e, ""))
		require.Equal(e.t, map[string]string{"first": "1", "next": "2", "last": "3"}, pages(e, "page=1"))
		require.Equal(e.t, map[string]string{"first": "1", "prev": "1", "next": "3", "last": "3"}, pages(e, "page=2"))
		require.Equal(e.t, map[string]string{"first": "1", "prev": "2", "last": "3"}, pages(e, "page=3"))
		require.Equal(e.t, map[string]string{"first": "1", "prev": "2", "last": "3"}, pages(e, "page=last"))
		require.Equal(e.t, map[string]string{"first": "1", "next": "2", "last": "3"}, pages(e, "page="))
		require.Equal(e.t, map[string]string{"first": "1", "last": "1"}, pages(e, "page=last&page_size=30"))
		last, _ := e.list("staff", "page=last&page_size=29")
		require.Len(e.t, last, 1)
		third, _ := e.list("staff", "page=3")
		asLast, _ := e.list("staff", "page=last")
		require.Equal(e.t, third, asLast)
		require.Equal(e.t, map[string]string{"first": "1", "last": "1"}, pages(e, "page_size=30"))
		require.Equal(e.t, map[string]string{"first": "1", "next": "2", "last": "2"}, pages(e, "page_size=29"))
		require.Equal(e.t, map[string]string{"first": "1", "last": "1"}, pages(e, "state=expired"))
	})
}

func TestLinkHeaderKeepsParameters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(5)
		asked := url.Values{
			"page": {"2"}, "page_size": {"2"}, "state": {"pending", "expired"}, "email": {`fill&o=x%"<>é `},
			"o": {"email", "-state"}, "unknown": {"1"},
		}
		asked.Set("email", "@FILL.")
		_, answer := e.list("staff", asked.Encode())
		for relation, page := range map[string]string{"first": "1", "prev": "1", "next": "3", "last": "3"} {
			expected := url.Values{}
			for name, values := range asked {
				expected[name] = values
			}
			if expected.Set("page", page); page == "1" {
				expected.Del("page")
			}
			delete(expected, "unknown")
			require.Contains(e.t, answer.pageLinks(), relation)
			require.Equal(e.t, expected, answer.pageLinks()[relation].Query(), relation)
		}
		_, answer = e.list("staff", "o=email,-created&state=pending&state=expired")
		require.Equal(e.t, `<https://api.example/api/user-invitations/?o=email,-created&state=pending&state=expired>; rel="first", `+
			`<https://api.example/api/user-invitations/?o=email,-created&state=pending&state=expired>; rel="last"`, answer.Header.Get("Link"))
		// The value of a parameter can't add a header or a link.
		_, answer = e.list("staff", url.Values{"email": {"<>\"\r\nX-Evil: 1, é&page=9"}}.Encode())
		require.Empty(e.t, answer.Header.Get("X-Evil"))
		require.Equal(e.t, "<>\"\r\nX-Evil: 1, é&page=9", answer.pageLinks()["first"].Query().Get("email"))
		// A list stays as it was written.
		_, answer = e.list("staff", "o=state,-created&state[]=pending&state[]=expired&field[]=uuid")
		require.Equal(e.t, url.Values{"o": {"state,-created"}, "state[]": {"pending", "expired"}, "field[]": {"uuid"}},
			answer.pageLinks()["first"].Query())
		// Names that differ in case are unknown.
		_, answer = e.list("staff", "EMAIL=x&email_exact_=x&=x&x"+strings.Repeat("&y=z", 900))
		require.Equal(e.t, url.Values{}, answer.pageLinks()["first"].Query())
	})
}

// A query is at most 4096 bytes long, and so is each query in the Link header: an attacker could otherwise make a header
// that fits no gateway's buffers. The gateway counts that as a failure of the server, and takes the server out of service.
func TestLongQueries(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(5)
		tooLong := detailBody("The query is longer than 4096 bytes.")
		for path, item := range loadContract(e.t).Paths.Map() {
			for method, operation := range item.Operations() {
				path := strings.ReplaceAll(path, "{uuid}", uuid.NewString())
				for _, user := range []string{"", "staff"} {
					answer := e.request(method, path+"?x="+strings.Repeat("y", 4095), user, nil)
					if method == http.MethodHead {
						tooLong = ""
					}
					answer.is(http.StatusRequestURITooLong, tooLong)
					tooLong = detailBody("The query is longer than 4096 bytes.")
				}
				require.NotEqual(e.t, http.StatusRequestURITooLong,
					e.request(method, path+"?x="+strings.Repeat("y", 4094), "staff", nil).Status, operation.OperationID)
			}
		}
		list := func(query string) response { return e.request("GET", base+"?"+query, "staff", nil) }
		longest := longestQuery("page=2&page_size=1&o=email")
		require.Len(e.t, longest, 4096)
		links := list(longest).is(http.StatusOK, "").Header.Get("Link")
		require.Equal(e.t, 4, strings.Count(links, "rel="))
		require.Less(e.t, len(links), 4*(4096+200))
		// A browser or a careless client leaves out the encoding, which the header needs.
		list("email="+strings.Repeat("<", 1364)).is(http.StatusRequestURITooLong, tooLong)
		list("email="+strings.Repeat("=", 1364)).is(http.StatusRequestURITooLong, tooLong)
		list("email="+strings.Repeat("<", 1300)).is(http.StatusOK, "")
	})
}

// longestQuery returns a query of 4096 bytes that begins with the given one and has filters that insertPending's rows
// match: spaces at the end of a filter are ignored.
func longestQuery(query string) string {
	for _, filter := range []string{"&email=fill", "&scope_name=Apollo", "&scope_description=moon"} {
		query += filter + strings.Repeat("+", max(0, min(1900, 4096-len(query)-len(filter))))
	}
	return query
}

func TestFollowingLinks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(25)
		var all []string
		for next := "o=-email,created&page_size=10"; ; {
			rows, answer := e.list("staff", next)
			for _, each := range rows {
				all = append(all, string(each.Email))
			}
			link, more := answer.pageLinks()["next"]
			if !more {
				break
			}
			next = link.RawQuery
		}
		require.Len(e.t, all, 25)
		slices.Reverse(all)
		require.True(e.t, slices.IsSorted(all))
	})
}

func TestURLsIgnoreRequestHost(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "anna@alpha.example", admin, apollo)
		for _, path := range []string{base, at(made.UUID.String())} {
			r := e.newRequest("GET", path, "owner", nil)
			r.Host = "evil.example"
			r.Header.Set("X-Forwarded-Host", "evil.example")
			r.Header.Set("X-Forwarded-Proto", "gopher")
			r.Header.Set("Forwarded", "host=evil.example")
			answer := e.send(r).is(http.StatusOK, "")
			require.NotContains(e.t, answer.Body+answer.Header.Get("Link"), "evil.example")
			require.Contains(e.t, answer.Body, `"https://api.example/api/user-invitations/`+made.UUID.String()+`/"`)
		}
		r := e.newRequest("POST", base, "owner", draft("bob@beta.example", admin, apollo))
		r.Host = "evil.example"
		require.Regexp(e.t, `^https://api\.example/`, e.send(r).is(http.StatusCreated, "").Header.Get("Location"))
	})
}
