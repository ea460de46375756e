package mail

import (
	"bytes"
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

// recorder is a real mail server that keeps what it gets.
type recorder struct {
	addr  string
	roots *x509.CertPool

	mu       sync.Mutex
	messages []received
}

type recorderOptions struct {
	tls      bool   // STARTTLS
	implicit bool   // TLS from the first byte
	name     string // in the certificate; "" is 127.0.0.1
	password string // asks for a login where set
}

func newRecorder(t *testing.T, o recorderOptions) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &recorder{addr: listener.Addr().String()}
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
	s.msg.to = append(s.msg.to, to)
	return nil
}

func (s *session) Data(r io.Reader) (err error) {
	if s.msg.data, err = io.ReadAll(r); err != nil {
		return err
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.messages = append(s.recorder.messages, s.msg)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// newCertificate makes a certificate for a name or address and the pool that
// trusts it.
func newCertificate(t *testing.T, name string) (*tls.Config, *x509.CertPool) {
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
)

// scripted answers each command from a table: CONNECT, EHLO, AUTH, MAIL, RCPT,
// DATA, QUIT, and CONTENT once the dot has come. What isn't in the table is
// answered the way a friendly server would.
type scripted struct {
	addr string

	mu       sync.Mutex
	commands []string
	contents int
}

func newScripted(t *testing.T, replies map[string]string) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &scripted{addr: listener.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				s.talk(conn, replies)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return s
}

var friendly = map[string]string{
	"CONNECT": "220 mail.test", "EHLO": "250-mail.test\r\n250 AUTH PLAIN LOGIN", "DATA": "354 go on",
	"QUIT": "221 bye", "AUTH": "235 welcome",
}

func (s *scripted) talk(conn net.Conn, replies map[string]string) {
	reader := textproto.NewConn(conn)
	answer := func(command string) bool {
		reply, ok := replies[command]
		if !ok {
			reply, ok = friendly[command]
		}
		if !ok {
			reply = "250 ok"
		}
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
		return reader.PrintfLine("%s", reply) == nil
	}
	for ok := answer("CONNECT"); ok; {
		command, err := reader.ReadLine()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.commands = append(s.commands, command)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(command, " ")
		if ok = answer(verb); ok && verb == "DATA" && replies["DATA"] == "" {
			if _, err := reader.ReadDotBytes(); err != nil {
				return
			}
			s.mu.Lock()
			s.contents++
			s.mu.Unlock()
			ok = answer("CONTENT")
		}
	}
}

func (s *scripted) wire() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.commands, "\n")
}
