package signin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
	"strings"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
)

// proxyIssuer is the Issuer of the people whom a trusted proxy vouches for. No issuer of OpenID Connect has this name: an
// issuer is a URL.
const proxyIssuer = "proxy"

// proxySecretHeader is the header in which a proxy sends its secret.
const proxySecretHeader = "X-Invited-Proxy-Secret" //nolint:gosec // G101: the name of a header is no credential

// Proxy is a reverse proxy that signs people in by itself and says in headers who they are.
type Proxy struct {
	Networks    []*net.IPNet // of the proxy itself: of the connection's other end
	Secret      string
	Headers     ProxyHeaders
	StaffGroups []string // the people in one of these groups are staff; none: the proxy does not decide that
}

// ProxyHeaders are the names of the headers that say who a person is; "" where the proxy has no such header. User is the
// person's identity: it never changes, and no other person gets it.
type ProxyHeaders struct{ User, Username, Email, Name, Groups string }

// all returns the names that are set.
func (h ProxyHeaders) all() []string {
	return slices.DeleteFunc([]string{h.User, h.Username, h.Email, h.Name, h.Groups}, func(name string) bool { return name == "" })
}

// sent reports whether a request has a header by which the proxy says who a person is. A proxy sends none, or empty ones, for
// who has not signed in. A nil Proxy has none.
func (p *Proxy) sent(r *http.Request) bool {
	return p != nil && slices.ContainsFunc(p.Headers.all(), func(name string) bool {
		return strings.Join(r.Header.Values(name), "") != ""
	})
}

// person returns whom the proxy vouches for. It returns fault.KindUnauthenticated where the request does not come from the
// proxy, or a header is there twice.
func (p *Proxy) person(r *http.Request) (identity.Person, error) {
	refused := fault.Unauthorized("The headers of a sign-in proxy are accepted from that proxy only.")
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	peer := net.ParseIP(host)
	if !slices.ContainsFunc(p.Networks, func(n *net.IPNet) bool { return n.Contains(peer) }) {
		return identity.Person{}, refused
	}
	values := map[string]string{}
	for _, name := range append(p.Headers.all(), proxySecretHeader) {
		found := r.Header.Values(name)
		if len(found) > 1 {
			return identity.Person{}, refused
		}
		values[name] = strings.TrimSpace(strings.Join(found, ""))
	}
	// Digests have one length: the comparison takes the same time whatever was sent.
	sent, right := sha256.Sum256([]byte(values[proxySecretHeader])), sha256.Sum256([]byte(p.Secret))
	if subtle.ConstantTimeCompare(sent[:], right[:]) != 1 {
		return identity.Person{}, refused
	}
	user := values[p.Headers.User]
	// Caddy before 2.10 sends the name of its variable, in braces, where it has no value: that would be everybody.
	if !validSubject(user) || strings.HasPrefix(user, "{") {
		return identity.Person{}, fault.Unauthorized("The sign-in proxy does not say who you are. Tell the people who run this site.")
	}
	person := identity.Person{
		Issuer: proxyIssuer, Subject: user, Username: values[p.Headers.Username], Email: values[p.Headers.Email], EmailVerified: true,
		FullName: values[p.Headers.Name], IsCurrent: true,
	}
	if len(p.StaffGroups) > 0 {
		groups := strings.FieldsFunc(values[p.Headers.Groups], func(c rune) bool { return c == ',' })
		staff := slices.ContainsFunc(groups, func(each string) bool { return slices.Contains(p.StaffGroups, strings.TrimSpace(each)) })
		person.Staff = &staff
	}
	return person, nil
}

// fromProxy returns the user whom the trusted proxy vouches for.
func (c *Chain) fromProxy(r *http.Request) (directory.Actor, error) {
	person, err := c.Proxy.person(r)
	if err != nil {
		c.logRefusal(r, person, err)
		return directory.Actor{}, err
	}
	return c.fromPerson(r, person)
}
