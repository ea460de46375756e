package jobs_test

import (
	"bytes"
	"io"
	"log"
	"net"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/jhillyerd/enmime/v2"
	"github.com/stretchr/testify/require"

	"invited/internal/mail"
)

// receivedMail is a mail as its recipient gets it.
type receivedMail struct {
	*enmime.Envelope
	to string
}

func (m receivedMail) id() string { return m.GetHeader("Message-ID") }

// link returns the last segment of the link to a page of the front end.
func (m receivedMail) link(t *testing.T, page string) string {
	t.Helper()
	found := regexp.MustCompile(`https://front\.example/` + page + `/([^/\s]+)/`).FindStringSubmatch(m.Text)
	require.NotNil(t, found, "no %s link in\n%s", page, m.Text)
	require.Contains(t, m.HTML, found[0])
	return found[1]
}

// smtpRecorder is a mail server that records the mails that it accepts.
type smtpRecorder struct {
	t       *testing.T
	address string
	gate    *gate

	mu    sync.Mutex
	mails []receivedMail
	// The responses to RCPT and DATA; nil functions and nil errors accept. onData may block.
	onRcpt func(to string) error
	onData func(receivedMail) error
}

func newSMTPRecorder(t *testing.T) *smtpRecorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &smtpRecorder{t: t, address: listener.Addr().String(), gate: &gate{Listener: listener}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &smtpSession{recorder: r}, nil
	}))
	server.Domain = "post.example"
	server.ErrorLog = log.New(io.Discard, "", 0)
	go func() { _ = server.Serve(r.gate) }()
	t.Cleanup(func() { _ = server.Close() })
	return r
}

// stop closes every connection, and each new one at once. The port stays the recorder's: the mail server of another test
// would get it, and with it the mails that are to fail here.
func (r *smtpRecorder) stop() { r.gate.close() }

// start lets connections in again.
func (r *smtpRecorder) start() { r.gate.open() }

// gate is a listener that can be closed for a while.
type gate struct {
	net.Listener
	mu     sync.Mutex
	closed bool
	inside []net.Conn
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		closed := g.closed
		if !closed {
			g.inside = append(g.inside, conn)
		}
		g.mu.Unlock()
		if !closed {
			return conn, nil
		}
		_ = conn.Close()
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, conn := range g.inside {
		_ = conn.Close()
	}
	g.inside = nil
}

func (r *smtpRecorder) transport() mail.Transport {
	r.t.Helper()
	transport, err := mail.NewSMTP("smtp://"+r.address, "invitations@mail.example")
	require.NoError(r.t, err)
	return transport
}

// respond sets the responses to RCPT and DATA.
func (r *smtpRecorder) respond(onRcpt func(string) error, onData func(receivedMail) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onRcpt, r.onData = onRcpt, onData
}

// block waits until a channel is closed or the test ends.
func (r *smtpRecorder) block(until <-chan struct{}) {
	select {
	case <-until:
	case <-r.t.Context().Done():
	}
}

// mailsTo lists the mails to an address, or all mails when the address is empty.
func (r *smtpRecorder) mailsTo(address string) []receivedMail {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []receivedMail
	for _, each := range r.mails {
		if address == "" || each.to == address {
			found = append(found, each)
		}
	}
	return found
}

// recipients lists the addresses of all mails, sorted.
func (r *smtpRecorder) recipients() []string {
	found := []string{}
	for _, each := range r.mailsTo("") {
		found = append(found, each.to)
	}
	slices.Sort(found)
	return found
}

type smtpSession struct {
	recorder *smtpRecorder
	to       string
}

func (*smtpSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	s.recorder.mu.Lock()
	respond := s.recorder.onRcpt
	s.recorder.mu.Unlock()
	if respond == nil {
		return nil
	}
	return respond(to)
}

func (s *smtpSession) Data(body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	envelope, err := enmime.ReadEnvelope(bytes.NewReader(data))
	if err != nil {
		return err
	}
	received := receivedMail{envelope, s.to}
	s.recorder.mu.Lock()
	respond := s.recorder.onData
	s.recorder.mu.Unlock()
	if respond != nil {
		if err := respond(received); err != nil {
			return err
		}
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.mails = append(s.recorder.mails, received)
	return nil
}

func (*smtpSession) Reset()        {}
func (*smtpSession) Logout() error { return nil }
