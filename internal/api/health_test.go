package api_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/api"
)

// The checks of /readyz tell about the inside of the set-up. Whoever runs the server sees them. Everybody else sees the status,
// and probes need no more.
func TestReadinessDetails(t *testing.T) {
	onEachEngine(t, func(e *env) {
		_, proxies, err := net.ParseCIDR("10.1.0.0/16")
		require.NoError(e.t, err)
		withProxies := e.handler(func(c *api.Config) { c.TrustedProxies = []*net.IPNet{proxies} })
		without := e.handler(func(*api.Config) {})
		for name, test := range map[string]struct {
			peer    string
			headers []string
			details bool
			proxied bool // with trusted proxies alone
		}{
			"this machine":                   {peer: "127.0.0.1:5", details: true},
			"this machine, IPv6":             {peer: "[::1]:5", details: true},
			"this machine, mapped":           {peer: "[::ffff:127.0.0.1]:5", details: true},
			"stranger":                       {peer: "192.0.2.1:5"},
			"stranger, IPv6":                 {peer: "[2001:db8::1]:5"},
			"kubelet":                        {peer: "10.2.0.1:5"},
			"proxy itself":                   {peer: "10.1.0.1:5", details: true, proxied: true},
			"proxy for a client":             {peer: "10.1.0.1:5", headers: []string{"X-Forwarded-For", "192.0.2.1"}},
			"proxy for this machine":         {peer: "10.1.0.1:5", headers: []string{"X-Forwarded-For", "127.0.0.1"}},
			"local proxy for a client":       {peer: "127.0.0.1:5", headers: []string{"X-Forwarded-For", "192.0.2.1"}},
			"local proxy, empty header":      {peer: "127.0.0.1:5", headers: []string{"X-Forwarded-For", ""}},
			"local proxy, another header":    {peer: "127.0.0.1:5", headers: []string{"Forwarded", "for=192.0.2.1"}},
			"local proxy, a third header":    {peer: "127.0.0.1:5", headers: []string{"Via", "1.1 proxy"}},
			"stranger who claims to be here": {peer: "192.0.2.1:5", headers: []string{"X-Forwarded-For", "127.0.0.1", "X-Real-IP", "127.0.0.1", "Host", "localhost"}},
			"staff":                          {peer: "192.0.2.1:5", headers: []string{"Authorization", "Token staff-key"}, details: true},
			"staff behind a proxy":           {peer: "10.1.0.1:5", headers: []string{"Authorization", "Token staff-key", "X-Forwarded-For", "192.0.2.1"}, details: true},
			"support":                        {peer: "192.0.2.1:5", headers: []string{"Authorization", "Token support-key"}},
			"owner":                          {peer: "192.0.2.1:5", headers: []string{"Authorization", "Token owner-key"}},
			"inactive staff":                 {peer: "192.0.2.1:5", headers: []string{"Authorization", "Token inactive-key"}},
			"unknown key":                    {peer: "192.0.2.1:5", headers: []string{"Authorization", "Token nobody-key"}},
			"no peer":                        {peer: "@"},
		} {
			for handler, serve := range map[string]http.Handler{"with proxies": withProxies, "without": without} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					r := httptest.NewRequestWithContext(e.context(), method, "/readyz", nil)
					r.RemoteAddr = test.peer
					for i := 0; i < len(test.headers); i += 2 {
						r.Header.Set(test.headers[i], test.headers[i+1])
					}
					recorder := httptest.NewRecorder()
					serve.ServeHTTP(recorder, r)
					require.Equal(e.t, http.StatusOK, recorder.Code, name)
					if method == http.MethodHead {
						continue // net/http sends no body
					}
					want := `{"status": "ok"}`
					if test.details && (!test.proxied || handler == "with proxies") {
						want = `{"status": "ok", "checks": {}}`
					}
					require.JSONEq(e.t, want, recorder.Body.String(), "%s, %s", name, handler)
				}
			}
		}
	})
}

// X-Forwarded-For is believed from the trusted proxies, and from nobody where there are none.
func TestClientAddress(t *testing.T) {
	onEachEngine(t, func(e *env) {
		_, proxies, err := net.ParseCIDR("10.1.0.0/16")
		require.NoError(e.t, err)
		for _, test := range []struct {
			trusted      []*net.IPNet
			peer, client string
		}{
			{nil, "10.1.0.1", "10.1.0.1"},
			{nil, "127.0.0.1", "127.0.0.1"},
			{[]*net.IPNet{proxies}, "10.1.0.1", "192.0.2.7"},
			{[]*net.IPNet{proxies}, "10.2.0.1", "10.2.0.1"},
			{[]*net.IPNet{proxies}, "127.0.0.1", "127.0.0.1"},
		} {
			serve := e.handler(func(c *api.Config) { c.TrustedProxies = test.trusted })
			r := httptest.NewRequestWithContext(e.context(), http.MethodGet, "/nowhere", nil)
			r.RemoteAddr = net.JoinHostPort(test.peer, "5")
			r.Header.Set("X-Forwarded-For", "127.0.0.1, 192.0.2.7")
			r.Header.Set("X-Real-IP", "192.0.2.8")
			recorder := httptest.NewRecorder()
			serve.ServeHTTP(recorder, r)
			id := recorder.Header().Get("X-Request-ID")
			require.Regexp(e.t, "request_id="+id+" .* client="+test.client+"\n", e.log.String())
		}
	})
}
