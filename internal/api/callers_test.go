package api_test

import (
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/identity"
	"invited/internal/signin"
)

// ask sends a request with some headers, from an address, to an API.
func (e *env) ask(handler http.Handler, method, path, peer string, headers map[string]string) response {
	e.t.Helper()
	r := httptest.NewRequestWithContext(e.context(), method, path, http.NoBody)
	r.RemoteAddr = net.JoinHostPort(peer, "40000")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	return response{e.t, recorder.Code, recorder.Header(), recorder.Body.String()}
}

// The session of the pages works on the API, and other sites can't use it.
func TestSessionOnAPI(t *testing.T) {
	onEachEngine(t, func(e *env) {
		sessions := e.identity(identity.CreateNone)
		secret, err := sessions.SignInAs(e.context(), "owner", "192.0.2.1")
		require.NoError(e.t, err)
		handler := e.handler(func(*api.Config) {})
		ask := func(method, path string, headers map[string]string) response {
			all := map[string]string{"Cookie": "__Host-invited=" + secret}
			maps.Copy(all, headers)
			return e.ask(handler, method, path, "192.0.2.1", all)
		}
		require.Contains(e.t, ask("GET", me, nil).is(http.StatusOK, "").Body, `"username":"owner"`)
		ask("GET", me, map[string]string{"Cookie": "invited=" + secret}).isUnauthorized("Authentication credentials were not provided.")
		ask("GET", me, map[string]string{"Cookie": "__Host-invited=x" + secret}).isUnauthorized("You are signed out. Sign in again.")

		invited := e.create("owner", "new@x.example", admin, apollo)
		cancel := base + invited.UUID.String() + "/cancel/"
		for _, foreign := range []map[string]string{
			{"Sec-Fetch-Site": "cross-site"},
			{"Sec-Fetch-Site": "same-site"},
			{"Origin": "https://evil.example"},
			{"Origin": "null"},
			{"Sec-Fetch-Site": "cross-site", "Origin": "https://api.example.evil.example"},
		} {
			answer := ask("POST", cancel, foreign).is(http.StatusForbidden, "")
			require.Contains(e.t, answer.Body, "comes from another site", foreign)
		}
		require.Equal(e.t, "pending", e.state(invited.UUID))
		ask("POST", cancel, map[string]string{"Sec-Fetch-Site": "same-origin"}).is(http.StatusOK, "")

		// The first credential decides, whether or not it works.
		ask("GET", me, map[string]string{"Authorization": "Token nobody"}).isUnauthorized("Invalid token.")
		require.Contains(e.t, ask("GET", me, map[string]string{"Authorization": "Token rival-key"}).Body, `"username":"rival"`)
		require.Contains(e.t, ask("GET", me, map[string]string{"Authorization": "Basic b3RoZXI6cGFzcw=="}).Body, `"username":"owner"`)

		e.clock.Advance(time.Hour)
		ask("GET", me, nil).isUnauthorized("You are signed out. Sign in again.")
		secret, err = sessions.SignInAs(e.context(), "owner", "192.0.2.1")
		require.NoError(e.t, err)
		ask("GET", me, nil).is(http.StatusOK, "")
		e.exec("UPDATE users SET is_active = FALSE WHERE username = 'owner'")
		ask("GET", me, nil).isUnauthorized("You are signed out. Sign in again.")
		require.NotContains(e.t, e.log.String(), secret)
	})
}

const proxySecret = "the secret that the proxy has to send"

// A proxy's word counts from the proxy alone, with its secret, said once.
func TestTrustedProxy(t *testing.T) {
	onEachEngine(t, func(e *env) {
		_, network, err := net.ParseCIDR("10.0.0.0/24")
		require.NoError(e.t, err)
		proxy := &signin.Proxy{
			Networks: []*net.IPNet{network}, Secret: proxySecret, StaffGroups: []string{"operators"},
			Headers: signin.ProxyHeaders{User: "Remote-User", Username: "Remote-User", Email: "Remote-Email", Name: "Remote-Name", Groups: "Remote-Groups"},
		}
		handler := e.handler(func(c *api.Config) {
			c.Callers = e.callers(func(c *signin.ChainConfig) {
				c.Proxy, c.Identity = proxy, e.identity(identity.CreateAny)
				c.ClientIP = api.ClientIP([]*net.IPNet{network})
			})
		})
		good := map[string]string{"X-Invited-Proxy-Secret": proxySecret, "Remote-User": "olga", "Remote-Email": "owner@acme.example", "Remote-Name": "Olga Ö"}
		with := func(changes map[string]string) map[string]string {
			headers := maps.Clone(good)
			maps.Copy(headers, changes)
			maps.DeleteFunc(headers, func(_, value string) bool { return value == "" })
			return headers
		}
		for name, spoofed := range map[string]struct {
			peer    string
			headers map[string]string
		}{
			"another peer":                  {"10.0.1.1", good},
			"another peer, forwarded":       {"192.0.2.1", with(map[string]string{"X-Forwarded-For": "10.0.0.1"})},
			"loopback":                      {"127.0.0.1", good},
			"no secret":                     {"10.0.0.1", with(map[string]string{"X-Invited-Proxy-Secret": ""})},
			"a wrong secret":                {"10.0.0.1", with(map[string]string{"X-Invited-Proxy-Secret": proxySecret + "x"})},
			"a part of the secret":          {"10.0.0.1", with(map[string]string{"X-Invited-Proxy-Secret": proxySecret[:20]})},
			"an address alone":              {"10.0.0.1", with(map[string]string{"Remote-User": ""})},
			"a user alone, of another peer": {"10.0.1.1", map[string]string{"Remote-User": "staff"}},
			"a name alone, of another peer": {"10.0.1.1", map[string]string{"Remote-Name": "staff"}},
			"groups alone":                  {"10.0.0.1", map[string]string{"Remote-Groups": "operators"}},
			"a user that is too long":       {"10.0.0.1", with(map[string]string{"Remote-User": strings.Repeat("x", 256)})},
		} {
			answer := e.ask(handler, "GET", me, spoofed.peer, spoofed.headers)
			require.Equal(e.t, http.StatusUnauthorized, answer.Status, "%s: %s", name, answer.Body)
		}
		twice := httptest.NewRequestWithContext(e.context(), "GET", me, http.NoBody)
		twice.RemoteAddr = "10.0.0.1:40000"
		for name, value := range good {
			twice.Header.Set(name, value)
		}
		twice.Header.Add("Remote-User", "staff")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, twice)
		require.Equal(e.t, http.StatusUnauthorized, recorder.Code)
		require.Equal(e.t, "0", e.countRows("identities"))

		// The person is the one user with their address, and stays that user under another address.
		ask := func(changes map[string]string) response {
			return e.ask(handler, "GET", me, "10.0.0.1", with(changes)).is(http.StatusOK, "")
		}
		require.Contains(e.t, ask(nil).Body, `"username":"owner"`)
		require.Contains(e.t, ask(map[string]string{"Remote-Email": "rival@globex.example"}).Body, `"username":"owner"`)
		require.Equal(e.t, "Olga Ö", e.value("SELECT full_name FROM users WHERE username = 'owner'"))
		// What the proxy says is taken over once a minute; that somebody is no operator any more at once.
		renamed := map[string]string{"Remote-Name": "Olga Ö. Owner", "Remote-Groups": "users, operators"}
		ask(renamed)
		require.Equal(e.t, "Olga Ö", e.value("SELECT full_name FROM users WHERE username = 'owner'"))
		e.clock.Advance(time.Minute)
		require.Contains(e.t, ask(renamed).Body, `"is_staff":true`)
		require.Equal(e.t, "Olga Ö. Owner", e.value("SELECT full_name FROM users WHERE username = 'owner'"))
		require.Contains(e.t, ask(map[string]string{"Remote-Groups": "users"}).Body, `"is_staff":false`)

		// Another site can't make the browser of somebody behind the proxy do things.
		invited := e.create("owner", "new@x.example", admin, apollo)
		answer := e.ask(handler, "POST", base+invited.UUID.String()+"/cancel/", "10.0.0.1", with(map[string]string{"Sec-Fetch-Site": "cross-site"}))
		require.Equal(e.t, http.StatusForbidden, answer.Status)
		// A token wins, and without the headers nobody is signed in.
		require.Contains(e.t, ask(map[string]string{"Authorization": "Token rival-key"}).Body, `"username":"rival"`)
		e.ask(handler, "GET", me, "10.0.0.1", map[string]string{"X-Invited-Proxy-Secret": proxySecret, "Remote-User": ""}).
			isUnauthorized("Authentication credentials were not provided.")
		require.NotContains(e.t, e.log.String(), proxySecret)

		// Where no proxy is trusted, the headers are nothing.
		e.ask(e.handler(func(*api.Config) {}), "GET", me, "10.0.0.1", good).isUnauthorized("Authentication credentials were not provided.")
	})
}
