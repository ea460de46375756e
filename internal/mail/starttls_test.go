package mail

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const remoteHost = "mail.example.com"

// newRemoteSMTP returns a client of a URL with remoteHost, which reaches a server on this machine. Between the two is a
// middleman, unless it is nil.
func newRemoteSMTP(t *testing.T, url, server string, between func(net.Conn) net.Conn) *SMTP {
	t.Helper()
	s := newSMTP(t, url)
	s.dialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		assert.Equal(t, remoteHost+":587", addr)
		conn, err := (&net.Dialer{}).DialContext(ctx, network, server)
		if err == nil && between != nil {
			conn = between(conn)
		}
		return conn, err
	}
	return s
}

func TestOnlyLoopbackMayLeaveSTARTTLSOut(t *testing.T) {
	t.Parallel()
	for host, may := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true, "::ffff:127.0.0.1": true,
		"localhost.": false, "localhost.example.com": false, "mail.localhost": false, "127.0.0.1.example.com": false,
		"127.1": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "mail": false, remoteHost: false,
	} {
		require.Equal(t, may, isLoopback(host), host)
	}
}

// Without TLS, a server that is not on this machine gets EHLO and nothing else: no credentials, no sender, no recipient.
func TestNothingIsSentToARemoteServerWithoutTLS(t *testing.T) {
	t.Parallel()
	const offer = "250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
	for name, test := range map[string]struct {
		replies map[string]string
		reason  string
	}{
		"not offered":      {nil, "offers no STARTTLS; the operator has to check its URL: use smtps://, or smtp+insecure://"},
		"no EHLO":          {map[string]string{"EHLO": "502 what?"}, "offers no STARTTLS"},
		"temporarily not":  {map[string]string{"EHLO": offer, "STARTTLS": "454 not now"}, "refused the encryption (454)"},
		"refused":          {map[string]string{"EHLO": offer, "STARTTLS": "502 what?"}, "refused the encryption (502)"},
		"another 2yz":      {map[string]string{"EHLO": offer, "STARTTLS": "250 ok"}, "No secure connection"},
		"replies, no TLS":  {map[string]string{"EHLO": offer, "STARTTLS": "220 go\r\n250 ok\r\n235 welcome"}, "No secure connection"},
		"closed in TLS":    {map[string]string{"EHLO": offer, "STARTTLS": "220 go" + thenClose}, "No secure connection"},
		"closed before it": {map[string]string{"EHLO": offer, "STARTTLS": replyClose}, "No secure connection"},
	} {
		for _, credentials := range []string{"", "alice:secret@"} {
			t.Run(name+" "+credentials, func(t *testing.T) {
				t.Parallel()
				server := newScriptedServer(t, test.replies)
				s := newRemoteSMTP(t, "smtp://"+credentials+remoteHost, server.addr, nil)
				failure := send(t, s, messageTo(t, "one@example.org"))
				require.NotNil(t, failure)
				require.True(t, failure.Operator && failure.Blocked, "the mail is kept, and /readyz says so")
				require.Contains(t, failure.Reason, test.reason)
				for _, never := range []string{"AUTH", "MAIL", "RCPT", "DATA", "secret", "one@"} {
					require.NotContains(t, server.commands(), never)
				}
			})
		}
	}
}

func TestRemoteServerIsVerified(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string]bool{remoteHost: false, "other.test": true} {
		server := newSMTPRecorder(t, recorderOptions{tls: true, name: name})
		s := newRemoteSMTP(t, "smtp://"+remoteHost, server.addr, nil)
		if trusted {
			s.roots = server.roots
		}
		failure := send(t, s, messageTo(t, "one@example.org"))
		require.NotNil(t, failure)
		require.True(t, failure.Operator && failure.Blocked)
		require.Empty(t, server.received())
	}
}

func TestInsecureURLSendsInTheClear(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]recorderOptions{
		"no TLS":           {password: "secret"},
		"STARTTLS offered": {password: "secret", tls: true}, // with a certificate that nobody trusts
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newSMTPRecorder(t, o)
			s := newRemoteSMTP(t, "smtp+insecure://alice:secret@"+remoteHost, server.addr, nil)
			require.True(t, s.InTheClear())
			require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
			require.Len(t, server.received(), 1)
			require.False(t, server.received()[0].encrypted)
			require.Equal(t, "alice", server.received()[0].login)
		})
	}
	require.False(t, newSMTP(t, "smtp://"+remoteHost).InTheClear())
	require.False(t, newSMTP(t, "smtps://"+remoteHost).InTheClear())
}

// The attacker is on the way to a server that offers STARTTLS, and removes the offer.
func TestStrippedSTARTTLS(t *testing.T) {
	t.Parallel()
	server := newSMTPRecorder(t, recorderOptions{tls: true, name: remoteHost})
	for _, attack := range []func(net.Conn) net.Conn{nil, func(c net.Conn) net.Conn { return &stripper{c} }} {
		s := newRemoteSMTP(t, "smtp://"+remoteHost, server.addr, attack)
		s.roots = server.roots
		failure := send(t, s, messageTo(t, "one@example.org"))
		if attack == nil {
			require.Nil(t, failure)
			continue
		}
		require.NotNil(t, failure)
		require.True(t, failure.Operator && failure.Blocked)
		require.Contains(t, failure.Reason, "offers no STARTTLS")
	}
	require.Len(t, server.received(), 1, "only without the attack")
	require.True(t, server.received()[0].encrypted)
}

// stripper overwrites the offer of STARTTLS, as some firewalls do.
type stripper struct{ net.Conn }

func (c *stripper) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	copy(p, bytes.ReplaceAll(p[:n], []byte("STARTTLS"), []byte("XXXXXXXX")))
	return n, err
}

// The attacker is on the way to the server, and adds replies in the clear behind the one to STARTTLS. A client that took
// them for replies inside TLS would believe that the server has accepted the mail, which the server refuses.
func TestInjectedRepliesAreNotUsed(t *testing.T) {
	t.Parallel()
	server := newSMTPRecorder(t, recorderOptions{tls: true, name: remoteHost})
	for _, test := range []struct {
		packet string
		attack func(net.Conn) net.Conn
		reason string
	}{
		{"none", nil, "refused the address (550 5.1.1"},
		{"the same", func(c net.Conn) net.Conn { return &injector{Conn: c} }, "refused the address (550 5.1.1"},
		{"its own", func(c net.Conn) net.Conn { return &injector{Conn: c, later: true} }, "No secure connection"},
	} {
		s := newRemoteSMTP(t, "smtp://"+remoteHost, server.addr, test.attack)
		s.roots = server.roots
		failure := send(t, s, messageTo(t, "nobody@example.org"))
		require.NotNil(t, failure, test.packet)
		require.Contains(t, failure.Reason, test.reason, test.packet)
	}
	require.Empty(t, server.received())
}

// injector adds replies behind the reply to STARTTLS: in the same packet, or later in one of their own.
type injector struct {
	net.Conn
	later bool

	asked, due bool // STARTTLS was sent; its reply has been read
}

const injectedReplies = "250-mail.example.com\r\n250 AUTH PLAIN\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 accepted\r\n"

func (c *injector) Write(p []byte) (int, error) {
	c.asked = c.asked || bytes.HasPrefix(p, []byte("STARTTLS"))
	return c.Conn.Write(p)
}

func (c *injector) Read(p []byte) (int, error) {
	if c.due {
		c.due = false
		return copy(p, injectedReplies), nil
	}
	n, err := c.Conn.Read(p)
	if c.asked {
		c.asked = false
		if c.due = c.later; !c.later {
			n += copy(p[n:], injectedReplies)
		}
	}
	return n, err
}

// A probe goes as far as the login, and sends nothing.
func TestProbe(t *testing.T) {
	t.Parallel()
	server := newSMTPRecorder(t, recorderOptions{tls: true, name: remoteHost, password: "secret"})
	probe := func(url string, trusted bool) (Probe, error) {
		s := newRemoteSMTP(t, url, server.addr, nil)
		if trusted {
			s.roots = server.roots
		}
		return s.Probe(t.Context())
	}
	found, err := probe("smtp://alice:secret@"+remoteHost, true)
	require.NoError(t, err)
	require.True(t, found.LoggedIn)
	require.Equal(t, "TLS 1.3", found.TLS)
	require.WithinDuration(t, time.Now().Add(time.Hour), found.CertificateEnds, time.Minute)
	found, err = probe("smtp+insecure://alice:secret@"+remoteHost, true)
	require.NoError(t, err)
	require.Equal(t, Probe{LoggedIn: true}, found)
	_, err = probe("smtp://alice:wrong-password@"+remoteHost, true)
	require.True(t, checkFailure(t, err).Operator)
	require.NotContains(t, err.Error(), "wrong-password")
	_, err = probe("smtp://alice:secret@"+remoteHost, false)
	require.Contains(t, checkFailure(t, err).Reason, "TLS and certificate")
	require.Empty(t, server.received())
}
