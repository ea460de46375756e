package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/signin"
	"invited/internal/signin/signintest"
	"invited/internal/token"
)

const (
	front        = "https://front.example/" // the front end
	exchangePath = "/api-auth/token-exchange/"
)

// ticket returns a one-time code for a user.
func (e *env) ticket(username string) string {
	e.t.Helper()
	session, err := e.identity(identity.CreateInvited).SignInAs(e.context(), username, "192.0.2.1")
	require.NoError(e.t, err)
	code, err := e.identity(identity.CreateInvited).HandOver(e.context(), session)
	require.NoError(e.t, err)
	return code.String()
}

// exchange exchanges a one-time code.
func (e *env) exchange(code string) response {
	e.t.Helper()
	return e.request("POST", exchangePath, "", map[string]string{"code": code})
}

// key exchanges a one-time code and returns the API key.
func (e *env) key(code string) string {
	e.t.Helper()
	var body struct{ Token string }
	e.exchange(code).is(http.StatusOK, "").decode(&body)
	return body.Token
}

const ticketEnded = `{"code": ["This code does not work any more. Sign in again."]}`

// The configuration is the same for everybody, and says nothing of the server but its addresses and its name.
func TestConfiguration(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, authorization := range []string{"", "Token staff-key", "Token nobodys-key", "Basic eDp5"} {
			answer := e.requestWith(authorization, "GET", "/api/configuration/", nil).is(http.StatusOK, "")
			require.JSONEq(e.t, e.request("GET", "/api/configuration/", "", nil).Body, answer.Body)
		}
		var body map[string]any
		e.request("GET", "/api/configuration/?format=json", "", nil).decode(&body)
		require.Equal(e.t, true, body["WALDUR_CORE"].(map[string]any)["INVITATIONS_ENABLED"], "Waldur's front end shows no invitation otherwise")
		require.NotContains(e.t, body["WALDUR_CORE"].(map[string]any)["AUTHENTICATION_METHODS"], "LOCAL_SIGNIN", "nobody has a password")
	})
}

// Roles are all that a caller without a key sees, and as users see them. A key that does not work is refused there too.
func TestRolesWithoutAKey(t *testing.T) {
	onEachEngine(t, func(e *env) {
		mine := e.request("GET", rolesPath+"?page_size=300", "owner", nil).is(http.StatusOK, "")
		nobodys := e.request("GET", rolesPath+"?page_size=300", "", nil).is(http.StatusOK, mine.Body)
		require.Equal(e.t, mine.Header.Get("X-Result-Count"), nobodys.Header.Get("X-Result-Count"))
		require.Equal(e.t, mine.Header.Get("Link"), nobodys.Header.Get("Link"))
		require.Equal(e.t, 9, e.headCount("", rolesPath))
		second := e.request("GET", rolesPath+"?page=2&page_size=4&content_type=project&o=x", "", nil)
		require.Equal(e.t, http.StatusNotFound, second.Status, "there are four roles for projects")
		e.request("GET", rolesPath+"?is_active=maybe", "", nil).is(http.StatusBadRequest, "")
		for _, bad := range []string{"Token nobodys-key", "Bearer nobodys-key", "Token", "Token a b", "Token inactive-key", "Bearer a.b.c"} {
			e.requestWith(bad, "GET", rolesPath, nil).is(http.StatusUnauthorized, "")
			require.Equal(e.t, http.StatusUnauthorized, e.requestWith(bad, "HEAD", rolesPath, nil).Status, bad)
		}
		for _, path := range []string{rolesPath + owner + "/", customersPath, projectsPath, permissionsPath, me, base} {
			e.request("GET", path, "", nil).is(http.StatusUnauthorized, noCredential)
		}
	})
}

func TestIdentityProviders(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.request("GET", "/api/identity-providers/", "", nil).is(http.StatusOK, `[]`)
		e.request("GET", "/api/identity-providers/mail/", "", nil).is(http.StatusNotFound, notFound)
		e.useIssuer(func(*api.Config) {})
		e.request("GET", "/api/identity-providers/", "", nil).is(http.StatusOK, `[{"provider": "campus", "label": "Example University",
			"client_id": "invited", "auth_url": "https://api.example/api-auth/campus/init/", "is_active": true}]`)
		e.useIssuer(func(c *api.Config) { c.SignsInByMail = true })
		require.Contains(e.t, e.request("GET", "/api/identity-providers/", "", nil).Body, `"provider":"mail"`)
		e.request("GET", "/api/identity-providers/mail/", "", nil).is(http.StatusOK, `{"provider": "mail", "label": "Code by mail",
			"client_id": "", "auth_url": "https://api.example/api-auth/mail/init/", "is_active": true}`)
	})
}

// A provider that does not exist is not found, whatever its name does to paths and URLs.
func TestUnknownProviders(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.useIssuer(func(*api.Config) {})
		for _, name := range []string{
			"none", "mail", "Campus", "campus%20", ".", "..", "%2e%2e", "campus%2f..", "..%2fcampus", "campus%2f", "%00", "campus%00", "%ff",
			"campus?", "campus%3f", "campus%23", "//evil.example", "https:%2f%2fevil.example", "@evil.example", strings.Repeat("x", 5000),
		} {
			for _, path := range []string{"/api/identity-providers/" + name + "/", "/api-auth/" + name + "/init/", "/api-auth/" + name + "/complete/"} {
				if strings.Contains(name, "?") { // the rest is a query
					continue
				}
				answer := e.request("GET", path, "", nil)
				require.Contains(e.t, []int{400, 404}, answer.Status, "%.60s: %s", path, answer.Body)
				require.Empty(e.t, answer.Header.Get("Location"), path)
				require.Empty(e.t, answer.Header.Get("Set-Cookie"), path)
			}
		}
		e.request("POST", "/api-auth/none/", "", map[string]string{"code": e.ticket("owner")}).is(http.StatusNotFound, notFound)
		e.request("POST", "/api-auth/password/", "", map[string]string{"username": "owner", "password": "x"}).is(http.StatusBadRequest, "")
	})
}

// A one-time code becomes a token of its user, once, within a minute. The token lives as long as a session.
func TestTokenExchange(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.useIssuer(func(*api.Config) {})
		code := e.ticket("owner")
		key := e.key(strings.ToUpper(strings.ReplaceAll(code, "-", ""))) // as Waldur writes it
		require.Regexp(e.t, `^inv_`, key)
		var mine struct{ Username string }
		e.requestWith("Token "+key, "GET", me, nil).is(http.StatusOK, "").decode(&mine)
		require.Equal(e.t, "owner", mine.Username)
		e.exchange(code).is(http.StatusBadRequest, ticketEnded)

		older := e.ticket("owner")
		e.request("POST", "/api-auth/campus/", "", map[string]any{
			"clientId": "invited", "code": older, "state": "x", "redirectUri": front + "oauth_login_completed/campus/",
		}).is(http.StatusOK, "")
		e.exchange(older).is(http.StatusBadRequest, ticketEnded)

		late := e.ticket("owner")
		e.clock.Advance(identity.TicketLifetime - time.Microsecond)
		e.key(late)
		late = e.ticket("owner")
		e.clock.Advance(identity.TicketLifetime)
		e.exchange(late).is(http.StatusBadRequest, ticketEnded)

		for _, bad := range []string{uuid.NewString(), uuid.Nil.String()} {
			e.exchange(bad).is(http.StatusBadRequest, ticketEnded)
		}
		e.exchange("x").is(http.StatusBadRequest, "")
		e.exchange(token.Digest(e.ticket("owner"))).is(http.StatusBadRequest, "")
		closed := e.ticket("owner")
		e.exec("UPDATE users SET is_active = FALSE WHERE username = 'owner'")
		e.exchange(closed).is(http.StatusBadRequest, ticketEnded)
		e.requestWith("Token "+key, "GET", me, nil).isUnauthorized("User inactive or deleted.")
		e.exec("UPDATE users SET is_active = TRUE WHERE username = 'owner'")

		e.setClock(e.clock.Now().Add(identity.SessionLifetime - 3*identity.TicketLifetime))
		e.requestWith("Token "+key, "GET", me, nil).is(http.StatusOK, "")
		e.clock.Advance(3 * identity.TicketLifetime)
		e.requestWith("Token "+key, "GET", me, nil).isUnauthorized("Token has expired.")
		require.NotContains(e.t, e.log.String(), code)
		require.NotContains(e.t, e.log.String(), key)
	})
}

// Of many who exchange a code at once, one gets a token.
func TestTokenExchangeOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		code := e.ticket("owner")
		before := e.countRows("api_tokens")
		requests := make([]*http.Request, 8)
		for i := range requests {
			requests[i] = e.newRequest("POST", exchangePath, "", map[string]string{"code": code})
		}
		won := 0
		for _, answer := range e.sendAtOnce(requests...) {
			if answer.Status == http.StatusOK {
				won++
				continue
			}
			answer.is(http.StatusBadRequest, ticketEnded)
		}
		require.Equal(e.t, 1, won)
		require.NotEqual(e.t, before, e.countRows("api_tokens"))
		require.Equal(e.t, "1", e.value("SELECT CAST(count(*) AS text) FROM api_tokens WHERE signed_in"))
		require.Equal(e.t, "0", e.countRows("sign_in_tickets"))
	})
}

// Signing a user out ends the tokens and the codes of front ends, and no other token. What ended is deleted.
func TestSignOutEndsFrontEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		key, others, pending := e.key(e.ticket("owner")), e.key(e.ticket("manager")), e.ticket("owner")
		ended, err := e.identity(identity.CreateInvited).SignOutUser(e.context(), "owner")
		require.NoError(e.t, err)
		require.Equal(e.t, 1, ended)
		e.requestWith("Token "+key, "GET", me, nil).isUnauthorized("Invalid token.")
		e.exchange(pending).is(http.StatusBadRequest, ticketEnded)
		e.request("GET", me, "owner", nil).is(http.StatusOK, "")
		e.requestWith("Token "+others, "GET", me, nil).is(http.StatusOK, "")

		e.ticket("owner")
		before := e.countRows("api_tokens")
		require.NoError(e.t, e.identity(identity.CreateInvited).Sweep(e.context()))
		require.Equal(e.t, before, e.countRows("api_tokens"))
		e.clock.Advance(48 * time.Hour)
		require.NoError(e.t, e.identity(identity.CreateInvited).Sweep(e.context()))
		require.Equal(e.t, "0", e.countRows("sign_in_tickets"))
		require.Equal(e.t, "0", e.value("SELECT CAST(count(*) AS text) FROM api_tokens WHERE signed_in"))
		e.request("GET", me, "owner", nil).is(http.StatusOK, "")
	})
}

// What ends sessions ends the tokens and the codes of front ends.
func TestFrontEndsEndWithSessions(t *testing.T) {
	onEachEngine(t, func(e *env) {
		rows := func() string {
			return e.countRows("sign_in_tickets") + " " + e.countRows("api_tokens WHERE signed_in OR issued_by_uuid IS NOT NULL")
		}
		portal := e.portal()
		signIn := func() {
			e.key(e.ticket("owner"))
			e.ticket("owner")
			portal("POST", userTokenPath(e.userID("owner")), nil).is(http.StatusCreated, "")
			require.Equal(e.t, "1 2", rows())
		}
		service := e.identity(identity.CreateInvited)
		owner := directory.Actor{User: directory.User{UUID: e.userID("owner"), Username: "owner"}, Via: directory.ViaSession}
		for _, record := range []string{"is_active: false", "kind: service, email: ''"} {
			signIn()
			e.apply("users: [{username: owner, " + record + "}]")
			require.Equal(e.t, "0 0", rows(), record)
			e.apply("users: [{username: owner, email: owner@acme.example, is_active: true, kind: null}]")
		}
		signIn()
		others := e.key(e.ticket("manager"))
		ended, err := service.EndOtherSessions(e.context(), owner, identity.Session{}, "192.0.2.1")
		require.NoError(e.t, err)
		require.Equal(e.t, 2, ended)
		require.Equal(e.t, "0 1", rows())
		e.requestWith("Token "+others, "GET", me, nil).is(http.StatusOK, "")
		events, err := service.EventsOf(e.context(), "owner", 1)
		require.NoError(e.t, err)
		require.Equal(e.t, "of front ends, from another session", events[0].Detail)
		e.exec("DELETE FROM api_tokens WHERE signed_in")
		signIn()
		ended, err = service.SignOutUser(e.context(), "owner")
		require.NoError(e.t, err)
		require.Equal(e.t, 2, ended)
		require.Equal(e.t, "0 0", rows())
		e.request("GET", me, "owner", nil).is(http.StatusOK, "") // another token

		pending := e.ticket("owner")
		e.exec("UPDATE users SET kind = 'service' WHERE username = 'owner'")
		e.exchange(pending).is(http.StatusBadRequest, ticketEnded)
	})
}

// Only digests of codes are stored.
func TestTicketsAreStoredAsDigests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		require.Equal(e.t, token.Digest(e.ticket("owner")), e.value("SELECT digest FROM sign_in_tickets"))
		require.Equal(e.t, "0", e.countRows("sessions"), "the session was handed over")
	})
}

// useIssuer replaces the server by one with an issuer that can't be reached, whose configuration is changed.
func (e *env) useIssuer(change func(*api.Config)) {
	e.t.Helper()
	e.server = httptest.NewServer(e.handler(func(c *api.Config) {
		c.Callers = e.callers(func(c *signin.ChainConfig) {
			c.Providers = signin.New(signin.Config{
				Issuers: []signin.Issuer{{ID: "campus", URL: "http://127.0.0.1:1", ClientID: "invited", Name: "Example University"}},
				Logger:  slog.New(slog.DiscardHandler), Now: e.clock.Now,
			})
		})
		change(c)
	}))
	e.server.Client().Timeout = requestTimeout
	e.server.Client().CheckRedirect = showRedirects
	e.t.Cleanup(e.server.Close)
}

// A browser goes to an issuer and comes back. It keeps cookies.
type browser struct {
	*env
	jar http.CookieJar
}

// frontEnd makes the environment's API sign people in with an issuer for a front end, and returns the issuer.
func (e *env) frontEnd() *signintest.Issuer {
	e.t.Helper()
	issuer := signintest.New(e.t)
	issuer.Now = e.clock.Now
	issuer.Person = signintest.Claims{"sub": "owner-1", "email": "owner@acme.example", "email_verified": true}
	e.server = httptest.NewUnstartedServer(nil)
	public := "http://" + e.server.Listener.Addr().String() + "/"
	e.server.Config.Handler = e.handler(func(c *api.Config) {
		c.PublicURL = public
		c.SignsInByMail = true
		c.Callers = e.callers(func(c *signin.ChainConfig) {
			c.Identity = e.identity(identity.CreateInvited)
			c.Providers = signin.New(signin.Config{
				Issuers: []signin.Issuer{
					{ID: "campus", URL: issuer.URL, ClientID: signintest.ClientID, ClientSecret: signintest.ClientSecret, Name: "Campus", Scopes: []string{"openid"}},
					{ID: "other", URL: "http://127.0.0.1:1", ClientID: signintest.ClientID, Name: "Other", Scopes: []string{"openid"}},
				},
				PublicURL: public, Logger: slog.New(slog.NewTextHandler(e.log, nil)), Now: e.clock.Now,
			})
		})
	})
	e.server.Start()
	e.server.Client().CheckRedirect = showRedirects
	e.t.Cleanup(e.server.Close)
	return issuer
}

func (e *env) browser() *browser {
	e.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(e.t, err)
	return &browser{e, jar}
}

// get sends the browser to a path of the API, or to another server.
func (b *browser) get(address string) response {
	b.t.Helper()
	if !strings.HasPrefix(address, "/") && !strings.HasPrefix(address, b.server.URL) {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: requestTimeout}
		answer, err := client.Get(address)
		require.NoError(b.t, err)
		require.NoError(b.t, answer.Body.Close())
		return response{b.t, answer.StatusCode, answer.Header, ""}
	}
	r := b.newRequest("GET", strings.TrimPrefix(address, b.server.URL), "", nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for _, cookie := range b.jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	answer := b.send(r)
	b.jar.SetCookies(r.URL, (&http.Response{Header: answer.Header}).Cookies())
	return answer
}

// follow follows a redirect, and asserts that it is one.
func (b *browser) follow(from response) response {
	b.t.Helper()
	require.Contains(b.t, []int{http.StatusFound, http.StatusSeeOther}, from.Status, from.Body)
	return b.get(from.Header.Get("Location"))
}

// arrives asserts that a redirect leads to a path of the front end, and returns the query.
func (r response) arrives(path string) url.Values {
	r.t.Helper()
	require.Equal(r.t, http.StatusSeeOther, r.Status, r.Body)
	to, err := url.Parse(r.Header.Get("Location"))
	require.NoError(r.t, err)
	query := to.Query()
	to.RawQuery = ""
	require.Equal(r.t, front+path, to.String())
	return query
}

// A front end's person goes to the issuer and comes back with a one-time code and the front end's text.
func TestSignInForAFrontEnd(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.frontEnd()
		b := e.browser()
		// The parameters are those of Waldur's front end; none of them decides where the browser goes.
		begun := b.get("/api-auth/campus/init/?response_type=code&client_id=x&scope=openid&state=abc%26x%3d1&ui_locales=en" +
			"&redirect_uri=https://evil.example/&return_url=https://evil.example&next=//evil.example&redirect=https://evil.example")
		query := b.follow(b.follow(begun)).arrives("oauth_login_completed/campus/")
		require.Equal(e.t, []string{"abc&x=1"}, query["state"])
		require.Len(e.t, query, 2)
		var mine struct{ Username string }
		e.requestWith("Token "+e.key(query.Get("code")), "GET", me, nil).is(http.StatusOK, "").decode(&mine)
		require.Equal(e.t, "owner", mine.Username)
		require.Equal(e.t, "0", e.countRows("sessions"), "the browser has no session")
		require.Contains(e.t, e.log.String(), "signed in")
		require.NotContains(e.t, e.log.String(), query.Get("code"))

		require.NotContains(e.t, b.follow(b.follow(b.get("/api-auth/campus/init/"))).arrives("oauth_login_completed/campus/"), "state")
	})
}

// Whoever did not begin here is not signed in: the victim of a forged link, and whoever has somebody else's answer.
func TestSignInForAFrontEndIsBound(t *testing.T) {
	onEachEngine(t, func(e *env) {
		issuer := e.frontEnd()
		refused := func(b *browser, address string) {
			e.t.Helper()
			require.NotEmpty(e.t, b.get(address).arrives("login_failed/").Get("message"))
		}
		attacker := e.browser()
		answer := attacker.follow(attacker.get("/api-auth/campus/init/")).Header.Get("Location")
		refused(e.browser(), answer)
		victim := e.browser()
		victim.get("/api-auth/campus/init/")
		refused(victim, answer)
		refused(victim, answer) // the attempt is gone
		attacker.get(answer).arrives("oauth_login_completed/campus/")
		refused(attacker, answer)

		for _, change := range []func(string) string{
			func(a string) string { return strings.Replace(a, "state=", "state=x", 1) },
			func(a string) string { return strings.Replace(a, "state=", "other=", 1) },
			func(a string) string { return strings.Replace(a, "code=", "code=x", 1) },
			func(a string) string { return strings.Replace(a, "code=", "other=", 1) },
			func(a string) string { return strings.Replace(a, "code=", "error=access_denied&code=", 1) },
			func(a string) string { return strings.Replace(a, "/campus/", "/other/", 1) },
			func(a string) string { return a + "&iss=https://evil.example" },
		} {
			b := e.browser()
			refused(b, change(b.follow(b.get("/api-auth/campus/init/")).Header.Get("Location")))
		}
		// An attempt of the pages, and one to sign in by mail, are none with the issuer.
		pages, err := json.Marshal(signin.Attempt{Issuer: "campus", State: "s", Nonce: "n", Verifier: "v"})
		require.NoError(e.t, err)
		for _, value := range []string{"", "e30", "bnVsbA", "!", string(pages), strings.Repeat("x", 20_000)} {
			r := e.newRequest("GET", "/api-auth/campus/complete/?state=s&code=c", "", nil)
			r.Header.Set("Cookie", "invited-front="+value+"; invited-oidc="+value)
			e.send(r).arrives("login_failed/")
		}
		b := e.browser()
		b.get("/api-auth/mail/init/?state=s")
		refused(b, "/api-auth/campus/complete/?state=s&code=c")

		issuer.Person = signintest.Claims{"sub": "nobody", "email": "nobody@x.example", "email_verified": true}
		b = e.browser()
		message := b.follow(b.follow(b.get("/api-auth/campus/init/"))).arrives("login_failed/").Get("message")
		require.Contains(e.t, message, "Nobody has invited nobody@x.example")
		require.Equal(e.t, "1", e.countRows("sign_in_tickets"), "only the one who had begun")
		b.get("/api-auth/other/init/").arrives("login_failed/") // it can't be reached
	})
}

// Signing in by mail goes on at the page that mails a code.
func TestSignInByMailForAFrontEnd(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.frontEnd()
		answer := e.browser().get("/api-auth/mail/init/?state=x")
		require.Equal(e.t, http.StatusSeeOther, answer.Status)
		require.Equal(e.t, e.server.URL+"/sign-in/?return_to=/api-auth/mail/complete/", answer.Header.Get("Location"))
		cookie := answer.Header.Get("Set-Cookie")
		require.Regexp(e.t, `^invited-front=[A-Za-z0-9_-]+; Path=/; Max-Age=900; HttpOnly; SameSite=Lax$`, cookie)
		e.request("GET", "/api-auth/mail/complete/", "", nil).is(http.StatusNotFound, notFound) // the pages go on
		e.useIssuer(func(c *api.Config) { c.SignsInByMail = true })
		cookie = e.request("GET", "/api-auth/mail/init/", "", nil).Header.Get("Set-Cookie")
		require.Regexp(e.t, `^__Host-invited-front=[A-Za-z0-9_-]+; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax$`, cookie, "on https")
	})
}
