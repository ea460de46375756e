package config

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// AuthProxy is the part of Config that says which reverse proxy signs people in and says in headers who they are. AuthProxies
// and AuthProxySecret are set together, or neither is.
type AuthProxy struct {
	// AuthProxies are the networks, in CIDR form, of the proxy itself. Default: none.
	AuthProxies []*net.IPNet `env:"AUTH_PROXIES"`

	// AuthProxySecret is the secret that the proxy sends in the header X-Invited-Proxy-Secret: at least 32 characters.
	// Default: none.
	AuthProxySecret Secret `env:"AUTH_PROXY_SECRET"`

	// AuthProxyHeaders are the headers with user, e-mail, name and groups: authelia, oauth2-proxy, or four names separated by
	// commas. Default: authelia.
	AuthProxyHeaders ProxyHeaders `env:"AUTH_PROXY_HEADERS" envDefault:"authelia"`

	// AuthProxyStaffGroups are the groups whose people are staff. Default: none; the proxy makes nobody staff.
	AuthProxyStaffGroups []string `env:"AUTH_PROXY_STAFF_GROUPS"`
}

// ProxyHeaders are the names of the headers that say who a person is; "" where the proxy has no such header.
type ProxyHeaders struct{ User, Username, Email, Name, Groups string }

// knownProxies are the headers of proxies by the proxy's name.
var knownProxies = map[string]ProxyHeaders{
	"authelia":     {"Remote-User", "Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups"},
	"oauth2-proxy": {"X-Forwarded-User", "X-Forwarded-Preferred-Username", "X-Forwarded-Email", "", "X-Forwarded-Groups"},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *ProxyHeaders) UnmarshalText(text []byte) error {
	if known, found := knownProxies[string(text)]; found {
		*h = known
		return nil
	}
	names := strings.Split(string(text), ",")
	seen := map[string]bool{}
	for i, name := range names {
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if !httpguts.ValidHeaderFieldName(name) || seen[name] {
			names = nil
			break
		}
		names[i], seen[name] = name, true
	}
	if len(names) != 4 {
		return fmt.Errorf("%q is neither authelia nor oauth2-proxy nor four different names of headers, separated by commas,"+
			" for user, e-mail, name and groups", text)
	}
	*h = ProxyHeaders{User: names[0], Username: names[0], Email: names[1], Name: names[2], Groups: names[3]}
	return nil
}

// checkAuthProxy returns the first variable that is wrong, and why.
func (a AuthProxy) checkAuthProxy() (variable string, err error) {
	switch {
	case len(a.AuthProxies) == 0 && a.AuthProxySecret != "":
		return "AUTH_PROXY_SECRET", fmt.Errorf("set, but %sAUTH_PROXIES is empty: set both", prefix)
	case len(a.AuthProxies) > 0 && a.AuthProxySecret == "":
		return "AUTH_PROXIES", fmt.Errorf("set, but %sAUTH_PROXY_SECRET is empty: set both", prefix)
	case len(a.AuthProxies) > 0 && len(a.AuthProxySecret) < minSecretLength:
		return "AUTH_PROXY_SECRET", fmt.Errorf("shorter than %d characters; %s", minSecretLength, makeSecret)
	}
	return "", nil
}
