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

// receivedMessage is one message as a server received it.
type receivedMessage struct {
	from, login string
	to          []string
	data        []byte
	encrypted   bool
}

// smtpRecorder is a real mail server that stores the messages that it receives. It refuses nobody@ at RCPT, and the
// content of messages to picky@.
type smtpRecorder struct {
	addr  string
	roots *x509.CertPool

	mu       sync.Mutex
	messages []receivedMessage
	logins   int
	accepted int // the number of connections so far
	open     int // the number of open ones
}

type recorderOptions struct {
	tls      bool   // STARTTLS
	implicit bool   // TLS from the first byte
	name     string // in the certificate; "" for 127.0.0.1
	password string // of any user; "" to accept mail without AUTH
}

func newSMTPRecorder(t testing.TB, o recorderOptions) *smtpRecorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &smtpRecorder{addr: listener.Addr().String()}
	listener = countingListener{listener, r}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, encrypted := c.TLSConnectionState()
		return &smtpSession{recorder: r, password: o.password, msg: receivedMessage{encrypted: encrypted}}, nil
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
		_ = listener.Close() // if Serve has not begun, server.Close does not know the listener
		_ = server.Close()
		<-done
	})
	return r
}

func (r *smtpRecorder) received() []receivedMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]receivedMessage(nil), r.messages...)
}

func (r *smtpRecorder) connections() (accepted, open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted, r.open
}

// countingListener counts the connections of a recorder.
type countingListener struct {
	net.Listener
	r *smtpRecorder
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.r.accepted++
	l.r.open++
	return &countedConn{Conn: conn, closed: sync.OnceFunc(func() {
		l.r.mu.Lock()
		defer l.r.mu.Unlock()
		l.r.open--
	})}, nil
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

type smtpSession struct {
	recorder *smtpRecorder
	password string
	msg      receivedMessage
}

func (s *smtpSession) AuthMechanisms() []string {
	if s.password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *smtpSession) Auth(string) (sasl.Server, error) {
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

func (s *smtpSession) Mail(from string, o *smtp.MailOptions) error {
	if o.UTF8 {
		return errors.New("SMTPUTF8 is of no use here")
	}
	if s.password != "" && s.msg.login == "" {
		return smtp.ErrAuthRequired
	}
	s.msg.from = from
	return nil
}

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.msg.to = append(s.msg.to, to)
	return nil
}

func (s *smtpSession) Data(r io.Reader) (err error) {
	if s.msg.data, err = io.ReadAll(r); err != nil {
		return err
	}
	if strings.HasPrefix(s.msg.to[0], "picky@") {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "it contains spam"}
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.messages = append(s.recorder.messages, s.msg)
	return nil
}

func (s *smtpSession) Reset() {
	s.msg = receivedMessage{login: s.msg.login, encrypted: s.msg.encrypted}
}
func (s *smtpSession) Logout() error { return nil }

// newCertificate returns a server configuration with a new certificate for a host name, or for 127.0.0.1, and a pool
// with which clients trust it.
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

// Actions of a scriptedServer that a table can have in place of a reply.
const (
	replyClose = "close" // closes the connection
	replyHang  = "hang"  // sends nothing more
	replyFlood = "flood" // sends replies without end

	thenClose = ", then close" // after a reply: sends it, and closes the connection
)

// scriptedServer is an SMTP server that replies from a table. Its keys are CONNECT, EHLO, AUTH, MAIL, RCPT, DATA,
// QUIT, and CONTENT for the reply to the content; "MAIL 2" is the second MAIL of a connection. Commands that are not
// in the table get a positive reply.
//
// The server is as lax as a server can be: a mail transaction stays open until RSET or the reply to the content, so
// that recipients of several messages would add up.
type scriptedServer struct {
	addr   string
	tables []map[string]string // one for each connection, in order; the last one is for all further connections

	mu           sync.Mutex
	closed       bool
	sessions     []*scriptedSession
	contentCount int               // of messages whose content arrived
	delivered    []receivedMessage // messages with a positive reply to the content
	running      sync.WaitGroup    // goroutines of the listener and the sessions
}

type scriptedSession struct {
	conn     net.Conn
	commands []string
	over     bool
}

func newScriptedServer(t testing.TB, tables ...map[string]string) *scriptedServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &scriptedServer{addr: listener.Addr().String(), tables: tables}
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.close()
	})
	return s
}

// newPipedServer returns a scriptedServer without a network, for a bubble of synctest, and a client that dials it.
func newPipedServer(t *testing.T, tables ...map[string]string) (*scriptedServer, *SMTP) {
	t.Helper()
	server := &scriptedServer{tables: tables}
	t.Cleanup(server.close)
	client := newSMTP(t, "smtp://alice:secret@localhost")
	client.dialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		server.serve(far)
		return near, nil
	}
	return server, client
}

// close closes every connection, so that a test that fails while one is open still ends.
func (s *scriptedServer) close() {
	s.mu.Lock()
	s.closed = true
	for _, session := range s.sessions {
		_ = session.conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

var defaultReplies = map[string]string{
	"CONNECT": "220 mail.test", "EHLO": "250-mail.test\r\n250 AUTH PLAIN LOGIN", "DATA": "354 go on",
	"QUIT": "221 bye", "AUTH": "235 welcome",
}

// serve starts a session on a connection.
func (s *scriptedServer) serve(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return
	}
	var table map[string]string
	if len(s.tables) > 0 {
		table = s.tables[min(len(s.sessions), len(s.tables)-1)]
	}
	session := &scriptedSession{conn: conn}
	s.sessions = append(s.sessions, session)
	s.running.Go(func() {
		s.run(session, table)
		_ = conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		session.over = true
	})
}

func (s *scriptedServer) run(session *scriptedSession, table map[string]string) {
	conn := textproto.NewConn(session.conn)
	counts := make(map[string]int)
	next := func(command string) (reply string) {
		counts[command]++
		return cmp.Or(table[command+" "+strconv.Itoa(counts[command])], table[command], defaultReplies[command], "250 ok")
	}
	// respond reports whether the session goes on.
	respond := func(reply string) bool {
		switch reply {
		case replyClose:
			return false
		case replyHang:
			_, _ = io.Copy(io.Discard, session.conn)
			return false
		case replyFlood:
			for lines := bytes.Repeat([]byte("250-more\r\n"), 1000); ; {
				if _, err := session.conn.Write(lines); err != nil {
					return false
				}
			}
		}
		reply, last := strings.CutSuffix(reply, thenClose)
		return conn.PrintfLine("%s", reply) == nil && !last
	}
	var envelope receivedMessage
	for ok := respond(next("CONNECT")); ok; {
		command, err := conn.ReadLine()
		if err != nil {
			return
		}
		s.mu.Lock()
		session.commands = append(session.commands, command)
		s.mu.Unlock()
		verb, argument, _ := strings.Cut(command, " ")
		_, address, _ := strings.Cut(strings.TrimSuffix(argument, ">"), "<")
		reply := next(verb)
		ok = respond(reply)
		switch positive := ok && strings.HasPrefix(reply, "2"); {
		case verb == "RSET" && positive:
			envelope = receivedMessage{}
		case verb == "MAIL" && positive:
			envelope.from = address
		case verb == "RCPT" && positive:
			envelope.to = append(envelope.to, address)
		case verb == "DATA" && ok && strings.HasPrefix(reply, "354"):
			if envelope.data, err = conn.ReadDotBytes(); err != nil {
				return
			}
			reply := next("CONTENT")
			s.mu.Lock()
			s.contentCount++
			if strings.HasPrefix(reply, "250") {
				s.delivered = append(s.delivered, envelope)
			}
			s.mu.Unlock()
			envelope = receivedMessage{}
			ok = respond(reply)
		}
	}
}

// commands returns the commands of all sessions, one to a line.
func (s *scriptedServer) commands() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, session := range s.sessions {
		b.WriteString(strings.Join(session.commands, "\n") + "\n")
	}
	return b.String()
}

// verbs returns the commands of the nth session, counted from 1, without their arguments.
func (s *scriptedServer) verbs(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var verbs []string
	for _, command := range s.sessions[n-1].commands {
		verb, _, _ := strings.Cut(command, " ")
		verbs = append(verbs, verb)
	}
	return strings.Join(verbs, " ")
}

// connections returns the number of connections so far, and of those that are open.
func (s *scriptedServer) connections() (accepted, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		if !session.over {
			open++
		}
	}
	return len(s.sessions), open
}

// recipients returns the recipients of each delivered message. Several in one entry mean that a mail transaction was
// left open.
func (s *scriptedServer) recipients() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range s.delivered {
		all = append(all, strings.Join(m.to, " and "))
	}
	return all
}
