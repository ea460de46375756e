package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/token"
)

func mustParse(e *env, address string) *url.URL {
	e.Helper()
	parsed, err := url.Parse(address)
	require.NoError(e, err)
	return parsed
}

// A form of another site is refused and changes nothing, whatever the form is.
func TestOtherSitesCanNotPost(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo)
		b := e.browser()
		b.signIn("ina@university.example")
		requests, link := len(e.codes()), e.joinLink(approvesAtOnce)
		for name, header := range map[string]http.Header{
			"cross-site": {"Sec-Fetch-Site": {"cross-site"}},
			"same-site":  {"Sec-Fetch-Site": {"same-site"}},
			"an origin":  {"Origin": {"https://evil.example"}},
			"no origin":  {"Origin": {"null"}},
		} {
			b.header = header
			for _, path := range []string{
				"/sign-in/", "/sign-in/code/", "/sign-out/", "/invitation/" + made.UUID.String() + "/accept/",
				"/invitation_approve/x/", "/invitation_reject/x/", "/console/new/", "/console/" + made.UUID.String() + "/send/",
				"/console/" + made.UUID.String() + "/cancel/", "/demo/be/ina/", "/account/tokens/", "/account/revoke/", "/account/sign-out/",
				"/invitation/" + made.UUID.String() + "/decline/", "/invitation/" + made.UUID.String() + "/undo-decline/",
				"/invitation/" + made.UUID.String() + "/ask-again/", "/console/requests/" + made.UUID.String() + "/approve/",
				"/console/requests/" + made.UUID.String() + "/reject/", pathOfLink(link), "/requests/" + link.UUID.String() + "/take-back/",
				"/console/bulk/", "/console/bulk/" + made.UUID.String() + "/cancel/",
			} {
				got := b.post(path, "email", "ina@university.example")
				require.Equal(e, http.StatusForbidden, got.status, "%s: %s", name, path)
				require.Contains(e, got.body, "This form came from another site")
			}
		}
		b.header = http.Header{}
		require.True(e, b.isSignedIn())
		require.Len(e, e.codes(), requests)
		require.Empty(e, e.requests("ina"))
		require.Equal(e, "You are invited", b.get("/invitation/"+made.UUID.String()+"/").heading(e))
	})
}

// GET and HEAD change nothing, on any page.
func TestReadingChangesNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo)
		b := e.browser()
		b.signIn("ina@university.example")
		e.service.Policy.OnlyStaffCanInvite = true
		asked := e.invite("asked@university.example", apollo)
		link, waits := e.joinLink(approvesAtOnce), e.joinLink(e.makesProjects())
		_, err := e.joining.Submit(e.Context(), e.user("ina"), waits.UUID, "", "")
		require.NoError(e, err)
		codes := len(e.codes())
		staff := e.browser()
		staff.signIn("sam@example.com")
		rows := carry(e, `[{"email":"x@example.org","role":"`+admin+`","scope":"`+apollo+`"}]`)
		for _, path := range []string{
			"/", "/sign-in/", "/sign-in/code/", "/sign-out/", "/demo/", "/demo/be/ina/", "/console/", "/console/new/",
			"/invitation/" + made.UUID.String() + "/", "/invitation/" + made.UUID.String() + "/accept/",
			"/invitation_approve/" + e.approval(token.Approve, asked) + "/", "/invitation_reject/" + e.approval(token.Reject, asked) + "/",
			"/console/" + made.UUID.String() + "/", "/console/" + made.UUID.String() + "/send/", "/console/" + made.UUID.String() + "/cancel/",
			"/invitation/" + made.UUID.String() + "/decline/", "/invitation/" + made.UUID.String() + "/undo-decline/",
			"/invitation/" + made.UUID.String() + "/ask-again/", "/console/requests/", "/console/requests/" + asked.UUID.String() + "/approve/",
			"/console/requests/" + asked.UUID.String() + "/reject/", pathOfLink(link), pathOfLink(waits),
			"/requests/" + e.requests("ina")[0].UUID.String() + "/take-back/",
			"/console/bulk/", "/console/bulk/" + made.UUID.String() + "/", "/console/bulk/" + made.UUID.String() + "/cancel/",
			"/account/", "/account/tokens/", "/account/revoke/", "/account/sign-out/",
		} {
			for _, each := range []*browser{b, staff, e.browser()} {
				each.get(path + "?email=ina@university.example&code=123456&session=others&name=x&days=7&scope=project:" + apollo + "&role=" + admin + "&emails=x@example.org&step=send&rows=" + rows)
				require.Empty(e, each.send(http.MethodHead, path, nil).body, path)
			}
		}
		require.True(e, b.isSignedIn())
		require.True(e, staff.isSignedIn())
		require.Empty(e, e.user("ina").Grants)
		require.Len(e, e.requests("ina"), 1)
		require.Equal(e, joining.Pending, e.requests("ina")[0].State)
		require.Len(e, e.codes(), codes+1, "that of staff")
		for id, state := range map[uuid.UUID]invitation.State{made.UUID: invitation.Pending, asked.UUID: invitation.Requested} {
			found, err := e.service.Retrieve(e.Context(), e.user("sam"), id)
			require.NoError(e, err)
			require.Equal(e, state, found.State)
			require.Zero(e, found.Delivery)
		}
	})
}

// The browser is sent to paths of this server and nowhere else.
func TestNoOpenRedirect(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, to := range []string{
			"https://evil.example/", "//evil.example/", `/\evil.example/`, "/%2f%2fevil.example/", "javascript:alert(1)", "/a/?x=1",
			"/console/?x=//evil.example/", "/console/?evil\r\nSet-Cookie:x", "/console/?evil;x", "/console/?" + strings.Repeat("evil=1&", 100),
			"/..//evil.example/", "\t//evil.example/", "/a\r\nSet-Cookie: x=1/", "evil", strings.Repeat("/a", 300) + "/",
		} {
			b := e.browser()
			b.signIn("ina@university.example")
			require.Equal(e, "/", b.post("/sign-out/", "return_to", to).location, to)
			require.NotContains(e, b.get("/sign-in/?return_to="+url.QueryEscape(to)).body, "evil", to)
			e.clock.Advance(3600e9)
		}
	})
}

func TestCookies(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		asked := b.post("/sign-in/", "email", "ina@university.example")
		entered := b.post("/sign-in/code/", "code", e.lastCode())
		for _, answer := range []page{asked, entered} {
			require.NotEmpty(e, answer.header.Values("Set-Cookie"))
			for _, cookie := range answer.header.Values("Set-Cookie") {
				require.Contains(e, cookie, "HttpOnly")
				require.Contains(e, cookie, "SameSite=Lax")
				require.Contains(e, cookie, "Path=/;")
			}
		}
		// Where browsers come by https, cookies are theirs alone.
		secure := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "https://invite.example/sign-in/", strings.NewReader("email=ina@university.example"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		e.pages("https://invite.example/people/").ServeHTTP(secure, r.WithContext(e.Context()))
		require.Equal(e, "/people/sign-in/code/", secure.Header().Get("Location"))
		require.Regexp(e, "^__Host-invited-code=.*; Path=/; .*; HttpOnly; Secure; SameSite=Lax$", secure.Header().Get("Set-Cookie"))
		// A cookie that nobody made signs nobody in, and is dropped.
		forged := e.browser()
		forged.client.Jar.SetCookies(mustParse(e, e.server.URL), []*http.Cookie{{Name: "invited", Value: strings.Repeat("A", 52)}})
		require.False(e, forged.isSignedIn())
		require.Empty(e, forged.client.Jar.Cookies(mustParse(e, e.server.URL)))
	})
}

// What users type is text on every page, and a large form is refused.
func TestNamesAreText(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const evil = `</title><script>alert(1)</script>"'&{{.}}`
		e.apply("users: [{username: olivia, full_name: '" + strings.ReplaceAll(evil, "'", "''") + "'}]")
		e.apply("customers: [{name: Acme, projects: [{uuid: " + apollo + ", name: '" + strings.ReplaceAll(evil, "'", "''") + "'}]}]")
		made := e.invite("ina@university.example", apollo, func(d *invitation.Draft) { d.ExtraInvitationText = evil + "\n\u202e" + evil })
		b := e.browser()
		b.signIn("ina@university.example")
		for _, path := range []string{"/", "/invitation/" + made.UUID.String() + "/"} {
			got := b.get(path)
			require.Equal(e, http.StatusOK, got.status)
			require.NotContains(e, got.body, "<script")
			require.Contains(e, got.body, "&lt;script&gt;alert(1)")
		}
		require.Equal(e, http.StatusBadRequest, b.post("/sign-in/", "email", strings.Repeat("x", 17<<10)).status)
	})
}

func TestPageHeaders(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		for _, path := range []string{"/", "/sign-in/", "/invitation/x/", "/invitation_approve/x/", "/user-group-invitation/x/"} {
			got := b.get(path)
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": map[bool]string{true: "no-referrer", false: "same-origin"}[strings.HasSuffix(path, "/x/")], "Cross-Origin-Opener-Policy": "same-origin", "X-Robots-Tag": "noindex",
				"Content-Type": "text/html; charset=utf-8",
			} {
				require.Contains(e, got.header.Get(name), want, "%s of %s", name, path)
			}
		}
		require.Contains(e, b.get("/pages.css").header.Get("Content-Type"), "text/css")
		require.Equal(e, http.StatusNotFound, b.get("/elsewhere").status)
	})
}

// A link that admits is not in the log.
func TestLinksAreMaskedInTheLog(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo)
		approval := e.approval(token.Approve, made)
		link := e.joinLink()
		b := e.browser()
		b.get("/invitation/" + made.UUID.String() + "/")
		b.post("/invitation/" + made.UUID.String() + "/accept/")
		b.get("/invitation_approve/" + approval + "/")
		b.get(pathOfLink(link))
		b.get(linkPath(link))
		b.post(linkPath(link) + "cancel/")
		b.get("/console/links/new/")
		e.server.Close()
		require.NotContains(e, e.log.String(), made.UUID.String())
		require.NotContains(e, e.log.String(), approval)
		require.NotContains(e, e.log.String(), link.UUID.String())
		for _, path := range []string{"/invitation/…/accept/", "/user-group-invitation/…/", "/console/links/…/cancel/", "/console/links/new/"} {
			require.Contains(e, e.log.String(), "path="+path)
		}
	})
}

// A path without the slash at its end leads to the page, below the path of the public URL. No other path is redirected.
func TestRedirectsKeepThePrefix(t *testing.T) {
	onEachEngine(t, func(e *env) {
		handler := e.pages("https://host.example/prefix/")
		get := func(method, path string) *httptest.ResponseRecorder {
			answer := httptest.NewRecorder()
			r := httptest.NewRequest(method, "https://host.example/", nil)
			r.URL.Path = path
			handler.ServeHTTP(answer, r.WithContext(e.Context()))
			return answer
		}
		for _, path := range []string{"/sign-in", "/invitation/" + uuid.NewString(), "/user-group-invitation/" + uuid.NewString(), "/console"} {
			answer := get(http.MethodGet, path)
			require.Equal(e, http.StatusPermanentRedirect, answer.Code, path)
			require.Equal(e, "/prefix"+path+"/", answer.Header().Get("Location"))
			require.Equal(e, strings.Contains(path, "invitation/"), answer.Header().Get("Referrer-Policy") == "no-referrer")
			require.Equal(e, http.StatusNotFound, get(http.MethodPost, path).Code, path)
		}
		for _, path := range []string{"//console/", "/console//", "/./console/", "/console/../sign-in/", "/nothing", "/api//x/"} {
			require.Equal(e, http.StatusNotFound, get(http.MethodGet, path).Code, path)
		}
	})
}

// countingBody is a body without an end, which counts what was read of it.
type countingBody struct{ read int }

func (b *countingBody) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	b.read += len(p)
	return len(p), nil
}

// A form that is refused before a page sees it is not read either: neither into memory nor onto the disk.
func TestRefusedFormsAreNotRead(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for name, headers := range map[string]map[string]string{
			"another site":          {"Sec-Fetch-Site": "cross-site"},
			"a token that is bad":   {"Authorization": "Token nope"},
			"nobody":                {},
			"no form":               {"Content-Type": "application/octet-stream", "Sec-Fetch-Site": "cross-site"},
			"a form, another site":  {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site"},
			"a form of nobody":      {"Content-Type": "application/x-www-form-urlencoded"},
			"a form of a bad token": {"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Token nope"},
		} {
			for _, path := range []string{"/sign-in/", "/sign-out/", "/console/new/", "/console/bulk/", "/invitation/x/accept/", "/user-group-invitation/x/", "/requests/x/take-back/"} {
				endless := &countingBody{}
				body := io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"), io.LimitReader(endless, 10<<20))
				r := httptest.NewRequestWithContext(e.Context(), http.MethodPost, path, body)
				r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
				for name, value := range headers {
					r.Header.Set(name, value)
				}
				answer := httptest.NewRecorder()
				e.server.Config.Handler.ServeHTTP(answer, r)
				require.GreaterOrEqual(e, answer.Code, 300, "%s: %s", name, path)
				require.Less(e, endless.read, 200<<10, "%s: %s", name, path)
			}
		}
	})
}

// A code that ended, and a cookie that is made up, write nothing: no event and no lock.
func TestDeadCodesWriteNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.post("/sign-in/", "email", "ina@university.example")
		kept := b.client.Jar.Cookies(mustParse(e, e.server.URL))
		for range 5 {
			require.Equal(e, http.StatusBadRequest, b.post("/sign-in/code/", "code", "x").status)
		}
		require.Len(e, e.events(), 5)
		for range 3 {
			b.client.Jar.SetCookies(mustParse(e, e.server.URL), kept)
			require.Equal(e, http.StatusBadRequest, b.post("/sign-in/code/", "code", "x").status)
			b.client.Jar.SetCookies(mustParse(e, e.server.URL), []*http.Cookie{{Name: "invited-code", Value: "made-up.eA", Path: "/"}})
			require.Equal(e, http.StatusBadRequest, b.post("/sign-in/code/", "code", "x").status)
		}
		require.Len(e, e.events(), 5)
	})
}

// Where codes by mail are off, nobody can ask for one.
func TestSignInWithoutMail(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withoutMail = true
		handler := e.pages(e.server.URL + "/")
		for _, each := range []struct {
			method, path string
			status       int
		}{
			{"POST", "/sign-in/", http.StatusNotFound},
			{"POST", "/sign-in/code/", http.StatusNotFound},
			{"GET", "/sign-in/code/", http.StatusNotFound},
			{"GET", "/sign-in/", http.StatusOK},
		} {
			r := httptest.NewRequestWithContext(e.Context(), each.method, each.path, strings.NewReader("email=ina@university.example"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, r)
			require.Equal(e, each.status, answer.Code, "%s %s", each.method, each.path)
			require.NotContains(e, answer.Body.String(), "Mail me a code")
		}
		require.Empty(e, e.codes())
	})
}
