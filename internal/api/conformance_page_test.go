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

	"github.com/stretchr/testify/require"
)

func itoa(n int) string { return strconv.Itoa(n) }

// inSomeOrder makes invitations that each key orders in another way.
func inSomeOrder(w *world) {
	w.t.Helper()
	for _, each := range []struct{ user, email string }{
		{"staff", "c@x.example"},   // Sam Staff
		{"manager", "a@x.example"}, // Max Manager
		{"owner", "d@x.example"},   // Olivia Owner
		{"staff2", "b@x.example"},  // no full name
	} {
		w.create(each.user, each.email, admin, apollo)
		w.clock.Advance(time.Microsecond)
	}
	rows, _ := w.list("staff", "email_exact=a@x.example")
	w.do("staff", rows[0].UUID, "cancel").is(http.StatusOK, "")
	rows, _ = w.list("staff", "email_exact=d@x.example")
	w.do("stranger", rows[0].UUID, "accept").is(http.StatusOK, "")
	w.create("staff", "e@x.example", admin, artemis) // project
}

func TestOrdering(t *testing.T) {
	inEachWorld(t, func(w *world) {
		inSomeOrder(w)
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
			w.run(each.query, func(w *world) {
				var all []string
				for _, email := range w.emails("staff", each.query) {
					all = append(all, strings.TrimSuffix(email, "@x.example"))
				}
				require.Equal(w.t, each.expected, strings.Join(all, " "))
			})
		}
	})
}

func TestOrderingByStateKnowsWhatTimeHasDone(t *testing.T) {
	inEachWorld(t, func(w *world) {
		everyState(w)
		expected := []string{"accepted", "canceled", "expired", "pending", "project", "rejected", "requested"}
		for _, key := range []string{"o=state", "o=-state"} {
			rows, _ := w.list("staff", key)
			var states []string
			for _, each := range rows {
				states = append(states, string(each.State))
			}
			require.Equal(w.t, expected, states, key)
			slices.Reverse(expected)
		}
	}, onlyStaff)
}

func TestPagesNeverOverlap(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.fill(57) // all of one moment, state, creator
		for _, each := range []string{"", "o=created", "o=-state", "o=created_by", "o=email", "o=-email,state"} {
			for _, size := range []int{7, 10, 57} {
				seen := map[string]bool{}
				var before []string
				for page := 1; (page-1)*size < 57; page++ {
					rows, _ := w.list("staff", each+"&page_size="+itoa(size)+"&page="+itoa(page))
					for _, row := range rows {
						require.False(w.t, seen[row.UUID.String()], "twice: %s", each)
						seen[row.UUID.String()] = true
						if !strings.Contains(each, "email") {
							before = append(before, row.UUID.String())
						}
					}
				}
				require.Len(w.t, seen, 57)
				require.True(w.t, slices.IsSorted(before), "ties fall to the uuid")
			}
		}
	})
}

func TestPageSizes(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.fill(301)
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
			w.run(each.query, func(w *world) {
				rows, answer := w.list("staff", each.query)
				require.Len(w.t, rows, each.rows)
				require.Equal(w.t, "301", answer.Header.Get("X-Result-Count"))
			})
		}
	})
}

func TestPagesThatAreNotThere(t *testing.T) {
	inEachWorld(t, func(w *world) {
		invalid := func(w *world, query string) {
			w.t.Helper()
			w.request("GET", base+"?"+query, "staff", nil).is(http.StatusNotFound, `{"detail": "Invalid page."}`)
		}
		rows, answer := w.list("staff", "page=1")
		require.Empty(w.t, rows)
		require.JSONEq(w.t, "[]", answer.Body)
		require.Equal(w.t, "0", answer.Header.Get("X-Result-Count"))
		invalid(w, "page=2")

		w.fill(11)
		for _, page := range []string{
			"3", "0", "-1", "x", "1.5", "1e0", "last", "%20", "9223372036854775807", "9223372036854775808",
			"99999999999999999999999999999999",
		} {
			w.run(page, func(w *world) {
				invalid(w, "page="+page)
				invalid(w, "page_size=300&page="+page)
			})
		}
		invalid(w, "page=2&page_size=11")
		invalid(w, "page=2&state=expired")
		invalid(w, "page=0&o=email")
	})
}

var linkForm = regexp.MustCompile(`^<([^<>]*)>; rel="(first|prev|next|last)"$`)

// links reads a Link header: the URLs by relation.
func (r response) links() map[string]*url.URL {
	r.t.Helper()
	all := map[string]*url.URL{}
	for _, each := range strings.Split(r.Header.Get("Link"), ", ") {
		parts := linkForm.FindStringSubmatch(each)
		require.NotNil(r.t, parts, each)
		require.NotContains(r.t, all, parts[2])
		address, err := url.Parse(parts[1])
		require.NoError(r.t, err)
		require.Equal(r.t, "https://api.example/api/user-invitations/", address.Scheme+"://"+address.Host+address.Path)
		all[parts[2]] = address
	}
	return all
}

func TestLinksToOtherPages(t *testing.T) {
	inEachWorld(t, func(w *world) {
		pages := func(w *world, query string) map[string]string {
			w.t.Helper()
			_, answer := w.list("staff", query)
			all := map[string]string{}
			for relation, address := range answer.links() {
				require.Len(w.t, address.Query()["page"], 1)
				all[relation] = address.Query().Get("page")
			}
			return all
		}
		require.Equal(w.t, map[string]string{"first": "1", "last": "1"}, pages(w, ""))
		w.fill(30)
		require.Equal(w.t, map[string]string{"first": "1", "next": "2", "last": "3"}, pages(w, ""))
		require.Equal(w.t, map[string]string{"first": "1", "next": "2", "last": "3"}, pages(w, "page=1"))
		require.Equal(w.t, map[string]string{"first": "1", "prev": "1", "next": "3", "last": "3"}, pages(w, "page=2"))
		require.Equal(w.t, map[string]string{"first": "1", "prev": "2", "last": "3"}, pages(w, "page=3"))
		require.Equal(w.t, map[string]string{"first": "1", "last": "1"}, pages(w, "page_size=30"))
		require.Equal(w.t, map[string]string{"first": "1", "next": "2", "last": "2"}, pages(w, "page_size=29"))
		require.Equal(w.t, map[string]string{"first": "1", "last": "1"}, pages(w, "state=expired"))
	})
}

func TestLinksKeepTheOtherParameters(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.fill(5)
		asked := url.Values{
			"page": {"2"}, "page_size": {"2"}, "state": {"pending", "expired"}, "email": {`fill&o=x%"<>é `},
			"o": {"email", "-state"}, "unknown": {"1"},
		}
		asked.Set("email", "@FILL.")
		_, answer := w.list("staff", asked.Encode())
		for relation, page := range map[string]string{"first": "1", "prev": "1", "next": "3", "last": "3"} {
			expected := url.Values{}
			for name, values := range asked {
				expected[name] = values
			}
			expected.Set("page", page)
			require.Contains(w.t, answer.links(), relation)
			require.Equal(w.t, expected, answer.links()[relation].Query(), relation)
		}
		// What would break out of the header stays in its parameter.
		_, answer = w.list("staff", url.Values{"unknown": {"<>\"\r\nX-Evil: 1, é&page=9"}}.Encode())
		require.Empty(w.t, answer.Header.Get("X-Evil"))
		require.Equal(w.t, "<>\"\r\nX-Evil: 1, é&page=9", answer.links()["first"].Query().Get("unknown"))
	})
}

func TestAFollowedLinkIsTheNextPage(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.fill(25)
		var all []string
		for next := "o=-email,created&page_size=10"; ; {
			rows, answer := w.list("staff", next)
			for _, each := range rows {
				all = append(all, string(each.Email))
			}
			link, more := answer.links()["next"]
			if !more {
				break
			}
			next = link.RawQuery
		}
		require.Len(w.t, all, 25)
		slices.Reverse(all)
		require.True(w.t, slices.IsSorted(all))
	})
}

func TestAddressesNeverComeFromTheRequest(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "anna@alpha.example", admin, apollo)
		for _, path := range []string{base, at(made.UUID.String())} {
			r := w.newRequest("GET", path, "owner", nil)
			r.Host = "evil.example"
			r.Header.Set("X-Forwarded-Host", "evil.example")
			r.Header.Set("X-Forwarded-Proto", "gopher")
			r.Header.Set("Forwarded", "host=evil.example")
			answer := w.send(r).is(http.StatusOK, "")
			require.NotContains(w.t, answer.Body+answer.Header.Get("Link"), "evil.example")
			require.Contains(w.t, answer.Body, `"https://api.example/api/user-invitations/`+made.UUID.String()+`/"`)
		}
		r := w.newRequest("POST", base, "owner", draft("bob@beta.example", admin, apollo))
		r.Host = "evil.example"
		require.Regexp(w.t, `^https://api\.example/`, w.send(r).is(http.StatusCreated, "").Header.Get("Location"))
	})
}
