package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
	"invited/internal/signin/signintest"
)

const (
	tokensPath = "/api/personal-access-tokens/"
	noTokens   = `{"detail": "An API token can't do this. Sign in on the pages, or send an access token of an issuer."}`
	needsScope = `{"detail": "This needs an API token of a service user with the scope users:token."}`
)

func userTokenPath(user uuid.UUID) string { return "/api/users/" + user.String() + "/token/" }

// A sender sends requests as somebody.
type sender func(method, path string, body any) response

// person signs a user in, and returns how they send requests with the cookie of their session.
func (e *env) person(username string) sender {
	e.t.Helper()
	secret, err := e.identity(identity.CreateNone).SignInAs(e.context(), username, "192.0.2.1")
	require.NoError(e.t, err)
	return func(method, path string, body any) response {
		e.t.Helper()
		r := e.newRequest(method, path, "", body)
		r.AddCookie(&http.Cookie{Name: "__Host-invited", Value: secret})
		return e.send(r)
	}
}

// personAt signs a user in at an issuer, and returns how they send requests with its access tokens.
func (e *env) personAt(issuer *signintest.Issuer, username string) sender {
	e.t.Helper()
	email := e.value("SELECT email FROM users WHERE username = '" + username + "'")
	return func(method, path string, body any) response {
		e.t.Helper()
		jwt := issuer.AccessToken(signintest.Claims{"sub": username, "email": email, "email_verified": true})
		return e.requestWith("Bearer "+jwt, method, path, body)
	}
}

// withKey returns how a holder of an API key sends requests.
func (e *env) withKey(key string) sender {
	return func(method, path string, body any) response {
		e.t.Helper()
		return e.requestWith("Token "+key, method, path, body)
	}
}

// tokenEvents returns what happened to a user's tokens, the newest first: type, client and detail of each event. Each has the
// id of a request, unless the operator did it.
func (e *env) tokenEvents(username string) (all []string) {
	e.t.Helper()
	found, err := e.identity(identity.CreateNone).EventsOf(e.context(), username, 1_000)
	require.NoError(e.t, err)
	for _, event := range found {
		if event.Type == identity.EventTokenCreated || event.Type == identity.EventTokenRevoked {
			all = append(all, string(event.Type)+" "+event.Client+" "+event.Detail)
			require.Equal(e.t, event.Client == "", event.RequestID == "")
			require.NotContains(e.t, event.Detail, "inv_")
		}
	}
	return all
}

// issue makes an API key as the operator does.
func (e *env) issue(username string, scopes ...directory.TokenScope) string {
	e.t.Helper()
	key, err := directory.IssueToken(e.context(), e.db.FileStore(), username, 0, "", scopes...)
	require.NoError(e.t, err)
	return key
}

// portal makes a service user, and returns how it sends requests with a token that has the scope users:token.
func (e *env) portal() sender {
	e.t.Helper()
	e.apply("users: [{username: portal, kind: service, email: portal@example.com}]")
	return e.withKey(e.issue("portal", directory.IssueUserTokens))
}

// Who has signed in makes tokens, sees them, and revokes them.
func TestPersonalAccessTokens(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.clock.Advance(time.Second) // the token of the directory file is older
		owner := e.person("owner")
		var made server.PersonalAccessTokenCreated
		answer := owner("POST", tokensPath, map[string]any{
			"name": "  CI ü  ", "scopes": []string{"directory:read", "invitations:read", "directory:read"},
		}).is(http.StatusCreated, "")
		answer.decode(&made)
		require.Equal(e.t, "https://api.example"+tokensPath+made.UUID.String()+"/", answer.Header.Get("Location"))
		require.Equal(e.t, "CI ü", made.Name)
		require.Equal(e.t, []server.PersonalAccessTokenScope{"invitations:read", "directory:read"}, made.Scopes)
		require.Equal(e.t, formatTime(e.clock.Now().Add(90*24*time.Hour)), made.ExpiresAt)
		require.Regexp(e.t, `^inv_[A-Z2-7]{26,}$`, made.Token)

		withToken := e.withKey(made.Token)
		withToken("GET", base, nil).is(http.StatusOK, "")
		withToken("GET", me, nil).is(http.StatusOK, "")
		withToken("POST", base, draft("a@example.org", admin, apollo)).
			is(http.StatusForbidden, `{"detail": "The API token lacks the scope invitations:write."}`)

		one := tokensPath + made.UUID.String() + "/"
		var seen server.PersonalAccessToken
		found := owner("GET", one, nil).is(http.StatusOK, "")
		found.decode(&seen)
		require.Equal(e.t, server.PersonalAccessToken{
			UUID: made.UUID, Name: "CI ü", Scopes: made.Scopes, Created: made.Created, ExpiresAt: &made.ExpiresAt, IsActive: true,
		}, seen)
		var all []server.PersonalAccessToken
		owner("GET", tokensPath+"?page_size=1", nil).is(http.StatusOK, "").decode(&all)
		require.Equal(e.t, []server.PersonalAccessToken{seen}, all, "the newest first")
		owner("GET", tokensPath+"?page_size=1&page=2", nil).is(http.StatusOK, "").decode(&all)
		require.Equal(e.t, "directory file", all[0].Name)
		require.Empty(e.t, all[0].Scopes)
		require.Nil(e.t, all[0].ExpiresAt)
		owner("GET", tokensPath+"?page=2", nil).is(http.StatusNotFound, `{"detail": "Invalid page."}`)
		require.Equal(e.t, "2", owner("HEAD", tokensPath, nil).is(http.StatusOK, "").Header.Get("X-Result-Count"))

		owner("DELETE", one, nil).is(http.StatusNoContent, "")
		withToken("GET", base, nil).isUnauthorized("Invalid token.")
		owner("DELETE", one, nil).is(http.StatusNotFound, notFound)
		owner("GET", one, nil).is(http.StatusNotFound, notFound)
		for _, line := range []string{"API token made", "API token revoked"} {
			require.Regexp(e.t, `msg="`+line+`" request_id=\S+ user=owner token=`+made.UUID.String()+` client=127\.0\.0\.1`, e.log.String())
		}
		require.Equal(e.t, []string{
			"token_revoked 127.0.0.1 " + made.UUID.String() + " CI ü",
			"token_created 127.0.0.1 " + made.UUID.String() + " CI ü, limited to invitations:read, directory:read",
		}, e.tokenEvents("owner")[:2])
		require.NotContains(e.t, e.log.String()+answer.Header.Get("Location"), made.Token)
		require.NotContains(e.t, found.Body, made.Token)
	})
}

// A token is seen and revoked by its user alone, staff included.
func TestTokensOfOthers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.issue("owner")
		others := e.value("SELECT uuid FROM api_tokens WHERE name = '' AND user_uuid = '" + e.userID("owner").String() + "'")
		before := e.countRows("api_tokens")
		staff := e.person("staff")
		for _, id := range []string{others, uuid.NewString(), "x", "%00"} {
			for _, method := range []string{"GET", "DELETE"} {
				staff(method, tokensPath+id+"/", nil).is(http.StatusNotFound, notFound)
			}
		}
		require.NotContains(e.t, staff("GET", tokensPath, nil).is(http.StatusOK, "").Body, others)
		require.Equal(e.t, before, e.countRows("api_tokens"))
	})
}

// A token that leaked makes no other, and neither shows nor ends any.
func TestTokensManageNoTokens(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.value("SELECT uuid FROM api_tokens WHERE user_uuid = '" + e.userID("staff").String() + "'")
		body := map[string]any{"name": "x", "scopes": []string{"invitations:read"}}
		before := e.countRows("api_tokens")
		for _, key := range []string{"staff-key", e.issue("staff", directory.TokenScopes[:3]...)} {
			holder := e.withKey(key)
			holder("GET", tokensPath, nil).is(http.StatusForbidden, noTokens)
			holder("HEAD", tokensPath, nil).is(http.StatusForbidden, "")
			holder("POST", tokensPath, body).is(http.StatusForbidden, noTokens)
			holder("POST", tokensPath, "{").is(http.StatusForbidden, noTokens)
			holder("GET", tokensPath+id+"/", nil).is(http.StatusForbidden, noTokens)
			holder("DELETE", tokensPath+id+"/", nil).is(http.StatusForbidden, noTokens)
		}
		e.request("POST", tokensPath, "", body).is(http.StatusUnauthorized, noCredential)
		require.Equal(e.t, before, e.countRows("api_tokens WHERE scopes IS NULL"))
	})
}

func TestTokenDraftsAreChecked(t *testing.T) {
	onEachEngine(t, func(e *env) {
		owner, before := e.person("owner"), e.countRows("api_tokens")
		now := e.clock.Now()
		scopes := []string{"invitations:read"}
		for name, test := range map[string]struct{ body, want any }{
			"nothing":         {map[string]any{}, `{"name": ["This field is required."], "scopes": ["This field is required."]}`},
			"null":            {map[string]any{"name": nil, "scopes": nil}, `{"name": ["This field may not be null."], "scopes": ["This field may not be null."]}`},
			"blank":           {map[string]any{"name": " \t", "scopes": scopes}, nil},
			"no scope":        {map[string]any{"name": "x", "scopes": []string{}}, `{"scopes": ["This list may not be empty."]}`},
			"unknown scope":   {map[string]any{"name": "x", "scopes": []string{"none"}}, `{"scopes": ["Item 1: Select a valid choice. none is not one of the available choices."]}`},
			"service scope":   {map[string]any{"name": "x", "scopes": []string{"users:token"}}, `{"scopes": ["Only tokens of service users can have the scope users:token."]}`},
			"many scopes":     {map[string]any{"name": "x", "scopes": strings.Split(strings.Repeat("a,", 2_000)+"a", ",")}, `{"scopes": ["Ensure this field has no more than 10 elements."]}`},
			"bound to things": {map[string]any{"name": "x", "scopes": scopes, "allowed_scopes": []any{map[string]string{"uuid": apollo}}}, `{"allowed_scopes": ["Ensure this field has no more than 0 elements."]}`},
			"long name":       {map[string]any{"name": strings.Repeat("x", 2_000), "scopes": scopes}, `{"name": ["Ensure this field has no more than 100 characters."]}`},
			"bidi name":       {map[string]any{"name": "a\u202eb", "scopes": scopes}, `{"name": ["The name of a token can't have a line break or another character that is not printable."]}`},
			"control name":    {map[string]any{"name": "a\nb", "scopes": scopes}, `{"name": ["Control characters are not allowed."]}`},
			"now":             {map[string]any{"name": "x", "scopes": scopes, "expires_at": formatTime(now)}, `{"expires_at": ["This is in the past: the token would never work."]}`},
			"long ago":        {map[string]any{"name": "x", "scopes": scopes, "expires_at": "0001-01-01T00:00:00Z"}, `{"expires_at": ["This is in the past: the token would never work."]}`},
			"beyond a year":   {map[string]any{"name": "x", "scopes": scopes, "expires_at": formatTime(now.Add(365*24*time.Hour + time.Microsecond))}, `{"expires_at": ["A token can work for 365 days at most."]}`},
			"no time":         {map[string]any{"name": "x", "scopes": scopes, "expires_at": "tomorrow"}, nil},
			"a number":        {map[string]any{"name": 1, "scopes": "invitations:read"}, nil},
		} {
			want, _ := test.want.(string)
			answer := owner("POST", tokensPath, test.body)
			require.Equal(e.t, http.StatusBadRequest, answer.Status, "%s: %s", name, answer.Body)
			answer.is(http.StatusBadRequest, want)
		}
		owner("POST", tokensPath, map[string]any{"name": "x", "scopes": strings.Split(strings.Repeat("directory:read,", 10_000)+"a", ",")}).
			is(http.StatusRequestEntityTooLarge, `{"detail": "Request body is larger than 16 KiB."}`)
		require.Equal(e.t, before, e.countRows("api_tokens"))

		var made server.PersonalAccessTokenCreated
		year := map[string]any{"name": strings.Repeat("ü", 100), "scopes": scopes, "expires_at": now.Add(365 * 24 * time.Hour).Format(time.RFC3339)}
		owner("POST", tokensPath, year).is(http.StatusCreated, "").decode(&made)
		e.clock.Advance(365*24*time.Hour - time.Second)
		e.withKey(made.Token)("GET", base, nil).is(http.StatusOK, "")
		e.clock.Advance(time.Second)
		e.withKey(made.Token)("GET", base, nil).isUnauthorized("Token has expired.")
	})
}

// No two requests at once get a user past the largest number of tokens.
func TestNumberOfTokensIsLimited(t *testing.T) {
	onEachEngine(t, func(e *env) {
		owner := e.person("owner")
		// Those that expired, and those of front ends, do not count.
		e.issue("owner")
		e.exec("UPDATE api_tokens SET expires = '2020-01-01T00:00:00.000000Z' WHERE user_uuid = '" + e.userID("owner").String() + "' AND name = ''")
		e.key(e.ticket("owner"))
		for range identity.MaxTokens - 2 {
			e.issue("owner")
		}
		body := map[string]any{"name": "x", "scopes": []string{"invitations:read"}}
		statuses := make(chan int)
		for range 4 {
			go func() { statuses <- owner("POST", tokensPath, body).Status }()
		}
		count := map[int]int{}
		for range 4 {
			count[<-statuses]++
		}
		require.Equal(e.t, map[int]int{http.StatusCreated: 1, http.StatusBadRequest: 3}, count)
		var all []server.PersonalAccessToken
		owner("GET", tokensPath+"?page_size=200", nil).is(http.StatusOK, "").decode(&all)
		counted := slices.IndexFunc(all, func(t server.PersonalAccessToken) bool { return t.Name == "x" })
		owner("DELETE", tokensPath+all[counted].UUID.String()+"/", nil).is(http.StatusNoContent, "")
		owner("POST", tokensPath, body).is(http.StatusCreated, "")
	})
}

// A token with scopes reaches the operations of its scopes and no others, whatever the user may do. A token without scopes
// reaches all but those of tokens.
func TestScopesLimitEveryOperation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply("users: [{username: robot, kind: service, email: robot@example.com, is_staff: true}]")
		keys := map[directory.TokenScope]string{"": e.issue("robot")}
		for _, scope := range directory.TokenScopes {
			keys[scope] = e.issue("robot", scope)
		}
		operations := 0
		for path, item := range loadContract(e.t).Paths.Map() {
			for method, operation := range item.Operations() {
				scope, _ := operation.Extensions["x-token-scope"].(string)
				if scope == "" {
					require.NotNil(e.t, operation.Security, "%s needs no token", operation.OperationID)
					continue
				}
				operations++
				for has, key := range keys {
					answer := e.withKey(key)(method, strings.ReplaceAll(path, "{uuid}", uuid.NewString()), "{}")
					reaches := has == directory.TokenScope(scope) || (has == "" && scope != "none" && scope != "users:token")
					require.Equal(e.t, !reaches, answer.Status == http.StatusForbidden, "%s with %q: %s", operation.OperationID, has, answer.Body)
					if !reaches && method != http.MethodHead && scope != "none" && scope != "users:token" {
						answer.is(http.StatusForbidden, `{"detail": "The API token lacks the scope `+scope+`."}`)
					}
				}
			}
		}
		require.Greater(e.t, operations, 30)

		// Several scopes reach the operations of each.
		both := e.withKey(e.issue("owner", directory.ReadInvitations, directory.ReadDirectory))
		both("GET", base, nil).is(http.StatusOK, "")
		both("GET", me, nil).is(http.StatusOK, "")
		both("POST", at(uuid.NewString(), "accept"), nil).is(http.StatusForbidden, "")
		// The probe shows its checks to staff, and not to a token of theirs that is limited.
		ready := func(key string) string {
			r := e.newRequest("GET", "/readyz", "", nil)
			r.Header.Set("Authorization", "Token "+key)
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			return e.send(r).Body
		}
		require.Contains(e.t, ready(keys[""]), "checks")
		require.NotContains(e.t, ready(keys[directory.ReadDirectory]), "checks")
	})
}

// A service user's token with the scope asks for a token of a user, which works as the user for ten minutes.
func TestTokensForUsers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		portal := e.portal()
		var made server.PersonalAccessTokenCreated
		portal("POST", userTokenPath(e.userID("invitee")), nil).is(http.StatusCreated, "").decode(&made)
		require.Equal(e.t, "for portal", made.Name)
		require.Equal(e.t, formatTime(e.clock.Now().Add(10*time.Minute)), made.ExpiresAt)
		require.Regexp(e.t, `msg="API token made for a user" request_id=\S+ user=invitee token=`+made.UUID.String()+` client=127\.0\.0\.1 by=portal`, e.log.String())
		require.Equal(e.t, "token_created 127.0.0.1 "+made.UUID.String()+" for portal, asked for by portal", e.tokenEvents("invitee")[0])
		require.NotContains(e.t, e.log.String(), made.Token)

		invitee := e.withKey(made.Token)
		require.Contains(e.t, invitee("GET", me, nil).is(http.StatusOK, "").Body, `"username":"invitee"`)
		id := e.create("owner", "Invitee@University.example", admin, apollo).UUID.String()
		invitee("POST", at(id, "accept"), nil).is(http.StatusOK, "")
		invitee("POST", tokensPath, map[string]any{"name": "x", "scopes": []string{"invitations:read"}}).is(http.StatusForbidden, noTokens)
		invitee("POST", userTokenPath(e.userID("owner")), nil).is(http.StatusForbidden, needsScope)
		e.clock.Advance(10*time.Minute - time.Second)
		invitee("GET", me, nil).is(http.StatusOK, "")

		// A user who becomes staff meanwhile is out of its reach.
		e.exec("UPDATE users SET is_staff = TRUE WHERE username = 'invitee'")
		invitee("GET", me, nil).isUnauthorized("Invalid token.")
		e.exec("UPDATE users SET is_staff = FALSE WHERE username = 'invitee'")
		// A token works only as long as who asked for it is an active service user.
		for _, change := range []string{"is_active = FALSE", "kind = ''"} {
			e.exec("UPDATE users SET " + change + " WHERE username = 'portal'")
			invitee("GET", me, nil).isUnauthorized("Invalid token.")
			e.exec("UPDATE users SET is_active = TRUE, kind = 'service' WHERE username = 'portal'")
		}
		invitee("GET", me, nil).is(http.StatusOK, "")
		e.clock.Advance(time.Second)
		invitee("GET", me, nil).isUnauthorized("Token has expired.")

		// It is deleted soon after its end, and other tokens are not.
		others := e.countRows("api_tokens WHERE issued_by_uuid IS NULL")
		service := &identity.Service{Store: e.db.Identities()}
		require.NoError(e.t, service.Sweep(e.context()))
		require.Equal(e.t, "1", e.countRows("api_tokens WHERE issued_by_uuid IS NOT NULL"))
		e.clock.Advance(time.Hour + time.Second)
		require.NoError(e.t, service.Sweep(e.context()))
		require.Equal(e.t, "0", e.countRows("api_tokens WHERE issued_by_uuid IS NOT NULL"))
		require.Equal(e.t, others, e.countRows("api_tokens"))
	})
}

func TestTokensForUsersAreRefused(t *testing.T) {
	onEachEngine(t, func(e *env) {
		portal := e.portal()
		before := e.countRows("api_tokens")
		const noSuchTokens = `{"detail": "There are no tokens for staff, support and service users."}`
		for user, want := range map[string]string{
			"staff": noSuchTokens, "support": noSuchTokens, "portal": noSuchTokens, "inactive": notFound,
		} {
			portal("POST", userTokenPath(e.userID(user)), nil).is(either(want == notFound, http.StatusNotFound, http.StatusForbidden), want)
		}
		portal("POST", userTokenPath(uuid.New()), nil).is(http.StatusNotFound, notFound)
		portal("POST", "/api/users/x/token/", nil).is(http.StatusNotFound, notFound)
		portal("GET", base, nil).is(http.StatusForbidden, `{"detail": "The API token lacks the scope invitations:read."}`)

		manager := userTokenPath(e.userID("manager"))
		e.request("POST", manager, "staff", nil).is(http.StatusForbidden, needsScope)
		e.person("staff")("POST", manager, nil).is(http.StatusForbidden, needsScope)
		e.request("POST", manager, "", nil).is(http.StatusUnauthorized, noCredential)
		// The scope alone is not enough: the user has to be a service user, at the moment of the request.
		e.apply("users: [{username: portal, kind: person, email: portal@example.com}]")
		portal("POST", manager, nil).is(http.StatusForbidden, forbidden)
		e.apply("users: [{username: portal, kind: service, is_active: false}]")
		portal("POST", manager, nil).isUnauthorized("User inactive or deleted.")
		require.Equal(e.t, before, e.countRows("api_tokens"))
	})
}

// The operator's tokens, and those of the directory file, are events too.
func TestEventsOfTheOperatorsTokens(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := func() string {
			return e.value("SELECT uuid FROM api_tokens WHERE user_uuid = '" + e.userID("owner").String() + "'")
		}
		first := id()
		require.Equal(e.t, []string{"token_created  " + first + " directory file, not limited, by the operator"}, e.tokenEvents("owner"))
		e.clock.Advance(time.Second)
		e.apply("users: [{username: owner, email: owner@acme.example, tokens: []}]")
		e.issue("owner", directory.ReadDirectory)
		second := id()
		require.NoError(e.t, directory.RevokeToken(e.context(), e.db.FileStore(), uuid.MustParse(second)))
		e.issue("owner")
		third := id()
		_, err := directory.RevokeTokensOf(e.context(), e.db.FileStore(), "owner")
		require.NoError(e.t, err)
		require.Equal(e.t, []string{
			"token_revoked  " + third + ", by the operator",
			"token_created  " + third + ", not limited, by the operator",
			"token_revoked  " + second + ", by the operator",
			"token_created  " + second + ", limited to directory:read, by the operator",
			"token_revoked  " + first + " directory file, by the operator",
		}, e.tokenEvents("owner")[:5])
	})
}

// A service user signs in nowhere: neither by an issuer, nor with a session or an identity from when the user was a person.
func TestServiceUsersHaveTokensAlone(t *testing.T) {
	onEachEngine(t, func(e *env) {
		owner := e.personAt(e.withIssuer(identity.CreateAny), "owner")
		owner("GET", me, nil).is(http.StatusOK, "")
		owner("GET", tokensPath, nil).is(http.StatusOK, "")
		session := e.person("owner")
		session("GET", me, nil).is(http.StatusOK, "")
		const file = "users: [{username: owner, kind: service, email: owner@acme.example, tokens: [owner-key]}]"
		e.apply(file)
		owner("GET", me, nil).isUnauthorized("A service user signs in nowhere, and calls the API with tokens alone.")
		session("GET", me, nil).isUnauthorized("You are signed out. Sign in again.")
		require.Equal(e.t, "0", e.countRows("sessions"))
		_, err := e.identity(identity.CreateNone).SignInAs(e.context(), "owner", "192.0.2.1")
		require.True(e.t, fault.Is(err, fault.KindNotFound), "%v", err)
		require.Contains(e.t, e.request("GET", me, "owner", nil).is(http.StatusOK, "").Body, `"username":"owner"`)
		e.exec("UPDATE users SET kind = '' WHERE username = 'owner'")
		again := e.person("owner")
		again("GET", me, nil).is(http.StatusOK, "")
		e.exec("UPDATE users SET kind = 'service' WHERE username = 'owner'")
		again("GET", me, nil).isUnauthorized("You are signed out. Sign in again.")
		// The address of a service user is nobody's: who has the mailbox is somebody else.
		e.exec("DELETE FROM identities")
		require.Contains(e.t, owner("GET", me, nil).is(http.StatusOK, "").Body, `"username":"owner@acme.example"`)
	})
}
