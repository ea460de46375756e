//go:build gateway

package systemtest

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// pageBrowser is a browser without scripts that keeps the cookies of the gateway's host.
type pageBrowser struct {
	*front
	cookies map[string]string
}

// send sends a request as a browser does from a page of the server, and keeps the cookies of the response.
func (b *pageBrowser) send(method, address string, form url.Values) harness.Response {
	b.t.Helper()
	headers := []string{"Origin", strings.TrimSuffix(b.base, "/invitations/")}
	for name, value := range b.cookies {
		headers = append(headers, "Cookie", name+"="+value)
	}
	r, err := harness.NewRequest(b.t.Context(), method, address, "", form.Encode(), headers...)
	require.NoError(b.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := harness.Send(b.t, b.clients["127.0.0.1"], r)
	require.NoError(b.t, err)
	b.checkPage(a, address)
	for _, text := range a.Header.Values("Set-Cookie") {
		cookie, err := http.ParseSetCookie(text)
		require.NoError(b.t, err)
		require.True(b.t, strings.HasPrefix(cookie.Name, "__Host-invited"), cookie.Name)
		require.True(b.t, cookie.Secure && cookie.HttpOnly && cookie.SameSite == http.SameSiteLaxMode && cookie.Path == "/" && cookie.Domain == "", text)
		if cookie.MaxAge < 0 {
			delete(b.cookies, cookie.Name)
		} else {
			b.cookies[cookie.Name] = cookie.Value
		}
	}
	return a
}

// checkPage asserts that the response of an address has each header of a page, once, and as the server wrote it.
func (f *front) checkPage(a harness.Response, address string) {
	f.t.Helper()
	direct := f.do("GET", "http://"+f.replicas[0].Address+"/", "", "").Is(http.StatusOK)
	for _, name := range []string{
		"Cache-Control", "Content-Security-Policy", "Cross-Origin-Opener-Policy", "X-Content-Type-Options", "X-Robots-Tag",
	} {
		require.Len(f.t, direct.Header.Values(name), 1, name)
		require.Equal(f.t, direct.Header.Values(name), a.Header.Values(name), name)
	}
	require.Contains(f.t, a.Header.Get("Content-Security-Policy"), "default-src 'none'")
	referrer := "same-origin"
	if path, _, _ := strings.Cut(address, "?"); strings.Contains(path, "/invitation/") { // the path has the invitee's link
		referrer = "no-referrer"
	}
	require.Equal(f.t, []string{referrer}, a.Header.Values("Referrer-Policy"), address)
	require.Equal(f.t, []string{"max-age=31536000"}, a.Header.Values("Strict-Transport-Security"))
	f.requestID(a)
	f.checkURLs(a)
}

// follow sends a request and follows the redirect of its response.
func (b *pageBrowser) follow(method, address string, form url.Values) harness.Response {
	b.t.Helper()
	a := b.send(method, address, form).Is(http.StatusSeeOther)
	from, err := url.Parse(address)
	require.NoError(b.t, err)
	to, err := from.Parse(a.Header.Get("Location"))
	require.NoError(b.t, err)
	require.True(b.t, strings.HasPrefix(to.String(), b.base), "%s", to)
	return b.send(http.MethodGet, to.String(), nil)
}

// A person opens the page of an invitation, signs in by a code, and accepts, all under the prefix. No log of the gateway has
// the session.
func testPages(t *testing.T, f *front) {
	const email = "pages@university.example"
	invitation, _ := f.create(email)
	link := f.base + "invitation/" + invitation.UUID + "/"
	b := &pageBrowser{f, map[string]string{}}
	first := b.send(http.MethodGet, link, nil).Is(http.StatusOK)
	require.Contains(t, first.Body, `value="`+email+`"`)
	style := regexp.MustCompile(`<link rel="stylesheet" href="([^"]+)">`).FindStringSubmatch(first.Body)
	require.NotNil(t, style)
	to, err := url.Parse(link)
	require.NoError(t, err)
	to, err = to.Parse(style[1])
	require.NoError(t, err)
	require.Contains(t, f.do("GET", to.String(), "", "").Is(http.StatusOK).Header.Get("Content-Type"), "text/css")

	returnTo := url.Values{"email": {email}, "return_to": {"/invitation/" + invitation.UUID + "/"}}
	require.Contains(t, b.follow(http.MethodPost, f.base+"sign-in/", returnTo).Is(http.StatusOK).Body, `name="code"`)
	code := ""
	f.replicas[0].WaitUntil("the code is mailed", func() bool {
		for _, each := range f.env.Mails() {
			if found := regexp.MustCompile(`Subject: (\d{6}) is your code`).FindStringSubmatch(each); found != nil && strings.Contains(each, email) {
				code = found[1]
			}
		}
		return code != ""
	})
	page := b.follow(http.MethodPost, f.base+"sign-in/code/", url.Values{"code": {code}, "return_to": returnTo["return_to"]}).Is(http.StatusOK)
	require.Contains(t, page.Body, "Olivia Owner")
	require.Len(t, b.cookies, 1)
	session := b.cookies["__Host-invited"]
	require.NotEmpty(t, session)

	// Another site's form is refused, behind the gateway too.
	a := f.do("POST", link+"accept/", "", "", "Cookie", "__Host-invited="+session, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, a.Status)
	require.NotContains(t, f.env.Members("Apollo"), email+" PROJECT.ADMIN")
	require.Contains(t, b.follow(http.MethodPost, link+"accept/", url.Values{}).Is(http.StatusOK).Body, "You are in the project")
	require.Contains(t, f.env.Members("Apollo"), email+" PROJECT.ADMIN")

	last := f.requestID(b.follow(http.MethodPost, f.base+"sign-out/", url.Values{}).Is(http.StatusOK))
	require.Empty(t, b.cookies)
	f.replicas[0].WaitUntil("the gateway logs", func() bool {
		content, err := os.ReadFile(f.accessLog)
		require.NoError(t, err)
		require.NotContains(t, string(content), session)
		require.NotContains(t, string(content), invitation.UUID)
		return strings.Contains(string(content), last)
	})
}

// The long code and state of an issuer reach the server, and are in no log.
func testLongCallbacks(t *testing.T, f *front) {
	b := &pageBrowser{f, map[string]string{}}
	for range 6 { // a few failures would take the replicas out of service
		a := b.send(http.MethodGet, f.base+"sign-in/nobody/callback/?code="+strings.Repeat("c0de", 2048)+"&state="+strings.Repeat("5tate", 1600), nil)
		require.Contains(t, a.Is(http.StatusNotFound).Body, "This link is not valid")
	}
	content, err := os.ReadFile(f.accessLog)
	require.NoError(t, err)
	require.NotContains(t, string(content), "c0dec0de") // four letters can be part of a request id
	f.do("GET", invitationsPath+"?page_size=1", "olivia", "").Is(http.StatusOK)
}

// What signs in on the pages is limited by client address as the operations without a token are.
func testPageRateLimits(t *testing.T, f *front) {
	if !f.g.limits {
		t.Skip(f.g.name + " of the distribution has no rate limits: its README.md says so")
	}
	paths := []string{"sign-in/", "sign-in/code/", "sign-%69n//code/", "invitation_approve/x/", "/invitation_reject/x/"}
	limited := 0
	for i := range 60 {
		a, err := f.from("127.0.0.3", "POST", f.base+paths[i%len(paths)], "", "")
		require.NoError(t, err)
		if a.Status != http.StatusTooManyRequests {
			require.Contains(t, a.Header.Get("Content-Type"), "text/html", "%d %s", a.Status, a.Body)
			continue
		}
		limited++
		require.JSONEq(t, `{"detail": "Request was throttled."}`, a.Body)
		if limited%10 == 1 {
			a, err := f.from("127.0.0.3", "GET", "sign-in/", "", "")
			require.NoError(t, err)
			a.Is(http.StatusOK)
			f.do("POST", "sign-in/", "", "").Is(http.StatusBadRequest)
		}
	}
	require.Greater(t, limited, 25, "of 60")
}

// A gateway on the same machine lets nobody into a demonstration, whose people anybody can be.
func TestGatewayDemo(t *testing.T) {
	for _, g := range []gateway{nginxProgram, caddyProgram} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			f := prepareFront(t, harness.New(t, ""), g)
			f.env.Set("INVITED_SECRET_KEY=", "INVITED_PUBLIC_URL="+f.base, "INVITED_TRUSTED_PROXIES=127.0.0.1/32")
			demo := f.env.Serve("--demo")
			f.replicas = []*harness.Process{demo, demo}
			f.start()
			direct := "http://" + demo.Address
			require.Contains(t, f.do("GET", direct+"/demo/", "", "").Is(http.StatusOK).Body, "Olivia Owner")
			f.do("POST", direct+"/demo/be/sam/", "", "").Is(http.StatusSeeOther)
			for _, headers := range [][]string{nil, forgedHeaders, {"X-Forwarded-For", "127.0.0.1", "Host", publicHost}} {
				for _, path := range []string{"demo/", "demo/be/sam/"} {
					for _, method := range []string{"GET", "POST"} {
						a := f.do(method, path, "", "", headers...)
						require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, a.Status, "%s %s", method, path)
						require.Empty(t, a.Header.Values("Set-Cookie"))
						require.NotContains(t, a.Body, "Olivia")
					}
				}
			}
		})
	}
}
