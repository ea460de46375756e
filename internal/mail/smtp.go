package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"invited/internal/tracing"
)

// sendTimeout is the limit of one Send, from the dial or the first command to the reply to the content.
const sendTimeout = 30 * time.Second

// SMTP is a [Transport] that sends messages to a mail server. It keeps connections open for further messages, and
// closes a connection that was idle for 10 seconds, has carried 100 messages, or has been open for 5 minutes.
//
// With smtps, TLS is implicit. With smtp, STARTTLS is required, unless the URL names a loopback address or localhost:
// such a server may leave STARTTLS out. Nothing but EHLO is sent before TLS, and the server's certificate is always
// verified. With smtp+insecure, everything is sent in the clear.
type SMTP struct {
	host, port         string
	helo               string // the name of this machine, unless SetHELO sets another one
	encryption         encryption
	username, password string
	from               *netmail.Address
	roots              *x509.CertPool // nil for those of the system
	pool               pool

	// Tests set this.
	dialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// encryption is the part of an SMTP URL's scheme that concerns TLS.
type encryption int

const (
	startTLS    encryption = iota // smtp
	implicitTLS                   // smtps
	noTLS                         // smtp+insecure
)

// NewSMTP returns a transport for smtp://[user:password@]host[:587], smtps://[user:password@]host[:465] or
// smtp+insecure://[user:password@]host[:587], with special characters in user and password percent-encoded. The sender is written
// as "Name <user@example.com>" or "user@example.com". NewSMTP does not connect.
//
// A bad URL or sender is an error. It says what to write instead, and does not quote the URL.
func NewSMTP(rawURL, from string) (*SMTP, error) {
	sender, err := parseSender(from)
	if err != nil {
		return nil, err
	}
	s, problem := parseSMTPURL(rawURL)
	if problem != "" {
		return nil, errors.New("the SMTP URL " + problem + "; write it as smtp://user:password@host:587 or " +
			"smtps://user:password@host:465, with special characters of user and password percent-encoded")
	}
	s.from = sender
	if s.helo, err = os.Hostname(); err != nil {
		return nil, fmt.Errorf("the name of this machine, which mail servers ask for, can't be read: %w", err)
	}
	return s, nil
}

// SetHELO sets the name by which the client greets the server, in place of the name of this machine: a host name, or an
// address literal such as [192.0.2.1]. Any other name is an error. SetHELO is called before the first Send.
func (s *SMTP) SetHELO(name string) error {
	if !hostname.MatchString(name) && !addressLiteral.MatchString(name) {
		return fmt.Errorf("%q is neither a host name, such as invite.example.com, nor an address, such as [192.0.2.1]", name)
	}
	s.helo = name
	return nil
}

// addressLiteral matches the address literals of RFC 5321, section 4.1.3, and more.
var addressLiteral = regexp.MustCompile(`^\[(IPv6:)?[0-9A-Fa-f.:]+\]$`)

// SetRoots sets the certificates that the server's certificate may come from, in place of those of the system; nil for
// those. SetRoots is called before the first Send.
func (s *SMTP) SetRoots(roots *x509.CertPool) { s.roots = roots }

// serverName matches more than the host names of the DNS: in container networks, names with underscores are common.
var serverName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// parseSMTPURL returns an SMTP without a sender, or the problem in words that continue "the SMTP URL": errors of
// net/url quote the URL, and with it the password.
func parseSMTPURL(rawURL string) (s *SMTP, problem string) {
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil {
		return nil, "can't be read"
	}
	s = &SMTP{host: u.Hostname(), port: u.Port(), dialContext: (&net.Dialer{}).DialContext}
	switch u.Scheme {
	case "smtp":
		s.port = cmp.Or(s.port, "587")
	case "smtps":
		s.port, s.encryption = cmp.Or(s.port, "465"), implicitTLS
	case "smtp+insecure":
		s.port, s.encryption = cmp.Or(s.port, "587"), noTLS
	default:
		return nil, "does not begin with smtp://, smtps:// or smtp+insecure://"
	}
	if u.Opaque != "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, "has something after the host and port"
	}
	if !serverName.MatchString(s.host) && net.ParseIP(s.host) == nil {
		return nil, "names no host"
	}
	if port, err := strconv.ParseUint(s.port, 10, 16); err != nil || port == 0 {
		return nil, "has a port out of range"
	}
	if u.User != nil {
		s.username = u.User.Username()
		s.password, _ = u.User.Password()
		if s.username == "" || s.password == "" {
			return nil, "has a user without a password or a password without a user"
		}
	}
	return s, ""
}

// InTheClear reports whether the URL asks for mails and credentials to be sent in the clear.
func (s *SMTP) InTheClear() bool { return s.encryption == noTLS }

// Send implements [Transport]. It ends within 30 seconds, or sooner if ctx ends; closing the connection may take 2
// more. Nil means that the server has accepted the message. A failure of the connection after that is ignored,
// because a second attempt would be a second mail.
//
// A pooled connection may be broken by now, or the server may refuse to use it further. If that shows before the
// content is begun, Send tries once more over a new connection, and returns the result of that one.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	raw, recipient, err := compose(s.from, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	traced, span := tracing.Call(ctx, "SMTP", "network.protocol.name", "smtp", "server.address", s.host, "server.port", s.port)
	at, err := s.converse(traced, recipient, raw)
	span.End(failureWord(err))
	if err != nil {
		return smtpFailure(ctx, at, recipient, err)
	}
	return nil
}

// converse delivers a message over a connection of the pool or over a new one. On an error, at is the stage that failed.
func (s *SMTP) converse(ctx context.Context, recipient string, raw []byte) (at stage, err error) {
	if c := s.pool.get(); c != nil && !c.isUsable() {
		c.close()
	} else if c != nil {
		c.watch(ctx)
		at, err := s.deliver(ctx, c, recipient, raw)
		if err == nil || at >= stageContent || isRefusal(at, err) {
			return at, err
		}
	}
	c, at, err := s.connect(ctx)
	if err != nil {
		return at, err
	}
	return s.deliver(ctx, c, recipient, raw)
}

// Close closes the idle connections within 2 seconds. It may be called more than once. Messages can still be sent,
// each over a connection of its own.
func (s *SMTP) Close() { s.pool.close() }

// deliver sends a message over a connection, and then puts the connection into the pool or closes it.
func (s *SMTP) deliver(ctx context.Context, c *connection, recipient string, raw []byte) (at stage, err error) {
	_, span := tracing.Start(ctx, "SMTP transaction") // MAIL, RCPT and DATA
	defer func() { span.End(failureWord(err)) }()
	at, err = c.send(s.from.Address, recipient, raw)
	c.needsReset = err != nil
	var reply *textproto.Error
	switch {
	case err != nil && !errors.As(err, &reply):
		// The connection is broken, so that QUIT would not arrive. If the content is being sent, go-mail would even
		// end it with a dot before QUIT, and the server would accept half of a message.
		c.close()
	case err != nil && (reply.Code < 500 || !isRefusal(at, err)), !c.inSync(), !c.unwatch(), !s.pool.put(c):
		// A transient refusal may be due to a limit for each connection, so that a new one may be accepted.
		c.quit()
	}
	return at, err
}

func (s *SMTP) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots}
}

// authenticate performs AUTH, once for each connection, if there are credentials. The order of the mechanisms is that
// of go-mail's own discovery, without NTLM.
func (s *SMTP) authenticate(client *smtp.Client) error {
	if s.username == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	mechanisms := strings.Fields(offered)
	for _, m := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(s.username, s.password)},
		{"SCRAM-SHA-1", smtp.ScramSHA1Auth(s.username, s.password)},
		{"CRAM-MD5", smtp.CRAMMD5Auth(s.username, s.password)},
		// The last argument admits a connection without TLS: startTLS has left only those that the URL admits.
		{"PLAIN", smtp.PlainAuth("", s.username, s.password, s.host, true)},
		{"LOGIN", smtp.LoginAuth(s.username, s.password, s.host, true)},
	} {
		if slices.Contains(mechanisms, m.name) {
			return client.Auth(m.auth)
		}
	}
	return errNoMechanism
}

var (
	errNoSTARTTLS  = errors.New("the server offers no STARTTLS")
	errNoMechanism = errors.New("credentials are set, but the server offers no supported AUTH mechanism")
)

// isLoopback reports whether a host of a URL is a loopback address or localhost. It asks no DNS, whose answer somebody
// else may give.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
