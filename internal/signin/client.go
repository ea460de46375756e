package signin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	requestTimeout = 5 * time.Second
	maxResponse    = 1 << 20 // bytes of a body
	maxHeader      = 64 << 10
	maxRedirects   = 3
)

// newClient returns the client for requests to an issuer. roots are the authorities that its certificates may come from;
// nil: the system's.
func newClient(roots *x509.CertPool) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	t.MaxResponseHeaderBytes = maxHeader
	t.DisableCompression = true // a small response could expand to a large one
	return &http.Client{
		Transport: guard{t}, Timeout: requestTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || r.URL.Host != via[0].URL.Host {
				return errors.New("the issuer redirects to another host, or too often")
			}
			return nil
		},
	}
}

// guard refuses requests that others on the network could read or answer, and large responses.
type guard struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if !IsSafe(r.URL) {
		return nil, errors.New("the issuer has a URL that is neither https nor on this machine")
	}
	response, err := g.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxResponse)
	}
	return response, err
}

// IsSafe reports whether a URL is https, or http on this machine, and has no user.
func IsSafe(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
	return u.Hostname() != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback)
}

func isSafe(text string) bool {
	u, err := url.Parse(text)
	return err == nil && IsSafe(u)
}
