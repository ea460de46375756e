package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/invitation"
	"invited/internal/signin"
)

// CORS is off, or on for exactly the configured origins.
func TestCORS(t *testing.T) {
	t.Parallel()
	const origin = "https://portal.example"
	ask := func(set []string, method, from string) http.Header {
		callers, err := signin.NewChain(signin.ChainConfig{Origin: "https://api.example", ClientIP: api.ClientIP(nil)})
		require.NoError(t, err)
		handler, err := api.New(api.Config{
			Service: &invitation.Service{}, Callers: callers, PublicURL: "https://api.example/", CORSOrigins: set, CORSHeaders: []string{"traceparent"}, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), method, base, nil)
		r.Header.Set("Origin", from)
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", "POST")
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		return recorder.Header()
	}
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		require.Empty(t, ask(nil, method, origin).Values("Access-Control-Allow-Origin"))
		allowed := ask([]string{origin}, method, origin)
		require.Equal(t, origin, allowed.Get("Access-Control-Allow-Origin"))
		require.Empty(t, allowed.Get("Access-Control-Allow-Credentials"))
		require.Contains(t, allowed.Values("Vary"), "Origin")
		for _, other := range []string{"https://evil.example", "http://portal.example", origin + ".evil.example", "null"} {
			require.Empty(t, ask([]string{origin}, method, other).Values("Access-Control-Allow-Origin"), other)
		}
	}
	require.Contains(t, ask([]string{origin}, http.MethodGet, origin).Get("Access-Control-Expose-Headers"), "X-Result-Count")
	require.Contains(t, ask([]string{origin}, http.MethodGet, origin).Get("Access-Control-Expose-Headers"), "Idempotent-Replayed")
	require.Contains(t, ask([]string{origin}, http.MethodGet, origin).Get("Access-Control-Expose-Headers"), "Content-Disposition")
	preflight := ask([]string{origin}, http.MethodOptions, origin)
	require.Contains(t, preflight.Get("Access-Control-Allow-Headers"), "Authorization")
	require.Contains(t, preflight.Get("Access-Control-Allow-Headers"), "traceparent")
	require.Contains(t, preflight.Get("Access-Control-Allow-Headers"), "If-None-Match")
	require.Contains(t, ask([]string{origin}, http.MethodGet, origin).Get("Access-Control-Expose-Headers"), "ETag")
	require.Contains(t, preflight.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
	for _, item := range loadContract(t).Paths.Map() {
		for method := range item.Operations() {
			require.Contains(t, strings.Split(preflight.Get("Access-Control-Allow-Methods"), ","), method)
		}
	}
}
