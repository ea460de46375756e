package mail

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// received is one message as a recording server got it.
type received struct {
	from, login string
	to          []string
	data        []byte
	encrypted   bool
}

// recorder is a real mail server that keeps what it gets. It takes no mail for
// nobody@, and no content for picky@.
type recorder struct {
	addr  string
	roots *x509.CertPool

	mu       sync.Mutex
	messages []received
	logins   int
	accepted int // connections, all in all
	open     int // of them
}

type recorderOptions struct {
	tls      bool   // STARTTLS
	implicit bool   // TLS from the first byte
	name     string // in the certificate; "" is 127.0.0.1
	password string // asks for a login where set
}

func newRecorder(t testing.TB, o recorderOptions) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &recorder{addr: listener.Addr().String()}
	listener = counting{listener, r}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, encrypted := c.TLSConnectionState()
		return &session{recorder: r, password: o.password, msg: received{encrypted: encrypted}}, nil
	}))
	server.Domain = "mail.test"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableSMTPUTF8 = true
	server.AllowInsecureAuth = true
	if o.tls || o.implicit {
		var config *tls.Config
		config, r.roots = newCertificate(t, o.name)
		server.TLSConfig = config
		if o.implicit {
			listener = tls.NewListener(listener, config)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return r
}

func (r *recorder) got() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.messages...)
}

func (r *recorder) connections() (accepted, open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted, r.open
}

// counting tells a recorder of its connections.
type counting struct {
	net.Listener
	r *recorder
}

func (l counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.r.accepted++
	l.r.open++
	return &counted{Conn: conn, closed: sync.OnceFunc(func() {
		l.r.mu.Lock()
		defer l.r.mu.Unlock()
		l.r.open--
	})}, nil
}

type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

type session struct {
	recorder *recorder
	password string
	msg      received
}

func (s *session) AuthMechanisms() []string {
	if s.password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if password != s.password {
			return smtp.ErrAuthFailed
		}
		s.msg.login = username
		s.recorder.mu.Lock()
		defer s.recorder.mu.Unlock()
		s.recorder.logins++
		return nil
	}), nil
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if o.UTF8 {
		return errors.New("SMTPUTF8 is of no use here")
	}
	if s.password != "" && s.msg.login == "" {
		return smtp.ErrAuthRequired
	}
	s.msg.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.msg.to = append(s.msg.to, to)
	return nil
}

func (s *session) Data(r io.Reader) (err error) {
	if s.msg.data, err = io.ReadAll(r); err != nil {
		return err
	}
	if strings.HasPrefix(s.msg.to[0], "picky@") {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "spam"}
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.messages = append(s.recorder.messages, s.msg)
	return nil
}

func (s *session) Reset()        { s.msg = received{login: s.msg.login, encrypted: s.msg.encrypted} }
func (s *session) Logout() error { return nil }

// newCertificate makes a certificate for a name or address and the pool that
// trusts it.
func newCertificate(t testing.TB, name string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	if name == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

// What a scripted server does in place of a reply.
const (
	cut   = "cut"   // closes the connection
	hang  = "hang"  // says nothing more
	flood = "flood" // never stops talking

	thenCut = ", then cut" // after a reply
)

// scripted answers each command from a table: CONNECT, EHLO, AUTH, MAIL, RCPT,
// DATA, QUIT, and CONTENT once the dot has come; "MAIL 2" is the second MAIL of a
// connection. What isn't in the table is answered the way a friendly server
// would.
//
// It is as lax as a server can be: an envelope stays open until RSET or an answer
// to its content, so that recipients add up.
type scripted struct {
	addr   string
	tables []map[string]string // of the first connections; the last one is that of all others too

	mu            sync.Mutex
	conversations []*conversation
	contents      int        // answered or not
	taken         []received // answered with yes
	talking       sync.WaitGroup
}

type conversation struct {
	commands []string
	over     bool
}

func newScripted(t testing.TB, tables ...map[string]string) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &scripted{addr: listener.Addr().String(), tables: tables}
	s.talking.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.answer(conn)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.talking.Wait()
	})
	return s
}

// newPiped is a scripted server without a network, for a bubble's clock, and a
// client to it.
func newPiped(t *testing.T, tables ...map[string]string) (*scripted, *SMTP) {
	t.Helper()
	server := &scripted{tables: tables}
	t.Cleanup(server.talking.Wait)
	client := newSMTP(t, "smtp://alice:secret@localhost")
	client.dialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		server.answer(far)
		return near, nil
	}
	return server, client
}

var friendly = map[string]string{
	"CONNECT": "220 mail.test", "EHLO": "250-mail.test\r\n250 AUTH PLAIN LOGIN", "DATA": "354 go on",
	"QUIT": "221 bye", "AUTH": "235 welcome",
}

// answer holds a conversation of its own.
func (s *scripted) answer(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var table map[string]string
	if len(s.tables) > 0 {
		table = s.tables[min(len(s.conversations), len(s.tables)-1)]
	}
	c := &conversation{}
	s.conversations = append(s.conversations, c)
	s.talking.Go(func() {
		s.talk(conn, c, table)
		_ = conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		c.over = true
	})
}

func (s *scripted) talk(conn net.Conn, c *conversation, table map[string]string) {
	reader := textproto.NewConn(conn)
	times := make(map[string]int)
	next := func(command string) (reply string) {
		times[command]++
		return cmp.Or(table[command+" "+strconv.Itoa(times[command])], table[command], friendly[command], "250 ok")
	}
	// say is false where it ends the conversation.
	say := func(reply string) bool {
		switch reply {
		case cut:
			return false
		case hang:
			_, _ = io.Copy(io.Discard, conn)
			return false
		case flood:
			for line := bytes.Repeat([]byte("250-more\r\n"), 1000); ; {
				if _, err := conn.Write(line); err != nil {
					return false
				}
			}
		}
		reply, last := strings.CutSuffix(reply, thenCut)
		return reader.PrintfLine("%s", reply) == nil && !last
	}
	var envelope received
	for ok := say(next("CONNECT")); ok; {
		command, err := reader.ReadLine()
		if err != nil {
			return
		}
		s.mu.Lock()
		c.commands = append(c.commands, command)
		s.mu.Unlock()
		verb, argument, _ := strings.Cut(command, " ")
		_, address, _ := strings.Cut(strings.TrimSuffix(argument, ">"), "<")
		reply := next(verb)
		ok = say(reply)
		switch yes := ok && strings.HasPrefix(reply, "2"); {
		case verb == "RSET" && yes:
			envelope = received{}
		case verb == "MAIL" && yes:
			envelope.from = address
		case verb == "RCPT" && yes:
			envelope.to = append(envelope.to, address)
		case verb == "DATA" && ok && strings.HasPrefix(reply, "354"):
			if envelope.data, err = reader.ReadDotBytes(); err != nil {
				return
			}
			reply := next("CONTENT")
			s.mu.Lock()
			s.contents++
			if strings.HasPrefix(reply, "250") {
				s.taken = append(s.taken, envelope)
			}
			s.mu.Unlock()
			envelope = received{}
			ok = say(reply)
		}
	}
}

// wire is every command of every conversation, one to a line.
func (s *scripted) wire() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, c := range s.conversations {
		b.WriteString(strings.Join(c.commands, "\n") + "\n")
	}
	return b.String()
}

// verbs are the commands of a conversation, by its number from 1, less their
// arguments.
func (s *scripted) verbs(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var verbs []string
	for _, command := range s.conversations[n-1].commands {
		verb, _, _ := strings.Cut(command, " ")
		verbs = append(verbs, verb)
	}
	return strings.Join(verbs, " ")
}

// connections are all that there were, and those that are not over.
func (s *scripted) connections() (accepted, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conversations {
		if !c.over {
			open++
		}
	}
	return len(s.conversations), open
}

// recipients are those of each message taken; several to a message would be an
// envelope that was left open.
func (s *scripted) recipients() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range s.taken {
		all = append(all, strings.Join(m.to, " and "))
	}
	return all
}
