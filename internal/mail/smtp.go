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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// sendTimeout is from the first command or the dial to the reply to the content.
const sendTimeout = 30 * time.Second

// SMTP is a [Transport] that keeps its connections for further messages. One
// that no message needs for 10 seconds is ended, as is one that has carried 100
// or has been open for 5 minutes.
//
// TLS is implicit with smtps, and with smtp used when the server offers it. The
// server's name is always verified. Where there are credentials and the server
// is not on this machine, nothing is sent without TLS.
type SMTP struct {
	host, port         string
	implicitTLS        bool
	username, password string
	from               *netmail.Address
	pool               pool

	// Tests put their own here.
	roots       *x509.CertPool // nil: those of the system
	dialContext gomail.DialContextFunc
}

// NewSMTP takes smtp://[user:password@]host[:587] or
// smtps://[user:password@]host[:465], with special characters of user and
// password percent-encoded. It doesn't connect. An error says what to write
// instead and repeats nothing of the URL.
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
	if _, err := s.client(nil); err != nil {
		return nil, fmt.Errorf("the SMTP client can't be set up: %w", err)
	}
	return s, nil
}

// serverName is wider than a domain name of the DNS: inside container networks
// underscores are common.
var serverName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// parseSMTPURL describes a problem in its own words: errors of net/url repeat
// the URL and with it the password.
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
		s.port, s.implicitTLS = cmp.Or(s.port, "465"), true
	default:
		return nil, "does not begin with smtp:// or smtps://"
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

// Send delivers m within 30 seconds, or sooner where ctx ends; taking leave of
// the server may take 2 more. Nil means that the server has taken the message;
// what happens to the connection after that is no error, because a second
// attempt would be a second mail.
//
// A connection that was kept may have died since, or be unwelcome. A message
// that finds it so before its content is begun goes over a new one, and only
// what happens there counts.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	raw, recipient, err := compose(s.from, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if c := s.pool.take(); c != nil && !c.isQuiet() {
		c.abandon()
	} else if c != nil {
		c.watch(ctx)
		at, err := s.deliver(c, recipient, raw)
		if err == nil {
			return nil
		}
		if at >= stageInFlight || isRefusal(at, err) {
			return smtpFailure(ctx, at, err)
		}
	}
	c, at, err := s.open(ctx)
	if err == nil {
		at, err = s.deliver(c, recipient, raw)
	}
	if err != nil {
		return smtpFailure(ctx, at, err)
	}
	return nil
}

// Close ends the connections that wait for a message, within 2 seconds. It may
// be called more than once. Messages can still be sent, but no connection is
// kept any more.
func (s *SMTP) Close() { s.pool.close() }

// deliver sends a message over a connection and then keeps the connection or
// ends it.
func (s *SMTP) deliver(c *connection, recipient string, raw []byte) (at stage, err error) {
	at, err = c.send(s.from.Address, recipient, raw)
	c.refused = err != nil
	var reply *textproto.Error
	switch {
	case err != nil && !errors.As(err, &reply):
		// Without a QUIT: nobody listens; and where content is in flight, the
		// client would end it with a dot first, and the server would take half
		// a message.
		c.close()
	case err != nil && (reply.Code < 500 || !isRefusal(at, err)), !c.inStep(), !c.unwatch(), !s.pool.keep(c):
		// What passes may pass with the conversation: some limits are to one.
		c.quit()
	}
	return at, err
}

// client sets up go-mail for one connection: greeting, STARTTLS, limits.
func (s *SMTP) client(dial gomail.DialContextFunc) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithTimeout(sendTimeout),
		gomail.WithTLSPolicy(gomail.TLSOpportunistic),
		gomail.WithTLSConfig(s.tlsConfig()),
		// Every address is ASCII by now, and asking for SMTPUTF8 would make
		// the mail undeliverable beyond a server that lacks it (RFC 6531).
		gomail.WithoutSMTPUTF8(),
	}
	if s.implicitTLS {
		options = append(options, gomail.WithSSL())
	}
	if dial != nil {
		options = append(options, gomail.WithDialContextFunc(dial))
	}
	return gomail.NewClient(s.host, options...)
}

func (s *SMTP) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots}
}

// login does nothing where there are no credentials. It is done once for each
// connection. The mechanisms are in the
// order in which the library's own discovery has them, less NTLM.
func (s *SMTP) login(client *smtp.Client) error {
	if s.username == "" {
		return nil
	}
	if _, encrypted := client.TLSConnectionState(); !encrypted && !isLoopback(s.host) {
		return errNoTLS
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
		// Without TLS they get here on loopback only.
		{"PLAIN", smtp.PlainAuth("", s.username, s.password, s.host, true)},
		{"LOGIN", smtp.LoginAuth(s.username, s.password, s.host, true)},
	} {
		if slices.Contains(mechanisms, m.name) {
			return client.Auth(m.auth)
		}
	}
	return errNoLogin
}

var (
	errNoTLS   = errors.New("credentials are set, but the server offers no TLS")
	errNoLogin = errors.New("credentials are set, but the server offers no login that is known here")
)

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
