package main

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

// What a sink does instead of answering.
const (
	cut   = "cut"   // closes the connection
	taken = "taken" // keeps the mail, and closes the connection
	hang  = "hang"  // says nothing more
	half  = "half"  // has the content begin, and closes the connection in the middle of it
)

// sink is a mail server that keeps what it takes. Each of its answers can be chosen, be put off, or stay out.
type sink struct {
	t       testing.TB
	address string
	url     string // for INVITED_SMTP_URL

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	answer   func(stage, about string) string
	mails    []receipt
}

// receipt is a mail that the sink took: it said yes, or was cut off before it could.
type receipt struct {
	id   string // Message-ID
	to   string
	text string // as it came
}

func newSink(t testing.TB) *sink {
	t.Helper()
	s := &sink{t: t, address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	s.open()
	s.url = "smtp://" + s.address
	t.Cleanup(s.close)
	return s
}

// open takes connections, at the same address as before.
func (s *sink) open() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.address)
	require.NoError(s.t, err)
	s.mu.Lock()
	s.listener, s.address = listener, listener.Addr().String()
	s.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			go s.talk(conn)
		}
	}()
}

// close takes no connections any more, and ends those that there are.
func (s *sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.listener.Close()
	for conn := range s.conns {
		_ = conn.Close()
	}
	clear(s.conns)
}

// answers has f choose the answer at each stage: CONNECT, EHLO, AUTH, MAIL, RCPT (about: the address), DATA, and CONTENT
// (about: the Message-ID). An empty one is the friendly one. f can take its time; nil: all is friendly.
func (s *sink) answers(f func(stage, about string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// got lists the mails that were taken.
func (s *sink) got() []receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]receipt{}, s.mails...)
}

// copies counts the mails that were taken, by Message-ID.
func (s *sink) copies() map[string]int {
	found := map[string]int{}
	for _, each := range s.got() {
		found[each.id]++
	}
	return found
}

var (
	messageID     = regexp.MustCompile(`(?mi)^Message-ID:\s*<([^>]+)>`)
	friendlyReply = map[string]string{
		"CONNECT": "220 sink.example", "EHLO": "250-sink.example\r\n250 AUTH PLAIN", "AUTH": "235 welcome", "DATA": "354 go on",
	}
)

func (s *sink) talk(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	wire := textproto.NewConn(conn)
	// say returns the answer that it gave; "" where the conversation is over.
	say := func(stage, about string, keep func()) string {
		s.mu.Lock()
		choose := s.answer
		s.mu.Unlock()
		reply := ""
		if choose != nil {
			reply = choose(stage, about)
		}
		if reply == "" {
			reply = friendlyReply[stage]
		}
		if reply == "" {
			reply = "250 ok"
		}
		if keep != nil && (reply == taken || strings.HasPrefix(reply, "2")) {
			keep()
		}
		switch reply {
		case cut, taken:
			return ""
		case hang:
			_, _ = wire.ReadLine() // until the other side has had enough
			return ""
		}
		if reply == half {
			_ = wire.PrintfLine("354 go on")
			_, _ = wire.ReadLine()
			return ""
		}
		if wire.PrintfLine("%s", reply) != nil {
			return ""
		}
		return reply
	}
	if say("CONNECT", "", nil) == "" {
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
		reply := say(verb, to, nil)
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
		id := messageID.FindSubmatch(content)
		if id == nil {
			_ = wire.PrintfLine("554 a mail without Message-ID")
			return
		}
		if say("CONTENT", string(id[1]), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.mails = append(s.mails, receipt{id: string(id[1]), to: to, text: string(bytes.ReplaceAll(content, []byte("=\n"), nil))})
		}) == "" {
			return
		}
	}
}
