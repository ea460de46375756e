package api_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// The served contract is openapi.yaml, with this server as the only one in `servers`.
func TestServedContract(t *testing.T) {
	onEachEngine(t, func(e *env) {
		want := map[string]bool{}
		for path, item := range loadContract(e.t).Paths.Map() {
			for method, operation := range item.Operations() {
				want[method+" "+path+" "+operation.OperationID] = true
			}
		}
		for path, kind := range map[string]string{"/openapi.json": "application/json", "/openapi.yaml": "application/yaml"} {
			r := e.newRequest(http.MethodGet, path, "", nil)
			r.Host = "evil.example"
			r.Header.Set("X-Forwarded-Host", "evil.example")
			got := e.send(r)
			require.Equal(e.t, http.StatusOK, got.Status)
			require.Equal(e.t, kind, got.Header.Get("Content-Type"))
			require.Contains(e.t, got.Header.Get("Content-Security-Policy"), "default-src 'none'")
			document, err := openapi3.NewLoader().LoadFromData([]byte(got.Body))
			require.NoError(e.t, err, path)
			require.NoError(e.t, document.Validate(e.context(), openapi3.EnableExamplesValidation()))
			require.Len(e.t, document.Servers, 1)
			require.Equal(e.t, "https://api.example", document.Servers[0].URL)
			have := map[string]bool{}
			for path, item := range document.Paths.Map() {
				for method, operation := range item.Operations() {
					have[method+" "+path+" "+operation.OperationID] = true
				}
			}
			require.Equal(e.t, want, have)
		}
	})
}

var assetReference = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

// The documentation page loads files of this server only, and its policy allows no others.
func TestDocsPage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		got := e.send(e.newRequest(http.MethodGet, "/docs", "", nil))
		require.Equal(e.t, http.StatusOK, got.Status)
		require.Equal(e.t, "text/html; charset=utf-8", got.Header.Get("Content-Type"))
		policy := got.Header.Get("Content-Security-Policy")
		for _, each := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"} {
			require.Contains(e.t, policy, each)
		}
		require.NotContains(e.t, policy, "unsafe")
		found := assetReference.FindAllStringSubmatch(got.Body, -1)
		require.GreaterOrEqual(e.t, len(found), 5)
		for _, each := range found {
			require.NotContains(e.t, each[1], "//")
			require.NotEqual(e.t, "/", each[1][:1], "the path is relative, because a gateway may add a prefix")
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				asset := e.send(e.newRequest(method, "/"+each[1], "", nil))
				require.Equal(e.t, http.StatusOK, asset.Status, each[1])
				require.NotContains(e.t, asset.Header.Get("Content-Type"), "text/plain", each[1])
				require.Equal(e.t, "nosniff", asset.Header.Get("X-Content-Type-Options"), each[1])
			}
		}
		for _, path := range []string{"/docs/index.html", "/docs/../openapi.json", "/docs/page.js/", "/docs/none.js"} {
			require.Equal(e.t, http.StatusNotFound, e.send(e.newRequest(http.MethodGet, path, "", nil)).Status, path)
		}
		require.Equal(e.t, got.Body, e.send(e.newRequest(http.MethodGet, "/docs/", "", nil)).Body, "a path with a slash at its end redirects to the page")
		for _, path := range []string{"/docs", "/docs/page.js", "/openapi.json"} {
			refused := e.send(e.newRequest(http.MethodPost, path, "", nil))
			require.Equal(e.t, http.StatusMethodNotAllowed, refused.Status, path)
			require.Contains(e.t, refused.Header.Get("Allow"), http.MethodGet, path)
		}
	})
}
