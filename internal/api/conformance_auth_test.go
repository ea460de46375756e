package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/token"
)

// unauthorized asserts a 401 with these words.
func (r response) unauthorized(message string) {
	r.t.Helper()
	r.is(http.StatusUnauthorized, detail(message))
	require.Equal(r.t, "Token", r.Header.Get("WWW-Authenticate"))
}

// with sends a request with an Authorization header.
func (w *world) with(authorization, method, path string, body any) response {
	w.t.Helper()
	r := w.newRequest(method, path, "", body)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return w.send(r)
}

// guarded are the operations that need to know who calls.
func guarded(id string) [][2]string {
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

func TestWhoDoesNotSayWhoTheyAre(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		for _, each := range guarded(made.UUID.String()) {
			w.run(each[0]+" "+each[1], func(w *world) {
				w.with("", each[0], each[1], nil).unauthorized("Authentication credentials were not provided.")
				w.with("Token nobodys-key", each[0], each[1], nil).unauthorized("Invalid token.")
				w.with("Bearer nobodys-key", each[0], each[1], nil).unauthorized("Invalid token.")
				w.with("Token inactive-key", each[0], each[1], nil).unauthorized("User inactive or deleted.")
				w.with("Bearer inactive-key", each[0], each[1], nil).unauthorized("User inactive or deleted.")
			})
		}
		require.Equal(w.t, made, w.see(made.UUID))
	})
}

func TestCredentialsThatAreNone(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, each := range []string{"Basic b3duZXI6eA==", "owner-key", "Tokenowner-key", "Digest x"} {
			w.with(each, "GET", base, nil).unauthorized("Authentication credentials were not provided.")
		}
		for _, each := range []string{
			"Token", "Token ", "Bearer ", "Token owner-key x", "Token owner-ke", "Token Owner-key", "Token owner-keyy",
			"Token 'owner-key'", "Token " + strings.Repeat("x", 10_000), "Token token owner-key",
		} {
			w.with(each, "GET", base, nil).unauthorized("Invalid token.")
		}
	})
}

func TestBearerDoesWhatTokenDoes(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		for _, scheme := range []string{"Token", "Bearer"} {
			require.Contains(w.t, w.with(scheme+" owner-key", "GET", base, nil).is(http.StatusOK, "").Body, made.UUID.String())
			w.with(scheme+" owner-key", "POST", at(made.UUID.String(), "delete"), nil).is(http.StatusForbidden, forbidden)
		}
		w.with("Bearer staff-key", "POST", at(made.UUID.String(), "delete"), nil).is(http.StatusOK, deleted)
	})
}

func TestKeysExpire(t *testing.T) {
	inEachWorld(t, func(w *world) {
		expires := w.clock.Now().Add(time.Hour)
		w.exec("UPDATE api_tokens SET expires = '" + expires.Format("2006-01-02T15:04:05.000000Z") +
			"' WHERE user_uuid = '" + w.userID("owner").String() + "'")
		w.wait(expires.Add(-time.Microsecond))
		w.with("Token owner-key", "GET", base, nil).is(http.StatusOK, "")
		w.wait(expires)
		for _, each := range guarded("0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11") {
			w.with("Token owner-key", each[0], each[1], nil).unauthorized("Token has expired.")
		}
	})
}

func TestAUserWhoIsDeactivatedIsOutAtOnce(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.with("Token owner-key", "GET", base, nil).is(http.StatusOK, "")
		w.rewrite("full_name: Olivia Owner,", "full_name: Olivia Owner, is_active: false,")
		w.with("Token owner-key", "GET", base, nil).unauthorized("User inactive or deleted.")
		w.rewrite()
		w.with("Token owner-key", "GET", base, nil).is(http.StatusOK, "")
		w.goneOwner()
		w.with("Token owner-key", "GET", base, nil).is(http.StatusUnauthorized, "")
	})
}

func TestSomeOperationsIgnoreCredentials(t *testing.T) {
	inEachWorld(t, func(w *world) {
		pending := w.create("staff", "a@x.example", admin, apollo)
		for _, each := range []string{
			"", "Token nobodys-key", "Token inactive-key", "Basic eDp5", "Token", "Token stranger-key",
		} {
			w.run(each, func(w *world) {
				w.with(each, "POST", at(pending.UUID.String(), "check"), nil).is(http.StatusOK, `{"email": "a@x.example"}`)
				w.with(each, "POST", base+"approve/", `{"token": "x"}`).is(http.StatusBadRequest, rule(msgSignature))
				w.with(each, "POST", base+"reject/", `{"token": "x"}`).is(http.StatusBadRequest, rule(msgSignature))
				for _, decision := range decisions {
					made := w.create("owner", "b@x.example", admin, apollo)
					text := w.sign(decision.purpose, w.userID("staff"), made.UUID)
					w.with(each, "POST", base+decision.action+"/", map[string]string{"token": text}).
						is(http.StatusOK, decision.done)
					w.do("staff", made.UUID, "delete").is(http.StatusOK, deleted)
				}
			})
		}
	}, onlyStaff)
}

// A caller who is not known learns nothing of what is there.
func TestAuthenticationComesFirst(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.with("", "GET", at("nonsense"), nil).is(http.StatusUnauthorized, noCredential)
		w.with("", "GET", base+"?page=0&state=x", nil).is(http.StatusUnauthorized, noCredential)
		w.with("", "POST", base, `{"email": 1}`).is(http.StatusUnauthorized, noCredential)
		w.with("", "POST", at("0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "accept"), nil).is(http.StatusUnauthorized, noCredential)
	})
}

func TestAKeyIsKeptAsItsDigestOnly(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.with("Token "+token.Digest("owner-key"), "GET", base, nil).unauthorized("Invalid token.")
		require.Equal(w.t, token.Digest("owner-key"),
			w.value("SELECT digest FROM api_tokens WHERE user_uuid = '"+w.userID("owner").String()+"'"))
		require.NotContains(w.t, w.log.String(), "owner-key")
	})
}
