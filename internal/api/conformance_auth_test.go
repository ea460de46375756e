package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/token"
)

// isUnauthorized asserts a 401 with a message.
func (r response) isUnauthorized(message string) {
	r.t.Helper()
	r.is(http.StatusUnauthorized, detailBody(message))
	require.Equal(r.t, "Token", r.Header.Get("WWW-Authenticate"))
}

// requestWith sends a request with an Authorization header.
func (e *env) requestWith(authorization, method, path string, body any) response {
	e.t.Helper()
	r := e.newRequest(method, path, "", body)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return e.send(r)
}

// authenticatedOperations returns method and path of operations that require authentication.
func authenticatedOperations(id string) [][2]string {
	return [][2]string{
		{"GET", base},
		{"POST", base},
		{"GET", at(id)},
		{"GET", at(id, "details")},
		{"POST", at(id, "accept")},
		{"POST", at(id, "cancel")},
		{"POST", at(id, "send")},
		{"POST", at(id, "delete")},
	}
}

func TestAuthenticationIsRequired(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		for _, each := range authenticatedOperations(made.UUID.String()) {
			e.run(each[0]+" "+each[1], func(e *env) {
				e.requestWith("", each[0], each[1], nil).isUnauthorized("Authentication credentials were not provided.")
				e.requestWith("Token nobodys-key", each[0], each[1], nil).isUnauthorized("Invalid token.")
				e.requestWith("Bearer nobodys-key", each[0], each[1], nil).isUnauthorized("Invalid token.")
				e.requestWith("Token inactive-key", each[0], each[1], nil).isUnauthorized("User inactive or deleted.")
				e.requestWith("Bearer inactive-key", each[0], each[1], nil).isUnauthorized("User inactive or deleted.")
			})
		}
		require.Equal(e.t, made, e.retrieve(made.UUID))
	})
}

// Credentials are exactly one key after one of the two schemes.
func TestCredentials(t *testing.T) {
	onEachEngine(t, func(e *env) {
		invalid := `{"detail": "Invalid token."}`
		for want, headers := range map[string][][]string{
			noCredential: {
				nil,
				{""},
				{" "},
				{"owner-key"},
				{"Basic b3duZXI6b3duZXIta2V5"},
				{"Basic b3duZXI6eA=="},
				{"Basic owner-key"},
				{"Digest x"},
				{"Digest owner-key"},
				{"JWT owner-key"},
				{"Tokenowner-key"},
				{"Token:owner-key"},
				{"Token=owner-key"},
				{"Token\towner-key"},
				{`"Token" owner-key`},
				{"Tokens owner-key"},
				{"\u0054oken\u00a0owner-key"},
				{"ＴＯＫＥＮ owner-key"},
			},
			invalid: {
				{"Token"},
				{"Token "},
				{"Bearer"},
				{"Bearer "},
				{"Token x"},
				{"Token owner-key x"},
				{"Token owner- key"},
				{"Token Owner-key"},
				{"Token owner-ke"},
				{"Token owner-keyy"},
				{"Token owner-key,"},
				{`Token "owner-key"`},
				{"Token 'owner-key'"},
				{"Token owner-key, Token staff-key"},
				{"Token \xff"},
				{"Token owner-key", "Token owner-key"},
				{"Token owner-key", "Token staff-key"},
				{"Token owner-key", "Basic x"},
				{"Token " + strings.Repeat("x", 10_000)},
				{"Token " + strings.Repeat("owner-key", 57)},
				{"Token %"},
				{"Token ' OR 1=1"},
				{"Token Token owner-key"},
				{"Token token owner-key"},
				{"Token owner-key\tx"},
				{"Token " + token.Digest("owner-key")},
			},
		} {
			for _, each := range headers {
				for _, path := range []string{base, at(acme), at(acme, "details")} {
					r := e.newRequest("GET", path, "", nil)
					r.Header["Authorization"] = each
					answer := e.send(r)
					require.Equal(e.t, 401, answer.Status, "%.50q: %s", each, answer.Body)
					require.JSONEq(e.t, want, answer.Body, "%.50q", each)
					require.Equal(e.t, []string{"Token"}, answer.Header["Www-Authenticate"])
				}
			}
		}
		for _, each := range []string{"Token owner-key", "Bearer owner-key", "Bearer Token owner-key", "bearer  token  owner-key", "token owner-key", "BEARER owner-key", "Token  owner-key "} {
			r := e.newRequest("GET", base, "", nil)
			r.Header.Set("Authorization", each)
			e.send(r).is(200, "[]")
		}
		// A key in another place is ignored.
		for name, value := range map[string]string{"X-Auth-Token": "owner-key", "Cookie": "token=owner-key; sessionid=owner-key"} {
			r := e.newRequest("GET", base+"?token=owner-key&access_token=owner-key", "", nil)
			r.Header.Set(name, value)
			e.send(r).is(401, noCredential)
		}
		// Authentication comes before the validation of the request.
		e.request("POST", base, "", "{").is(401, noCredential)
		e.request("GET", base+"?page=0&o=x", "", nil).is(401, noCredential)
		e.request("GET", base+"x/", "", nil).is(401, noCredential)
		require.NotContains(e.t, e.log.String(), "owner-key", "the log has a key")
	})
}

func TestTokenAndBearerSchemes(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		for _, scheme := range []string{"Token", "Bearer"} {
			require.Contains(e.t, e.requestWith(scheme+" owner-key", "GET", base, nil).is(http.StatusOK, "").Body, made.UUID.String())
			e.requestWith(scheme+" owner-key", "POST", at(made.UUID.String(), "delete"), nil).is(http.StatusForbidden, forbidden)
		}
		e.requestWith("Bearer staff-key", "POST", at(made.UUID.String(), "delete"), nil).is(http.StatusOK, deletedBody)
	})
}

func TestExpiredKey(t *testing.T) {
	onEachEngine(t, func(e *env) {
		expires := e.clock.Now().Add(time.Hour)
		e.exec("UPDATE api_tokens SET expires = '" + formatTime(expires) +
			"' WHERE user_uuid = '" + e.userID("owner").String() + "'")
		e.setClock(expires.Add(-time.Microsecond))
		e.requestWith("Token owner-key", "GET", base, nil).is(http.StatusOK, "")
		e.setClock(expires)
		for _, each := range authenticatedOperations("0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11") {
			e.requestWith("Token owner-key", each[0], each[1], nil).isUnauthorized("Token has expired.")
		}
	})
}

func TestDeactivatedUser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.requestWith("Token owner-key", "GET", base, nil).is(http.StatusOK, "")
		e.applyReplaced("full_name: Olivia Owner,", "full_name: Olivia Owner, is_active: false,")
		e.requestWith("Token owner-key", "GET", base, nil).isUnauthorized("User inactive or deleted.")
		e.applyReplaced()
		e.requestWith("Token owner-key", "GET", base, nil).is(http.StatusOK, "")
		e.deleteOwner()
		e.requestWith("Token owner-key", "GET", base, nil).is(http.StatusUnauthorized, "")
	})
}

func TestPublicOperationsIgnoreCredentials(t *testing.T) {
	onEachEngine(t, func(e *env) {
		pending := e.create("staff", "a@x.example", admin, apollo)
		for _, each := range []string{
			"", "Token nobodys-key", "Token inactive-key", "Basic eDp5", "Token", "Token stranger-key",
		} {
			e.run(each, func(e *env) {
				e.requestWith(each, "POST", at(pending.UUID.String(), "check"), nil).is(http.StatusOK, `{"email": "a@x.example"}`)
				e.requestWith(each, "POST", base+"approve/", `{"token": "x"}`).is(http.StatusBadRequest, ruleError(msgSignature))
				e.requestWith(each, "POST", base+"reject/", `{"token": "x"}`).is(http.StatusBadRequest, ruleError(msgSignature))
				for _, d := range decisions {
					made := e.create("owner", "b@x.example", admin, apollo)
					text := e.sign(d.purpose, e.userID("staff"), made.UUID)
					e.requestWith(each, "POST", base+d.action+"/", map[string]string{"token": text}).
						is(http.StatusOK, d.done)
					e.do("staff", made.UUID, "delete").is(http.StatusOK, deletedBody)
				}
			})
		}
	}, onlyStaff)
}

// Authentication comes before validation, so that an unknown caller learns nothing of what exists.
func TestAuthenticationBeforeValidation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.requestWith("", "GET", at("nonsense"), nil).is(http.StatusUnauthorized, noCredential)
		e.requestWith("", "GET", base+"?page=0&state=x", nil).is(http.StatusUnauthorized, noCredential)
		e.requestWith("", "POST", base, `{"email": 1}`).is(http.StatusUnauthorized, noCredential)
		e.requestWith("", "POST", at("0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "accept"), nil).is(http.StatusUnauthorized, noCredential)
	})
}

func TestKeysAreStoredAsDigests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.requestWith("Token "+token.Digest("owner-key"), "GET", base, nil).isUnauthorized("Invalid token.")
		require.Equal(e.t, token.Digest("owner-key"),
			e.value("SELECT digest FROM api_tokens WHERE user_uuid = '"+e.userID("owner").String()+"'"))
		require.NotContains(e.t, e.log.String(), "owner-key")
	})
}
