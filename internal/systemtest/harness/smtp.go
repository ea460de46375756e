package harness

import (
	"bytes"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// What an SMTPRecorder does where its reply function returns one of these instead of a reply.
const (
	Cut        = "cut"          // closes the connection
	RecordCut  = "record, cut"  // records the mail and closes the connection
	Hang       = "hang"         // sends nothing more
	CutContent = "cut, content" // lets the content begin and closes the connection in the middle of it
)

// SMTPRecorder is a mail server that records the mails that it takes. A test can choose each of its replies.
type SMTPRecorder struct {
	URL string // for INVITED_SMTP_URL

	t       testing.TB
	address string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	reply    func(stage, about string) string
	mails    []RecordedMail
}

// RecordedMail is a mail that the recorder took: it answered 250, or the connection was cut before it could.
type RecordedMail struct {
	ID   string // Message-ID, without the angle brackets
	To   string // address of the recipient
	Text string // header and body, with soft line breaks removed
}

// NewSMTPRecorder starts a recorder that is closed when the test ends.
func NewSMTPRecorder(t testing.TB) *SMTPRecorder {
	t.Helper()
	r := &SMTPRecorder{t: t, address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	r.Open()
	r.URL = "smtp://" + r.address
	t.Cleanup(r.Close)
	return r
}

// Open makes a closed recorder listen again, at the same address as before.
func (r *SMTPRecorder) Open() {
	r.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(r.t.Context(), "tcp", r.address)
	require.NoError(r.t, err)
	r.mu.Lock()
	r.listener, r.address = listener, listener.Addr().String()
	r.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns[conn] = true
			r.mu.Unlock()
			go r.converse(conn)
		}
	}()
}

// Close stops listening and closes all connections.
func (r *SMTPRecorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.listener.Close()
	for conn := range r.conns {
		_ = conn.Close()
	}
	clear(r.conns)
}

// SetReply makes f choose the reply at each stage: CONNECT, EHLO, AUTH, MAIL, RCPT (about is the address), DATA, and CONTENT
// (about is the Message-ID). Where f returns "" the recorder replies that all is well. f may take its time, and is called
// from several goroutines. A nil f: all is well.
func (r *SMTPRecorder) SetReply(f func(stage, about string) string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply = f
}

// Hold makes each mail wait for the reply to its content until release is called or the test ends. arrived gets the
// Message-ID of each mail that waits. release may be called more than once.
func (r *SMTPRecorder) Hold() (arrived <-chan string, release func()) {
	ids, released := make(chan string, 100), make(chan struct{})
	r.SetReply(func(stage, about string) string {
		if stage == "CONTENT" {
			select {
			case ids <- about:
			case <-released:
			}
			<-released
		}
		return ""
	})
	release = sync.OnceFunc(func() { close(released) })
	r.t.Cleanup(release)
	return ids, release
}

// Mails returns the mails that were recorded, in their order.
func (r *SMTPRecorder) Mails() []RecordedMail {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]RecordedMail{}, r.mails...)
}

// Copies returns how often each Message-ID was recorded.
func (r *SMTPRecorder) Copies() map[string]int {
	copies := map[string]int{}
	for _, m := range r.Mails() {
		copies[m.ID]++
	}
	return copies
}

// MessageID finds the Message-ID in a mail; its group has no angle brackets.
var MessageID = regexp.MustCompile(`(?mi)^Message-ID:\s*<([^>]+)>`)

var defaultReplies = map[string]string{
	"CONNECT": "220 recorder.example", "EHLO": "250-recorder.example\r\n250 AUTH PLAIN", "AUTH": "235 welcome", "DATA": "354 go on",
}

// converse handles one connection.
func (r *SMTPRecorder) converse(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		r.mu.Lock()
		delete(r.conns, conn)
		r.mu.Unlock()
	}()
	wire := textproto.NewConn(conn)
	// answer sends the reply at a stage, after calling record where the reply takes a mail, and returns the reply. It
	// returns "" where the conversation is over.
	answer := func(stage, about string, record func()) string {
		r.mu.Lock()
		choose := r.reply
		r.mu.Unlock()
		reply := ""
		if choose != nil {
			reply = choose(stage, about)
		}
		if reply == "" {
			reply = defaultReplies[stage]
		}
		if reply == "" {
			reply = "250 ok"
		}
		if record != nil && (reply == RecordCut || strings.HasPrefix(reply, "2")) {
			record()
		}
		switch reply {
		case Cut, RecordCut:
			return ""
		case Hang:
			_, _ = wire.ReadLine() // until the client closes the connection
			return ""
		case CutContent:
			_ = wire.PrintfLine("354 go on")
			_, _ = wire.ReadLine()
			return ""
		}
		if wire.PrintfLine("%s", reply) != nil {
			return ""
		}
		return reply
	}
	if answer("CONNECT", "", nil) == "" {
		return
	}
	to := ""
	for {
		line, err := wire.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "QUIT":
			_ = wire.PrintfLine("221 bye")
			return
		case "RCPT":
			to = strings.Trim(strings.TrimPrefix(rest, "TO:"), "<>")
		}
		reply := answer(verb, to, nil)
		if reply == "" {
			return
		}
		if !strings.HasPrefix(reply, "354") {
			continue
		}
		content, err := wire.ReadDotBytes()
		if err != nil {
			return
		}
		id := MessageID.FindSubmatch(content)
		if id == nil {
			_ = wire.PrintfLine("554 a mail without Message-ID")
			return
		}
		m := RecordedMail{ID: string(id[1]), To: to, Text: string(bytes.ReplaceAll(content, []byte("=\n"), nil))}
		if answer("CONTENT", m.ID, func() { r.record(m) }) == "" {
			return
		}
	}
}

func (r *SMTPRecorder) record(m RecordedMail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mails = append(r.mails, m)
}
