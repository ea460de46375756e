package web_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/signin"
	"invited/internal/token"
)

const forFrontEnd = "?return_to=" + signin.MailCompleted

// begins makes the browser keep what the API has it keep when a front end begins to sign somebody in by mail.
func (b *browser) begins(echo string) {
	b.Helper()
	recorder := httptest.NewRecorder()
	require.NoError(b, signin.KeepAttempt(recorder, signin.Attempt{Issuer: signin.Mail, FrontEnd: true, Echo: echo}, false))
	at, err := url.Parse(b.server.URL)
	require.NoError(b, err)
	b.client.Jar.SetCookies(at, recorder.Result().Cookies())
}

// arrives asserts that a page sends the browser to the front end with a one-time code, and returns the query and the user
// of the code.
func (p page) arrives(e *env) (query url.Values, username string) {
	e.Helper()
	require.Equal(e, http.StatusOK, p.status, p.body)
	require.Equal(e, "You are signed in", p.heading(e))
	address := strings.TrimPrefix(p.header.Get("Refresh"), "0; url=")
	require.Contains(e, html.UnescapeString(p.body), `href="`+address+`"`, "for browsers that do not go on by themselves")
	to, err := url.Parse(address)
	require.NoError(e, err)
	query = to.Query()
	to.RawQuery = ""
	require.Equal(e, "https://front.example/oauth_login_completed/mail/", to.String())
	key, err := e.identity.RedeemTicket(e.Context(), uuid.MustParse(query.Get("code")), "")
	require.NoError(e, err)
	found, err := e.db.Credential(e.Context(), token.Digest(key))
	require.NoError(e, err)
	return query, found.Username
}

// Whoever signs in by a code for a front end goes on there, and leaves no session behind.
func TestCodeForAFrontEnd(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.begins("abc&x")
		require.Equal(e, http.StatusOK, b.get("/sign-in/"+forFrontEnd).status)
		require.Contains(e, b.get("/sign-in/"+forFrontEnd).body, `name="return_to" value="`+signin.MailCompleted+`"`)
		sent := b.post("/sign-in/", "email", "ina@university.example", "return_to", signin.MailCompleted)
		require.Equal(e, "/sign-in/code/"+forFrontEnd, sent.location)
		wrong := b.post("/sign-in/code/", "code", "000000x", "return_to", signin.MailCompleted)
		require.Equal(e, http.StatusBadRequest, wrong.status)
		query, user := b.post("/sign-in/code/", "code", e.lastCode(), "return_to", signin.MailCompleted).arrives(e)
		require.Equal(e, "ina", user)
		require.Equal(e, "abc&x", query.Get("state"))
		require.False(e, b.isSignedIn())

		// The next one begins again, and may be somebody else; a text of another front end's is not there any more.
		b.begins("")
		b.post("/sign-in/", "email", "olivia@acme.example", "return_to", signin.MailCompleted)
		query, user = b.post("/sign-in/code/", "code", e.lastCode(), "return_to", signin.MailCompleted).arrives(e)
		require.Equal(e, "olivia", user)
		require.NotContains(e, query, "state")
	})
}

// Who is signed in here is asked for an address all the same: a front end may be used by somebody else.
func TestFrontEndAsksWhoIsSignedIn(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		require.Equal(e, http.StatusSeeOther, b.get("/sign-in/?return_to=/console/").status)
		asked := b.get("/sign-in/" + forFrontEnd)
		require.Equal(e, http.StatusOK, asked.status)
		require.Contains(e, asked.body, `name="email"`)
		// A link alone sends nobody to the front end.
		require.Equal(e, http.StatusNotFound, b.get(signin.MailCompleted).status)
		require.True(e, b.isSignedIn())
	})
}

// On the way to a front end, people may choose an issuer on the page.
func TestIssuerForAFrontEndByThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.issuers["campus"].Person = person("person-1", "ina@university.example")
		b := e.browser()
		b.begins("abc")
		require.Contains(e, b.get("/sign-in/"+forFrontEnd).body, "/sign-in/campus/?return_to=%2fapi-auth%2fmail%2fcomplete%2f")
		query, user := b.get(b.begin("campus", signin.MailCompleted)).arrives(e)
		require.Equal(e, "ina", user)
		require.Equal(e, "abc", query.Get("state"))
		require.False(e, b.isSignedIn())
	}, issuer("campus"))
}

// What else a request says about where to go is not believed.
func TestFrontEndIsTheConfiguredOne(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, to := range []string{
			"https://evil.example/", "//evil.example/", "/api-auth/mail/complete/?x", "/api-auth/mail/complete/../", "/api-auth/mail/complete",
			"https://front.example/", "\\\\evil.example", "/\\evil.example/",
		} {
			b := e.browser()
			b.begins("x")
			b.post("/sign-in/", "email", "ina@university.example", "return_to", to)
			answer := b.post("/sign-in/code/", "code", e.lastCode(), "return_to", to)
			require.Equal(e, http.StatusSeeOther, answer.status)
			require.True(e, strings.HasPrefix(answer.location, "/") && !strings.HasPrefix(answer.location, "//"), answer.location)
			e.clock.Advance(3600e9)
		}
	})
}

// Without an attempt of the front end's, nobody is handed over to it.
func TestBadFrontEndCookies(t *testing.T) {
	onEachEngine(t, func(e *env) {
		other, err := json.Marshal(signin.Attempt{Issuer: "campus", Echo: "x"})
		require.NoError(e, err)
		for _, value := range []string{"e30", "!", strings.Repeat("x", 20_000), string(other)} {
			b := e.browser()
			at, err := url.Parse(b.server.URL)
			require.NoError(e, err)
			b.client.Jar.SetCookies(at, []*http.Cookie{{Name: "invited-front", Value: value, Path: "/"}})
			b.post("/sign-in/", "email", "ina@university.example", "return_to", signin.MailCompleted)
			answer := b.post("/sign-in/code/", "code", e.lastCode(), "return_to", signin.MailCompleted)
			require.Equal(e, http.StatusBadRequest, answer.status)
			require.Contains(e, answer.body, "not begun in this browser")
			require.Empty(e, answer.header.Get("Refresh"))
			require.False(e, b.isSignedIn())
			e.clock.Advance(3600e9)
		}
	})
}
