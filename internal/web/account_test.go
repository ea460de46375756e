package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
)

// reaches returns the error of a request with an API key to the operations of a scope.
func (e *env) reaches(key string, scope directory.TokenScope) error {
	e.Helper()
	actor, err := directory.Authenticate(e.Context(), e.db, key)
	if err == nil {
		actor.Via = directory.ViaToken
		err = actor.CheckScope(scope)
	}
	return err
}

// tokens returns the API tokens of a user, the newest first.
func (e *env) tokens(username string) []directory.APIToken {
	e.Helper()
	rows, _, _, err := e.identity.Tokens(e.Context(), directory.Actor{User: e.user(username).User, Via: directory.ViaSession}, 1, 300)
	require.NoError(e, err)
	return rows
}

var shownKey = regexp.MustCompile(`inv_[A-Z2-7]{26,}`)

// Somebody makes a token, which is shown once, sees it in the list, and revokes it.
func TestOwnTokens(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		require.Equal(e, "/sign-in/?return_to=/account/", b.get("/account/").location)
		require.Equal(e, "/sign-in/?return_to=/account/", b.post("/account/tokens/").location)
		b.signIn("olivia@acme.example")
		require.Contains(e, b.get("/").body, `href="/account/"`)
		empty := b.get("/account/")
		require.Equal(e, "Your tokens and sessions", empty.heading(e))
		require.Contains(e, empty.body, "You have none.")
		require.NotContains(e, empty.body, "users:token")

		made := b.send(http.MethodPost, "/account/tokens/", url.Values{
			"name": {"CI <b>"}, "scope": {"invitations:read", "directory:read"}, "days": {"7"},
		})
		require.Equal(e, http.StatusOK, made.status)
		require.Equal(e, "Your new token", made.heading(e))
		require.Equal(e, "no-store", made.header.Get("Cache-Control"))
		key := shownKey.FindString(made.body)
		require.NotEmpty(e, key)
		require.Contains(e, made.body, "CI &lt;b&gt;")
		require.NoError(e, e.reaches(key, directory.ReadInvitations))
		require.Error(e, e.reaches(key, directory.WriteInvitations))

		list := b.get("/account/")
		for _, text := range []string{"CI &lt;b&gt;", "May read invitations, read organizations, projects and roles.", "30 November 2026, 09:30 UTC", "Not used yet", "Token made"} {
			require.Contains(e, list.body, text)
		}
		require.NotContains(e, list.body, key)
		require.Equal(e, "/account/", b.post("/account/revoke/", "token", e.tokens("olivia")[0].UUID.String()).location)
		require.True(e, fault.Is(e.reaches(key, directory.ReadInvitations), fault.KindUnauthenticated))
		require.NotContains(e, b.get("/account/").body, ">Revoke")
		require.Contains(e, b.get("/account/").body, "Token revoked")
		e.server.Close()
		require.Regexp(e, `msg="API token made" request_id=\S+ user=olivia token=[0-9a-f-]{36} client=127\.0\.0\.1 scopes="invitations:read, directory:read"`, e.log.String())
		require.Regexp(e, `msg="API token revoked" request_id=\S+ user=olivia token=[0-9a-f-]{36} client=127`, e.log.String())
		require.NotContains(e, e.log.String(), key)
	})
}

func TestFormOfATokenIsChecked(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		for words, form := range map[string]url.Values{
			"Say what the token is for.":              {"name": {" "}, "scope": {"invitations:read"}, "days": {"7"}},
			"Choose at least one thing":               {"name": {"x"}, "days": {"7"}},
			"Choose for how long":                     {"name": {"x"}, "scope": {"invitations:read"}, "days": {"366"}},
			"There is no scope none":                  {"name": {"x"}, "scope": {"none"}, "days": {"7"}},
			"Only tokens of service users":            {"name": {"x"}, "scope": {"users:token"}, "days": {"7"}},
			"more than 100 characters":                {"name": {strings.Repeat("x", 101)}, "scope": {"invitations:read"}, "days": {"7"}},
			"another character that is not printable": {"name": {"a\u202eb"}, "scope": {"invitations:read"}, "days": {"7"}},
		} {
			got := b.send(http.MethodPost, "/account/tokens/", form)
			require.Equal(e, http.StatusBadRequest, got.status, words)
			require.Contains(e, got.body, words)
			require.Contains(e, got.body, "No token was made.")
			require.Contains(e, got.body, `role="alert"`)
		}
		kept := b.send(http.MethodPost, "/account/tokens/", url.Values{"name": {""}, "scope": {"directory:read"}, "days": {"365"}})
		require.Contains(e, kept.body, `value="directory:read" checked`, "what was chosen stays in the form")
		require.Contains(e, kept.body, `<option value="365" selected>`)
		many := url.Values{"name": {"x"}, "days": {"7"}, "scope": make([]string, 10_000)}
		require.Equal(e, http.StatusBadRequest, b.send(http.MethodPost, "/account/tokens/", many).status)
		require.Empty(e, e.tokens("olivia"))
	})
}

// Somebody sees their sessions, and ends one, or all but that of the browser.
func TestOwnSessions(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const address = "olivia@acme.example"
		one, two, three, other := e.browser(), e.browser(), e.browser(), e.browser()
		one.signIn(address)
		e.clock.Advance(5 * time.Minute)
		two.signIn(address)
		three.signIn(address)
		other.signIn("ina@university.example")
		page := one.get("/account/")
		require.Equal(e, 1, strings.Count(page.body, "This browser"))
		require.Contains(e, page.body, "23 November 2026, 09:35 UTC")
		require.Contains(e, page.body, ">Sign out everywhere else</button>")
		require.Contains(e, page.body, "by a code in a mail")
		ids := regexp.MustCompile(`name="session" value="([0-9a-f]{32})"`).FindAllStringSubmatch(page.body, -1)
		require.Len(e, ids, 2)

		require.Equal(e, http.StatusNotFound, other.post("/account/sign-out/", "session", ids[0][1]).status, "of somebody else")
		require.Equal(e, http.StatusNotFound, one.post("/account/sign-out/", "session", "x").status)
		require.Equal(e, http.StatusNotFound, one.post("/account/sign-out/").status)
		require.True(e, one.isSignedIn() && two.isSignedIn() && three.isSignedIn() && other.isSignedIn())
		require.Equal(e, "/account/", one.post("/account/sign-out/", "session", ids[0][1]).location)
		require.NotEqual(e, two.isSignedIn(), three.isSignedIn(), "one of them is out")
		require.Equal(e, http.StatusNotFound, one.post("/account/sign-out/", "session", ids[0][1]).status, "it has ended")
		require.Equal(e, "/account/", one.post("/account/sign-out/", "session", "others").location)
		require.False(e, two.isSignedIn() || three.isSignedIn())
		require.True(e, one.isSignedIn() && other.isSignedIn())
		require.NotContains(e, one.get("/account/").body, ">Sign out everywhere else</button>")
		events, err := e.identity.EventsOf(e.Context(), "olivia", 2)
		require.NoError(e, err)
		for _, event := range events {
			require.Equal(e, identity.EventSignedOut, event.Type)
			require.Equal(e, "127.0.0.1 from another session", event.Client+" "+event.Detail)
		}
	})
}

// Tokens of others are not there.
func TestTokensOfOthersOnThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		_, err := directory.IssueToken(e.Context(), e.db.FileStore(), "ina", 0, "of Ina")
		require.NoError(e, err)
		staff := e.browser()
		staff.signIn("sam@example.com")
		require.NotContains(e, staff.get("/account/").body, "of Ina")
		for _, id := range []string{e.tokens("ina")[0].UUID.String(), uuid.NewString(), "x", ""} {
			require.Equal(e, http.StatusNotFound, staff.post("/account/revoke/", "token", id).status)
		}
		require.Len(e, e.tokens("ina"), 1)
	})
}

// An API token that is limited opens no page, and one that is not limited opens none where tokens and sessions are managed.
func TestTokensOnPages(t *testing.T) {
	onEachEngine(t, func(e *env) {
		issue := func(scopes ...directory.TokenScope) *browser {
			key, err := directory.IssueToken(e.Context(), e.db.FileStore(), "olivia", 0, "", scopes...)
			require.NoError(e, err)
			b := e.browser()
			b.header.Set("Authorization", "Token "+key)
			return b
		}
		whole, limited := issue(), issue(directory.TokenScopes[:3]...)
		require.Equal(e, http.StatusOK, whole.get("/console/").status)
		for _, path := range []string{"/", "/console/", "/account/", "/console/new/"} {
			got := limited.get(path)
			require.Equal(e, http.StatusForbidden, got.status, path)
			require.Contains(e, got.body, "An API token that is limited to scopes opens no page.")
		}
		require.Equal(e, http.StatusForbidden, limited.post("/console/new/", "scope", "project:"+apollo, "role", admin, "emails", "x@example.org").status)
		before := len(e.tokens("olivia"))
		for _, b := range []*browser{whole, limited} {
			require.Equal(e, http.StatusForbidden, b.get("/account/").status)
			require.Equal(e, http.StatusForbidden, b.post("/account/tokens/", "name", "x", "scope", "invitations:read", "days", "7").status)
			require.Equal(e, http.StatusForbidden, b.post("/account/revoke/", "token", e.tokens("olivia")[0].UUID.String()).status)
			require.Equal(e, http.StatusForbidden, b.post("/account/sign-out/", "session", "others").status)
		}
		require.Contains(e, whole.get("/account/").body, "An API token can&#39;t do this.")
		require.Len(e, e.tokens("olivia"), before)
	})
}

// No code goes to the address of a service user, and a user who becomes one is out.
func TestServiceUsersSignInNowhere(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		require.Equal(e, http.StatusSeeOther, b.post("/sign-in/", "email", "ina@university.example").status)
		code := e.lastCode()
		e.apply(`users:
  - {username: olivia, kind: service, email: olivia@acme.example}
  - {username: ina, kind: service, email: ina@university.example}`)
		require.False(e, b.isSignedIn())
		require.Equal(e, http.StatusForbidden, b.post("/sign-in/code/", "code", code).status, "the code was mailed before")
		e.browser().post("/sign-in/", "email", "olivia@acme.example")
		all := e.codes()
		require.Nil(e, all[len(all)-1])
		e.identity.Create = identity.CreateNone
		_, _, err := e.identity.SignInPerson(e.Context(), identity.Person{
			Issuer: "https://issuer.example", Subject: "1", Email: "olivia@acme.example", EmailVerified: true,
		}, "127.0.0.1")
		require.True(e, fault.Is(err, fault.KindForbidden), "%v", err)
	})
}

// The page names the issuer that a session began with.
func TestOwnSessionsNameTheIssuer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		person := identity.Person{Issuer: e.issuers["campus"].URL, Subject: "1", Email: "olivia@acme.example", EmailVerified: true}
		_, _, err := e.identity.SignInPerson(e.Context(), person, "192.0.2.7")
		require.NoError(e, err)
		b := e.browser()
		b.signIn("olivia@acme.example")
		page := b.get("/account/")
		require.Contains(e, page.body, "from 192.0.2.7 by <bdi>"+e.providers.NameOf(person.Issuer)+"</bdi>.")
		require.NotEmpty(e, e.providers.NameOf(person.Issuer))
	}, issuer("campus"))
}
