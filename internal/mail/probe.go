package mail

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Probe is how a conversation with a mail server begins.
type Probe struct {
	TLS             string    // the version of TLS; "" in the clear
	CertificateEnds time.Time // when the server's own ends; zero: it has none
	LoggedIn        bool      // with the user of the URL
}

// Probe opens a connection as Send does, with TLS and the login that the URL asks for, and closes it. The error is a
// *delivery.Failure.
func (s *SMTP) Probe(ctx context.Context) (Probe, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	c, at, err := s.connect(ctx)
	if err != nil {
		return Probe{}, smtpFailure(ctx, at, "", err)
	}
	defer c.quit()
	p := Probe{LoggedIn: s.username != ""}
	if state, encrypted := c.client.TLSConnectionState(); encrypted {
		p.TLS = tls.VersionName(state.Version)
		p.CertificateEnds = state.PeerCertificates[0].NotAfter // a server without a certificate is refused
	}
	return p, nil
}

// Server returns the address of the mail server as HOST:PORT.
func (s *SMTP) Server() string { return net.JoinHostPort(s.host, s.port) }

// IsLocal reports whether the mail server is on this machine.
func (s *SMTP) IsLocal() bool { return isLoopback(s.host) }
