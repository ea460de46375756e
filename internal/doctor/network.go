package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// endsSoon is how long before its end a certificate is a finding: those of Let's Encrypt are renewed 30 days before it.
const endsSoon = 14 * 24 * time.Hour

// judgeCertificate says when a certificate that was accepted ends.
func judgeCertificate(of string, ends, now time.Time) Finding {
	left := ends.Sub(now)
	if left < endsSoon {
		return note("Renew it, and look why that does not happen by itself.", "The certificate of %s ends in %d days, on %s.",
			of, int(left.Hours()/24), ends.Format(time.DateOnly))
	}
	return ok("The certificate of %s is valid until %s.", of, ends.Format(time.DateOnly))
}

// CheckEndpoint connects to the server of an address, which is a secret, and closes the connection without a request: what a
// webhook does with requests is not known. The finding names the server alone.
func CheckEndpoint(ctx context.Context, what, address string, now time.Time) []Finding {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return []Finding{wrong("Correct the variable.", "%s is not a URL.", what)}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	server := net.JoinHostPort(u.Hostname(), port)
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
	if err != nil {
		return []Finding{wrong("Check the address, the name and the firewall.", "%s can't be reached: tried to connect to %s: %s.", what, server, reason(err))}
	}
	defer func() { _ = conn.Close() }()
	if u.Scheme != "https" {
		return []Finding{note("Use https.", "%s at %s can be reached, but requests are sent in the clear.", what, server)}
	}
	secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return []Finding{wrong("Give it a certificate of its name that this machine trusts.", "%s: no secure connection to %s: %s.", what, server, reason(err))}
	}
	return []Finding{
		ok("%s can be reached at %s.", what, server),
		judgeCertificate(server, secure.ConnectionState().PeerCertificates[0].NotAfter, now),
	}
}

// CheckPublicURL asks for /healthz below a public URL, and says whether this program answers.
func CheckPublicURL(ctx context.Context, base *url.URL, now time.Time) []Finding {
	address := base.JoinPath("healthz").String()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return []Finding{wrong("Correct INVITED_PUBLIC_URL.", "%s is not a URL.", address)}
	}
	id := rand.Text()
	request.Header.Set("X-Request-ID", id)
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return []Finding{wrong("Check that the server runs, the name in DNS, the gateway and its certificate; or that this machine may go out.",
			"%s does not answer: %s.", address, reason(err))}
	}
	defer func() { _ = response.Body.Close() }()
	var body struct {
		Status string `json:"status"`
	}
	decoded := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&body)
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return []Finding{wrong("Set INVITED_PUBLIC_URL to where it leads.", "%s redirects elsewhere.", address)}
	case response.StatusCode != http.StatusOK || decoded != nil || body.Status != "ok":
		return []Finding{wrong("Look where the gateway sends requests, and whether it keeps the path.",
			"%s answers %d, and not as this program does.", address, response.StatusCode)}
	}
	found := []Finding{ok("%s answers.", address)}
	if response.Header.Get("X-Request-ID") != id {
		found = append(found, note("Have the gateway pass X-Request-ID on, so that its log and the server's can be compared.",
			"The gateway at %s does not pass X-Request-ID on.", base))
	}
	if response.TLS != nil {
		found = append(found, judgeCertificate(base.Host, response.TLS.PeerCertificates[0].NotAfter, now))
	}
	return found
}

// CheckServer asks the server on this machine, at /readyz below an address, whether it is ready.
func CheckServer(ctx context.Context, base *url.URL) []Finding {
	address := base.JoinPath("readyz").String()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return []Finding{wrong("Correct INVITED_LISTEN_ADDR.", "%s is not a URL.", address)}
	}
	transport := &http.Transport{} // a proxy that the environment names is for other machines
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return []Finding{note("Start it: `invited serve`.", "No server answers at %s: %s.", address, reason(err))}
	}
	defer func() { _ = response.Body.Close() }()
	var health struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&health); err != nil || health.Status == "" {
		return []Finding{wrong("Set INVITED_LISTEN_ADDR to another port.", "Another program answers at %s.", address)}
	}
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(health.Checks)) {
		if result := health.Checks[name]; result != "ok" {
			found = append(found, wrong("Look into the server's log.", "The server says of %s: %s", name, result))
		}
	}
	if len(found) == 0 && health.Status != "ok" {
		found = append(found, wrong("Ask /readyz from this machine.", "The server says that it is %s.", health.Status))
	}
	if len(found) == 0 {
		found = append(found, ok("The server at %s is ready.", base))
	}
	return found
}

// reason returns the innermost words of an error, without the URL, which may hold a secret.
func reason(err error) string {
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return strings.TrimSuffix(err.Error(), ".")
}
