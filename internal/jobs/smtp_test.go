package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/jhillyerd/enmime/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

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
	t        *testing.T
	address  string
	reserved int // a socket that is bound to the port and never listens

	mu     sync.Mutex
	server *smtp.Server
	mails  []receivedMail
	// The responses to RCPT and DATA; nil functions and nil errors accept. onData may block.
	onRcpt func(to string) error
	onData func(receivedMail) error
}

func newSMTPRecorder(t *testing.T) *smtpRecorder {
	t.Helper()
	r := &smtpRecorder{t: t, address: "127.0.0.1:0"}
	r.start()
	r.reserve()
	t.Cleanup(func() {
		_ = r.server.Close()
		_ = unix.Close(r.reserved)
	})
	return r
}

// start listens, at the same address each time.
func (r *smtpRecorder) start() {
	r.t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		var failed error
		err := socket.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, failed)
	}}
	listener, err := config.Listen(context.Background(), "tcp4", r.address)
	require.NoError(r.t, err)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &smtpSession{recorder: r}, nil
	}))
	server.Domain = "post.example"
	server.ErrorLog = log.New(io.Discard, "", 0)
	r.mu.Lock()
	r.address, r.server = listener.Addr().String(), server
	r.mu.Unlock()
	go func() { _ = server.Serve(listener) }()
}

// reserve keeps the port while the server is stopped: the mail server of another test would get it, and with it the mails
// that are to be refused here. The socket is bound while the server listens, because a port that is free for a moment can
// be taken in that moment.
func (r *smtpRecorder) reserve() {
	r.t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	require.NoError(r.t, err)
	require.NoError(r.t, unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	at := netip.MustParseAddrPort(r.address)
	require.NoError(r.t, unix.Bind(socket, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}))
	r.reserved = socket
}

// stop closes every connection and refuses new ones.
func (r *smtpRecorder) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.server.Close()
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
