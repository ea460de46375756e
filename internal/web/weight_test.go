package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

// The page on which people accept is one request, and one for the stylesheet, and less than 30 kB in all.
func TestAcceptPageIsLight(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo, func(d *invitation.Draft) { d.ExtraInvitationText = strings.Repeat("x", 2000) })
		b := e.browser()
		for _, signIn := range []bool{false, true} {
			if signIn {
				b.signIn("ina@university.example")
			}
			got := b.get("/invitation/" + made.UUID.String() + "/")
			require.Equal(e, []string{`<link rel="stylesheet" href="/pages.css">`, `<link rel="icon" href="data:,">`},
				regexp.MustCompile(`<(?:link|script|img|iframe|object)\b[^>]*>`).FindAllString(got.body, -1))
			require.Less(e, len(got.body)+len(b.get("/pages.css").body), 30_000)
		}
	})
}

// Below a path of the public URL, every link, form, file and redirect of the console stays below the path.
func TestConsoleKeepsThePrefix(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("guest@example.org", apollo)
		b := e.browser()
		b.signIn("olivia@acme.example")
		handler := e.pages("https://host.example/prefix/")
		session := b.client.Jar.Cookies(mustParse(e, e.server.URL))[0].Value
		get := func(method, path, body string) *httptest.ResponseRecorder {
			answer := httptest.NewRecorder()
			r := httptest.NewRequest(method, "https://host.example"+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.AddCookie(&http.Cookie{Name: "__Host-invited", Value: session})
			handler.ServeHTTP(answer, r.WithContext(e.Context()))
			return answer
		}
		one := "/console/" + made.UUID.String() + "/"
		for _, path := range []string{"/console/", "/console/?text=guest", one, "/console/new/", "/console/new/?scope=" + inApollo, "/console/bulk/", "/console/bulk/?scope=" + inApollo} {
			answer := get(http.MethodGet, path, "")
			require.Equal(e, http.StatusOK, answer.Code, path)
			require.Contains(e, answer.Header().Get("Content-Security-Policy"), "script-src 'self'")
			links := regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(answer.Body.String(), -1)
			require.NotEmpty(e, links)
			for _, link := range links {
				require.Regexp(e, `^(?:/prefix/|#main$|data:,$)`, link[1], path)
			}
		}
		require.Equal(e, "/prefix"+one+"?done=cancel", get(http.MethodPost, one+"cancel/", "").Header().Get("Location"))
		require.Equal(e, "/prefix/console/?text=guest", get(http.MethodGet, "/console/?text=guest&page=9", "").Header().Get("Location"))
		require.Equal(e, "text/javascript; charset=utf-8", get(http.MethodGet, "/pages.js", "").Header().Get("Content-Type"))
	})
}

// The console alone runs a script, which is the server's own.
func TestOnlyTheConsoleHasAScript(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		for path, has := range map[string]bool{"/": false, "/demo/": false, "/invitation/x/": false, "/user-group-invitation/x/": false, "/console/": true, "/console/new/": true, "/console/x/": true} {
			got := b.get(path)
			require.Equal(e, has, strings.Contains(got.body, "<script"), path)
			require.Equal(e, has, strings.Contains(got.header.Get("Content-Security-Policy"), "script-src 'self'; connect-src 'self'"), path)
			require.Contains(e, got.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'")
		}
	})
}
