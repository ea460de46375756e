package signin

import (
	"net"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// What proxies send where they have nothing to say is nobody, and no name.
func TestProxyWithoutValues(t *testing.T) {
	_, network, err := net.ParseCIDR("192.0.2.0/24") // of httptest's requests
	require.NoError(t, err)
	p := &Proxy{Networks: []*net.IPNet{network}, Secret: "secret", Headers: ProxyHeaders{User: "User", Username: "Name", Email: "Email"}}
	for user, known := range map[string]bool{
		"person-1": true, "pérson": true, "p\xe9rson": false, "per\tson": false, "per\u0085son": false, "": false, " ": false, "{http.reverse_proxy.header.Remote-User}": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User", user)
		r.Header.Set("Email", "nell@university.example")
		r.Header.Set(proxySecretHeader, "secret")
		person, err := p.person(r)
		if !known {
			require.Error(t, err, user)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, user, person.Subject)
		require.Empty(t, person.Username, "the address becomes the name, and not the subject")
	}
}
