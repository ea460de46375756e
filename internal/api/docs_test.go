package api_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// The contract that is served is the one that was written, with this server as the one to call.
func TestServedContract(t *testing.T) {
	inEachWorld(t, func(w *world) {
		want := map[string]bool{}
		for path, item := range loadContract(w.t).Paths.Map() {
			for method, operation := range item.Operations() {
				want[method+" "+path+" "+operation.OperationID] = true
			}
		}
		for path, kind := range map[string]string{"/openapi.json": "application/json", "/openapi.yaml": "application/yaml"} {
			r := w.newRequest(http.MethodGet, path, "", nil)
			r.Host = "evil.example"
			r.Header.Set("X-Forwarded-Host", "evil.example")
			got := w.send(r)
			require.Equal(w.t, http.StatusOK, got.Status)
			require.Equal(w.t, kind, got.Header.Get("Content-Type"))
			require.Contains(w.t, got.Header.Get("Content-Security-Policy"), "default-src 'none'")
			document, err := openapi3.NewLoader().LoadFromData([]byte(got.Body))
			require.NoError(w.t, err, path)
			require.NoError(w.t, document.Validate(w.t.Context(), openapi3.EnableExamplesValidation()))
			require.Len(w.t, document.Servers, 1)
			require.Equal(w.t, "https://api.example", document.Servers[0].URL)
			have := map[string]bool{}
			for path, item := range document.Paths.Map() {
				for method, operation := range item.Operations() {
					have[method+" "+path+" "+operation.OperationID] = true
				}
			}
			require.Equal(w.t, want, have)
		}
	})
}

var loaded = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

// The page to read it loads nothing but what this server has, and from nowhere else may it.
func TestReference(t *testing.T) {
	inEachWorld(t, func(w *world) {
		got := w.send(w.newRequest(http.MethodGet, "/docs", "", nil))
		require.Equal(w.t, http.StatusOK, got.Status)
		require.Equal(w.t, "text/html; charset=utf-8", got.Header.Get("Content-Type"))
		policy := got.Header.Get("Content-Security-Policy")
		for _, each := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"} {
			require.Contains(w.t, policy, each)
		}
		require.NotContains(w.t, policy, "unsafe")
		found := loaded.FindAllStringSubmatch(got.Body, -1)
		require.GreaterOrEqual(w.t, len(found), 5)
		for _, each := range found {
			require.NotContains(w.t, each[1], "//")
			require.NotEqual(w.t, "/", each[1][:1], "a gateway may put a prefix before it")
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				asset := w.send(w.newRequest(method, "/"+each[1], "", nil))
				require.Equal(w.t, http.StatusOK, asset.Status, each[1])
				require.NotContains(w.t, asset.Header.Get("Content-Type"), "text/plain", each[1])
				require.Equal(w.t, "nosniff", asset.Header.Get("X-Content-Type-Options"), each[1])
			}
		}
		for _, path := range []string{"/docs/index.html", "/docs/../openapi.json", "/docs/page.js/", "/docs/none.js"} {
			require.Equal(w.t, http.StatusNotFound, w.send(w.newRequest(http.MethodGet, path, "", nil)).Status, path)
		}
		require.Equal(w.t, got.Body, w.send(w.newRequest(http.MethodGet, "/docs/", "", nil)).Body, "whoever adds a slash gets there")
		for _, path := range []string{"/docs", "/docs/page.js", "/openapi.json"} {
			refused := w.send(w.newRequest(http.MethodPost, path, "", nil))
			require.Equal(w.t, http.StatusMethodNotAllowed, refused.Status, path)
			require.Contains(w.t, refused.Header.Get("Allow"), http.MethodGet, path)
		}
	})
}
