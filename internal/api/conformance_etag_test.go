package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// askWith sends a request with header lines If-None-Match.
func (e *env) askWith(method, path, user string, lines ...string) response {
	e.t.Helper()
	r := e.newRequest(method, path, user, nil)
	r.Header["If-None-Match"] = lines
	return e.send(r)
}

// A response has a tag that changes with it, and a client that has the tag gets no body.
func TestEntityTags(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.create("owner", "guest@example.org", member, apollo).UUID.String()
		e.create("owner", "other@example.org", member, apollo)
		for _, path := range []string{base, base + "?cursor=start", base + "?field=uuid&page_size=1", base + "?email=nobody", at(id)} {
			first := e.request("GET", path, "owner", nil).is(http.StatusOK, "")
			tag := first.Header.Get("ETag")
			require.Regexp(e.t, `^"[A-Za-z0-9_-]{24}"$`, tag)
			require.Equal(e.t, "private, no-cache", first.Header.Get("Cache-Control"))
			require.Equal(e.t, tag, e.request("GET", path, "owner", nil).Header.Get("ETag"), "the same response")
			require.Equal(e.t, tag, e.request("GET", path, "staff", nil).Header.Get("ETag"), "the same response to somebody else")
			for _, lines := range [][]string{
				{tag}, {"W/" + tag}, {"*"}, {" * "}, {`"a", ` + tag}, {`"a,b"` + "," + tag + `,"c"`}, {`"a"`, tag}, {"", tag}, {`W/"x",, ` + tag},
			} {
				for _, method := range []string{"GET", "HEAD"} {
					if method == "HEAD" && path != at(id) { // counts
						continue
					}
					answer := e.askWith(method, path, "owner", lines...)
					require.Equal(e.t, http.StatusNotModified, answer.Status, lines)
					require.Empty(e.t, answer.Body)
					require.Equal(e.t, tag, answer.Header.Get("ETag"))
					require.Equal(e.t, "private, no-cache", answer.Header.Get("Cache-Control"))
					require.Empty(e.t, answer.Header.Get("Content-Type"))
					require.Equal(e.t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
				}
			}
			for _, lines := range [][]string{
				nil,
				{""},
				{`""`},
				{`"a"`},
				{strings.Trim(tag, `"`)},
				{tag[:len(tag)-1]},
				{`"a" x ` + tag},
				{"w/" + tag},
				{tag[:4] + `"`},
				{"*, " + tag},
				{`"`},
				{`W/`},
				{strings.Repeat(`"a",`, 5000)},
			} {
				answer := e.askWith("GET", path, "owner", lines...)
				require.Equal(e.t, first.Body, answer.is(http.StatusOK, "").Body, lines)
				require.Equal(e.t, tag, answer.Header.Get("ETag"))
			}
		}

		// Whatever changes the response changes the tag: here the row, the count, and the time.
		one, list := e.request("GET", at(id), "owner", nil).Header.Get("ETag"), e.request("GET", base+"?page_size=1", "owner", nil).Header.Get("ETag")
		shown := func() []string {
			return []string{e.askWith("GET", at(id), "owner", one).Header.Get("ETag"), e.askWith("GET", base+"?page_size=1", "owner", list).Header.Get("ETag")}
		}
		require.Equal(e.t, []string{one, list}, shown())
		e.create("owner", "third@example.org", member, apollo)
		e.request("DELETE", at(e.emailID("third@example.org")), "owner", nil).is(http.StatusNoContent, "")
		require.Equal(e.t, []string{one, list}, shown())
		e.request("DELETE", at(e.emailID("other@example.org")), "owner", nil).is(http.StatusNoContent, "")
		require.Equal(e.t, one, shown()[0])
		require.NotEqual(e.t, list, shown()[1])
		e.clock.Advance(lifetime + time.Second) // nobody writes, and it is expired
		require.NotEqual(e.t, one, shown()[0])

		// What the caller may not see, and what is wrong, is not told by a tag.
		for _, each := range []struct {
			path, user string
			status     int
		}{
			{at(id), "rival", http.StatusNotFound},
			{at(id), "", http.StatusUnauthorized},
			{base, "", http.StatusUnauthorized},
			{base + "?page=9", "owner", http.StatusNotFound},
			{base + "?state=x", "owner", http.StatusBadRequest},
		} {
			for _, tag := range []string{"*", one, list} {
				answer := e.askWith("GET", each.path, each.user, tag)
				require.Equal(e.t, each.status, answer.Status, each.path)
				require.Empty(e.t, answer.Header.Get("ETag"))
				require.Equal(e.t, "no-store", answer.Header.Get("Cache-Control"))
			}
		}
		count := e.askWith("HEAD", base, "owner", "*").is(http.StatusOK, "")
		require.Empty(e.t, count.Header.Get("ETag"))
		require.Equal(e.t, "no-store", e.askWith("GET", at(id, "details"), "owner", "*").is(http.StatusOK, "").Header.Get("Cache-Control"))
	})
}

// emailID returns the uuid of the one invitation to an address.
func (e *env) emailID(email string) string {
	e.t.Helper()
	rows, _ := e.list("staff", encodeQuery("email_exact", email))
	require.Len(e.t, rows, 1)
	return rows[0].UUID.String()
}
