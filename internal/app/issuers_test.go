package app

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/config"
	"invited/internal/signin/signintest"
)

// An issuer that is down does not stop the start; the server says that it is degraded, and takes the issuer's tokens as soon
// as it can.
func TestStartWhileIssuerIsDown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := signintest.New(t)
	issuer.IsDown = true
	c, err := config.Load([]string{
		"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_DATABASE_URL=sqlite://" + filepath.Join(dir, "invited.db"),
		"INVITED_MAIL_DIR=" + filepath.Join(dir, "mail"), "INVITED_OIDC_ISSUER=" + issuer.URL, "INVITED_OIDC_CLIENT_ID=invited",
	})
	require.NoError(t, err)
	a := New(c, Options{Logger: slog.New(slog.DiscardHandler), Migrate: true})
	require.NoError(t, a.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	get := func(path, authorization string) (int, map[string]any) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr().String()+path, nil)
		require.NoError(t, err)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		answer, err := (&http.Client{Timeout: 20 * time.Second}).Do(r)
		require.NoError(t, err)
		defer func() { _ = answer.Body.Close() }()
		var body map[string]any
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
		return answer.StatusCode, body
	}
	status, body := get("/readyz", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "degraded", body["status"])
	require.NotContains(t, body["checks"].(map[string]any)["sign_in_oidc"], issuer.URL) //nolint:forcetypeassert // the test fails by a panic as well
	status, _ = get("/api/users/me/", "Bearer "+issuer.AccessToken(nil))
	require.Equal(t, http.StatusServiceUnavailable, status)

	issuer.IsDown = false
	status, body = get("/api/users/me/", "Bearer "+issuer.AccessToken(nil))
	require.Equal(t, http.StatusServiceUnavailable, status, "it is not tried again at once")
	require.NotContains(t, body["detail"], issuer.URL)
}

// People who are nobody here get a 401 with words that say whom to ask.
func TestTokenOfNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := signintest.New(t)
	c, err := config.Load([]string{
		"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_DATABASE_URL=sqlite://" + filepath.Join(dir, "invited.db"),
		"INVITED_MAIL_DIR=" + filepath.Join(dir, "mail"), "INVITED_OIDC_ISSUER=" + issuer.URL, "INVITED_OIDC_CLIENT_ID=invited",
	})
	require.NoError(t, err)
	a := New(c, Options{Logger: slog.New(slog.DiscardHandler), Migrate: true})
	require.NoError(t, a.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr().String()+"/api/users/me/", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+issuer.AccessToken(signintest.Claims{"email": "x@y.example", "email_verified": true}))
	answer, err := (&http.Client{Timeout: 20 * time.Second}).Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	var body struct{ Detail string }
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
	require.Equal(t, "Nobody has invited x@y.example. Ask whoever invited you to send the invitation to this address.", body.Detail)
}
