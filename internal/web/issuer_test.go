package web_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/signin"
	"invited/internal/signin/signintest"
)

// issuer returns an issuer whose people may sign in, by its ID.
func issuer(id string, change ...func(*signin.Issuer)) func(*env) signin.Issuer {
	return func(e *env) signin.Issuer {
		server := signintest.New(e)
		server.Now = e.clock.Now
		e.issuers[id] = server
		one := signin.Issuer{
			ID: id, URL: server.URL, ClientID: signintest.ClientID, ClientSecret: signintest.ClientSecret,
			Name: strings.ToUpper(id[:1]) + id[1:], Scopes: []string{"openid", "email", "profile"},
		}
		for _, each := range change {
			each(&one)
		}
		return one
	}
}

// person returns the claims of a person with a verified address.
func person(subject, email string) signintest.Claims {
	return signintest.Claims{"sub": subject, "email": email, "email_verified": true, "name": "Ina I. Invitee", "preferred_username": "ina"}
}

// begin begins to sign in with an issuer, and returns the path of the callback that the issuer sends the browser to.
func (b *browser) begin(id, returnTo string) string {
	b.Helper()
	begun := b.get("/sign-in/" + id + "/?return_to=" + returnTo)
	require.Equal(b, http.StatusSeeOther, begun.status, begun.body)
	answer, err := b.client.Get(begun.location)
	require.NoError(b, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(b, http.StatusFound, answer.StatusCode)
	return strings.TrimPrefix(answer.Header.Get("Location"), b.server.URL)
}

// signInWith signs in with an issuer.
func (b *browser) signInWith(id string) page {
	b.Helper()
	return b.get(b.begin(id, "/console/"))
}

// refuses checks that a browser got the page of a person who is not signed in.
func (b *browser) refuses(answer page, status int, words string) {
	b.Helper()
	require.Equal(b, status, answer.status, answer.body)
	require.Equal(b, "You are not signed in", answer.heading(b))
	require.Contains(b, answer.body, words)
	require.False(b, b.isSignedIn())
}

func TestSignInWithIssuer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus := e.issuers["campus"]
		campus.Person = person("person-1", "INA@university.example")
		b := e.browser()
		require.Contains(e, b.get("/sign-in/?return_to=/console/").body, `href="/sign-in/campus/?return_to=%2fconsole%2f"`)
		require.Contains(e, b.get("/invitation/"+e.invite("ina@university.example", apollo).UUID.String()+"/").body, "Sign in with <bdi>Campus")
		back := b.signInWith("campus")
		require.Equal(e, http.StatusSeeOther, back.status, back.body)
		require.Equal(e, "/console/", back.location)
		ina := e.user("ina") // the one user with the address
		require.Equal(e, "Ina I. Invitee", ina.FullName)
		require.Equal(e, "INA@university.example", ina.Email)
		require.Contains(e, b.get("/").body, "Ina I. Invitee")

		// From now on the subject decides, and not the address.
		maps.Copy(campus.Person, signintest.Claims{"email": "moved@university.example", "name": "Ina Moved", "preferred_username": "olivia"})
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
		moved := e.user("ina")
		require.Equal(e, ina.UUID, moved.UUID)
		require.Equal(e, "moved@university.example", moved.EmailFolded)
		require.Equal(e, "Ina Moved", moved.FullName)
		require.Contains(e, e.log.String(), "subject=person-1")
		for _, secret := range []string{"hush", "opaque", "code="} {
			require.NotContains(e, e.log.String(), secret)
		}

		// An address that another active user has stays theirs.
		maps.Copy(campus.Person, signintest.Claims{"email": "olivia@acme.example"})
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
		require.Equal(e, "moved@university.example", e.user("ina").EmailFolded)

		e.apply("users: [{username: ina, is_active: false}]")
		require.False(e, b.isSignedIn())
		other := e.browser()
		other.refuses(other.signInWith("campus"), http.StatusForbidden, "inactive")
	}, issuer("campus"))
}

func TestWhoSignsInWithIssuer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus := e.issuers["campus"]
		e.invite("new@university.example", apollo)
		for name, test := range map[string]struct {
			create identity.CreateUsers
			person signintest.Claims
			user   string // "": refused
			words  string
		}{
			"not verified":         {identity.CreateInvited, signintest.Claims{"email_verified": false}, "", "no verified e-mail address"},
			"verified as a text":   {identity.CreateInvited, signintest.Claims{"email_verified": "true"}, "", "no verified e-mail address"},
			"verified as a number": {identity.CreateInvited, signintest.Claims{"email_verified": 1}, "", "no verified e-mail address"},
			"nothing said":         {identity.CreateInvited, signintest.Claims{"email_verified": nil}, "", "no verified e-mail address"},
			"not invited":          {identity.CreateInvited, signintest.Claims{"email": "else@university.example"}, "", "Nobody has invited else@university.example"},
			"two users":            {identity.CreateInvited, signintest.Claims{"email": "twin@acme.example"}, "", "Another account here has your address"},
			"an inactive user":     {identity.CreateInvited, signintest.Claims{"email": "gone@acme.example"}, "", "account with your address was closed"},
			"nobody is made":       {identity.CreateNone, nil, "", "people who run this site"},
			"a header in the mail": {identity.CreateInvited, signintest.Claims{"email": "new@university.example\r\nBcc: x@y.example"}, "", "no verified"},
		} {
			campus.Person = person("stranger", "new@university.example")
			maps.Copy(campus.Person, test.person)
			e.identity.Create = test.create
			b := e.browser()
			b.refuses(b.signInWith("campus"), http.StatusForbidden, test.words)
			require.Empty(e, test.user, name)
		}

		// A username that is taken stays its user's, and nobody becomes staff by a claim.
		e.identity.Create = identity.CreateInvited
		campus.Person = person("new-1", "new@university.example")
		maps.Copy(campus.Person, signintest.Claims{"preferred_username": "Sam", "is_staff": true, "groups": []string{"staff"}})
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
		made := e.user("sam-2")
		require.Equal(e, "new@university.example", made.Email)
		require.False(e, made.IsStaff)
		require.True(e, e.user("sam").IsStaff)
		require.Equal(e, "sam@example.com", e.user("sam").Email)

		// Another person of the issuer with that address is somebody else: addresses are given to other people. They get no user
		// with that address, with which a code in a mail would sign in neither.
		for _, e.identity.Create = range []identity.CreateUsers{identity.CreateNone, identity.CreateInvited, identity.CreateAny} {
			campus.Person = person("new-2", "new@university.example")
			b := e.browser()
			b.refuses(b.signInWith("campus"), http.StatusForbidden, "Another account here has your address")
		}
	}, issuer("campus"))
}

func TestIssuerGivesStaff(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus := e.issuers["campus"]
		campus.Person = person("person-1", "ina@university.example")
		for _, groups := range []any{[]string{"users", "admins"}, []string{"users"}, "admins", nil, []any{1, "admins"}, []string{"Admins"}, map[string]any{"admins": 1}} {
			campus.Person["groups"] = groups
			require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
			want := false
			switch g := groups.(type) {
			case string:
				want = true
			case []string:
				want = len(g) == 2
			case []any:
				want = true
			}
			require.Equal(e, want, e.user("ina").IsStaff, groups)
		}
		// On the API, tokens take it and do not give it.
		yes, no := true, false
		ina := identity.Person{Issuer: campus.URL, Subject: "person-1", Staff: &yes}
		isStaff := func(p identity.Person) bool {
			actor, err := e.identity.AuthenticatePerson(e.Context(), p, "192.0.2.1")
			require.NoError(e, err)
			return actor.IsStaff
		}
		require.False(e, isStaff(ina))
		campus.Person["groups"] = "admins"
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
		require.True(e, isStaff(ina))
		ina.Staff = nil
		require.True(e, isStaff(ina))
		ina.Staff = &no
		require.False(e, isStaff(ina))
		ina.Staff = &yes
		require.False(e, isStaff(ina))
		require.False(e, isStaff(identity.Person{Issuer: campus.URL, Subject: "2", Email: "olivia@acme.example", EmailVerified: true, Staff: &yes}))

		campus.Person = person("sam-1", "sam@example.com")
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
		require.True(e, e.user("sam").IsStaff, "staff by the directory")
		require.True(e, isStaff(identity.Person{Issuer: campus.URL, Subject: "sam-1", Staff: &no}))
	}, issuer("campus", func(i *signin.Issuer) { i.StaffGroups = []string{"admins"} }))
}

func TestClaimsAndUserInfo(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus := e.issuers["campus"]
		campus.Person = signintest.Claims{"sub": "person-1", "email_verified": true, "display": "Ina D."}
		campus.UserInfo = signintest.Claims{"sub": "person-1", "mail": "ina@university.example", "civil": "EE1"}
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status, "email_trusted")
		ina := e.user("ina")
		require.Equal(e, "Ina D.", ina.FullName)
		require.Equal(e, "EE1", ina.CivilNumber)

		campus.UserInfo["sub"] = "person-2"
		b := e.browser()
		b.refuses(b.signInWith("campus"), http.StatusBadRequest, "Begin again")
	}, issuer("campus", func(i *signin.Issuer) {
		i.Claims = signin.Claims{Email: "mail", FullName: "display", CivilNumber: "civil"}
		i.EmailTrusted = true
	}))
	// What the ID token says of no address says nothing of the address of the user info.
	t.Run("address that is not verified", func(t *testing.T) {
		onEachEngine(t, func(e *env) {
			campus := e.issuers["campus"]
			campus.Person = signintest.Claims{"sub": "person-1", "email_verified": true}
			campus.UserInfo = signintest.Claims{"sub": "person-1", "email": "ina@university.example"}
			b := e.browser()
			b.refuses(b.signInWith("campus"), http.StatusForbidden, "no verified e-mail address")
		}, issuer("campus"))
	})
}

// Only the browser that began comes back, once, and with what the issuer gave to it.
func TestForgedCallbacks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus, work := e.issuers["campus"], e.issuers["work"]
		campus.Person, work.Person = person("person-1", "ina@university.example"), person("person-1", "olivia@acme.example")
		const notHere = "not begun in this browser"

		b := e.browser()
		b.refuses(b.get("/sign-in/campus/callback/?code=x&state=y"), http.StatusBadRequest, notHere)
		b.refuses(b.get("/sign-in/campus/callback/"), http.StatusBadRequest, notHere)
		require.Equal(e, http.StatusNotFound, b.get("/sign-in/nobody/").status)
		require.Equal(e, http.StatusNotFound, b.get("/sign-in/nobody/callback/?code=x&state=y").status)

		// An attacker's callback in a victim's browser, which has begun or not.
		stolen := e.browser().begin("campus", "/")
		victim := e.browser()
		victim.refuses(victim.get(stolen), http.StatusBadRequest, notHere)
		victim.begin("campus", "/")
		victim.refuses(victim.get(stolen), http.StatusBadRequest, notHere)

		// The victim's callback in an attacker's browser, with a state of the attacker.
		lost := mustParse(e, e.browser().begin("campus", "/"))
		attacker := e.browser()
		mine := mustParse(e, attacker.begin("campus", "/"))
		swapped := mine.Query()
		swapped.Set("code", lost.Query().Get("code"))
		attacker.refuses(attacker.get(mine.Path+"?"+swapped.Encode()), http.StatusBadRequest, "Begin again")

		// Twice: by the browser, and by one with the same cookies.
		b = e.browser()
		back := b.begin("campus", "/")
		twin := e.browser()
		twin.client.Jar.SetCookies(mustParse(e, e.server.URL), b.client.Jar.Cookies(mustParse(e, e.server.URL)))
		require.Equal(e, http.StatusSeeOther, b.get(back).status)
		twin.refuses(twin.get(back), http.StatusBadRequest, "Begin again")
		require.Contains(e, b.get(back).body, notHere)

		// Other states, and more than one.
		for _, change := range []func(url.Values){
			func(q url.Values) { q.Del("state") },
			func(q url.Values) { q.Set("state", q.Get("state")+"x") },
			func(q url.Values) { q.Set("state", "") },
			func(q url.Values) { q.Add("state", q.Get("state")) },
			func(q url.Values) { q.Add("code", q.Get("code")) },
			func(q url.Values) { q.Del("code") },
			func(q url.Values) { q.Set("error", "<b>access_denied") },
			func(q url.Values) { q.Set("iss", work.URL) },
			func(q url.Values) { q.Set("code", strings.Repeat("x", 8000)) },
		} {
			b := e.browser()
			back := mustParse(e, b.begin("campus", "/"))
			query := back.Query()
			change(query)
			answer := b.get(back.Path + "?" + query.Encode())
			b.refuses(answer, http.StatusBadRequest, "egin again")
			require.NotContains(e, answer.body, "access_denied")
		}

		// One issuer's callback at another's address.
		b = e.browser()
		back = b.begin("work", "/")
		b.refuses(b.get(strings.Replace(back, "/work/", "/campus/", 1)), http.StatusBadRequest, notHere)
		require.Zero(e, len(strings.Split(e.log.String(), "user=olivia"))-1)

		// An issuer that names itself in every answer must do so.
		work.NamesItself = true
		e.clock.Advance(5 * time.Minute)
		b = e.browser()
		e.providers.Refresh(e.Context())
		named := mustParse(e, b.begin("work", "/"))
		query := named.Query()
		require.Equal(e, work.URL, query.Get("iss"))
		query.Del("iss")
		b.refuses(b.get(named.Path+"?"+query.Encode()), http.StatusBadRequest, "Begin again")
		require.Equal(e, http.StatusSeeOther, b.signInWith("work").status)
	}, issuer("campus"), issuer("work"))
}

// What an ID token says is checked, though it came from the issuer itself.
func TestBadIDTokens(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus := e.issuers["campus"]
		campus.Person = person("person-1", "ina@university.example")
		for name, change := range map[string]func(signintest.Claims){
			"nonce of another": func(c signintest.Claims) { c["nonce"] = "other" },
			"no nonce":         func(c signintest.Claims) { delete(c, "nonce") },
			"another client":   func(c signintest.Claims) { c["aud"] = "other" },
			"another party":    func(c signintest.Claims) { c["azp"] = "other" },
			"two audiences":    func(c signintest.Claims) { c["aud"] = []string{"invited", "other"} },
			"another issuer":   func(c signintest.Claims) { c["iss"] = "https://other.example" },
			"expired":          func(c signintest.Claims) { c["exp"] = e.clock.Now().Add(-2 * time.Minute).Unix() },
			"no subject":       func(c signintest.Claims) { delete(c, "sub") },
			"hash of a token":  func(c signintest.Claims) { c["at_hash"] = "other" },
		} {
			campus.Change = change
			b := e.browser()
			b.refuses(b.signInWith("campus"), http.StatusBadRequest, "Begin again")
			require.NotContains(e, e.log.String(), "by="+campus.URL, name)
		}
		campus.Change = func(c signintest.Claims) { c["aud"], c["azp"] = []string{"invited", "other"}, "invited" }
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
	}, issuer("campus"))
}

func TestIssuerSendsNobodyElsewhere(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.issuers["campus"].Person = person("person-1", "ina@university.example")
		for _, to := range []string{"https://evil.example/", "//evil.example/", "/%5Cevil.example/", "/x", "javascript:alert(1)", "/a/?b=c", "/a/%0d%0aX:y/"} {
			b := e.browser()
			answer := b.get(b.begin("campus", to))
			require.Equal(e, "/", answer.location, to)
		}
		// A cookie is the browser's, and may say anything.
		b := e.browser()
		back := b.begin("campus", "/")
		jar := mustParse(e, e.server.URL)
		for _, cookie := range b.client.Jar.Cookies(jar) {
			if cookie.Name == "invited-oidc" {
				cookie.Value = "e30" + cookie.Value
				b.client.Jar.SetCookies(jar, []*http.Cookie{cookie})
			}
		}
		b.refuses(b.get(back), http.StatusBadRequest, "not begun in this browser")
		b = e.browser()
		back = b.begin("campus", "/")
		for _, cookie := range b.client.Jar.Cookies(jar) {
			kept, err := base64.RawURLEncoding.DecodeString(cookie.Value)
			require.NoError(e, err)
			cookie.Value = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(kept), `"r":"/"`, `"r":"//evil.example/"`, 1)))
			b.client.Jar.SetCookies(jar, []*http.Cookie{cookie})
		}
		require.Equal(e, "/", b.get(back).location)

		b = e.browser()
		begun := b.get("/sign-in/campus/")
		cookie := begun.header.Get("Set-Cookie")
		for _, want := range []string{"invited-oidc=", "HttpOnly", "SameSite=Lax", "Max-Age=900", "Path=/"} {
			require.Contains(e, cookie, want)
		}
		asked := mustParse(e, begun.location).Query()
		require.Equal(e, "S256", asked.Get("code_challenge_method"))
		require.Equal(e, "openid email profile", asked.Get("scope"))
		require.Equal(e, e.server.URL+"/sign-in/campus/callback/", asked.Get("redirect_uri"))
		require.GreaterOrEqual(e, len(asked.Get("state")), 43)
		require.NotEqual(e, asked.Get("state"), asked.Get("nonce"))
	}, issuer("campus"))
}

func TestSignOutAtIssuer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus := e.issuers["campus"]
		campus.Person = person("person-1", "ina@university.example")
		b := e.browser()
		require.Equal(e, http.StatusSeeOther, b.signInWith("campus").status)
		out := b.post("/sign-out/", "return_to", "/invitation/x/")
		require.Equal(e, http.StatusOK, out.status)
		require.Equal(e, "You are signed out", out.heading(e))
		to := mustParse(e, strings.TrimPrefix(out.header.Get("Refresh"), "0; url="))
		require.Equal(e, campus.URL+"/logout", "http://"+to.Host+to.Path)
		require.Equal(e, e.server.URL+"/signed-out/", to.Query().Get("post_logout_redirect_uri"))
		require.Equal(e, signintest.ClientID, to.Query().Get("client_id"))
		require.False(e, b.isSignedIn())
		require.Equal(e, "/invitation/x/", b.get("/signed-out/").location)
		require.Equal(e, "/", b.get("/signed-out/").location)

		b.signIn("ina@university.example") // by a code: there is no other session to end
		require.Equal(e, http.StatusSeeOther, b.post("/sign-out/").status)
	}, issuer("campus"))
}

// An issuer that is down costs nobody else anything.
func TestPagesWhileIssuerIsDown(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.issuers["campus"].IsDown = true
		b := e.browser()
		b.refuses(b.get("/sign-in/campus/"), http.StatusServiceUnavailable, "can’t be reached")
		require.Contains(e, b.get("/sign-in/").body, "Sign in with")
		b.signIn("ina@university.example")
		require.True(e, b.isSignedIn())
	}, issuer("campus"))
}

// People who come for the first time in many tabs at once are one user.
func TestFirstSignInsAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.identity.Create = identity.CreateAny
		p := identity.Person{Issuer: "https://a.example", Subject: "1", Email: "many@university.example", EmailVerified: true, Username: "many"}
		found, failures := make([]directory.Actor, 8), make([]error, 8)
		var all sync.WaitGroup
		for i := range found {
			all.Go(func() { found[i], failures[i] = e.identity.AuthenticatePerson(e.Context(), p, "192.0.2.1") })
		}
		all.Wait()
		for i := range found {
			require.NoError(e, failures[i])
			require.Equal(e, "many", found[i].Username)
			require.Equal(e, found[0].UUID, found[i].UUID)
		}
	})
}

// Whoever comes back again and again without being signed in has to wait: each try can cost the issuer a request.
func TestFailedCallbacksAreLimited(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		for range 30 {
			require.Equal(e, http.StatusBadRequest, b.get("/sign-in/campus/callback/?code=x&state=y").status)
		}
		limited := b.get("/sign-in/campus/callback/?code=x&state=y")
		require.Equal(e, http.StatusTooManyRequests, limited.status)
		require.Equal(e, "2", limited.header.Get("Retry-After"))
		e.clock.Advance(2 * time.Second)
		e.issuers["campus"].Person = person("person-1", "ina@university.example")
		require.Equal(e, http.StatusSeeOther, b.signInWith("campus").status)
	}, issuer("campus"))
}
