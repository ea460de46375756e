package mail

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// messageTo returns a message to a recipient.
func messageTo(t testing.TB, recipient string) Message {
	t.Helper()
	m := render(t, InvitationCreated, testInvitation())
	m.To = recipient
	return m
}

// eventually waits until a server has seen something.
func eventually(t testing.TB, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond)
}

func TestConnectionCarriesManyMessages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server recorderOptions
		url    string
		logins int
	}{
		"in the clear":       {recorderOptions{}, "smtp://", 0},
		"STARTTLS and login": {recorderOptions{tls: true, password: "secret"}, "smtp://alice:secret@", 1},
		"TLS and login":      {recorderOptions{implicit: true, password: "secret"}, "smtps://alice:secret@", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newSMTPRecorder(t, test.server)
			s := newSMTP(t, test.url+server.addr)
			s.roots = server.roots
			m := messageTo(t, "")
			for i := range 50 {
				m.To = fmt.Sprintf("user%d@example.org", i)
				m.ID = fmt.Sprintf("%d@example.com", i)
				// Callers cancel their context when Send returns. This must not close the connection.
				ctx, cancel := context.WithCancel(t.Context())
				require.NoError(t, boundedSend(ctx, s, m))
				cancel()
				got := server.received()
				require.Len(t, got, i+1)
				require.Equal(t, []string{m.To}, got[i].to)
				require.Equal(t, test.logins == 1, got[i].encrypted)
				checkWire(t, got[i].data, m)
			}
			accepted, open := server.connections()
			require.Equal(t, 1, accepted)
			require.Equal(t, 1, open)
			require.Equal(t, test.logins, server.logins)
			s.Close()
			eventually(t, func() bool { _, open := server.connections(); return open == 0 })
		})
	}
}

// The test sends fewer messages than those after which a connection is closed.
func TestConnectionsOfManySenders(t *testing.T) {
	t.Parallel()
	server := newSMTPRecorder(t, recorderOptions{})
	s := newSMTP(t, "smtp://"+server.addr)
	m := messageTo(t, "")
	var senders sync.WaitGroup
	for sender := range 8 {
		senders.Go(func() {
			for i := range 12 {
				m := m
				m.To = fmt.Sprintf("user%d.%d@example.org", sender, i)
				if err := boundedSend(t.Context(), s, m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	seen := make(map[string]int)
	for _, got := range server.received() {
		require.Len(t, got.to, 1)
		require.Contains(t, string(got.data), "To: <"+got.to[0]+">", "content and envelope belong to one message")
		seen[got.to[0]]++
	}
	require.Len(t, seen, 96)
	for recipient, copies := range seen {
		require.Equal(t, 1, copies, recipient)
	}
	accepted, open := server.connections()
	require.LessOrEqual(t, accepted, 8)
	require.Equal(t, accepted, open)
	require.Len(t, s.pool.idle, open)
}

// The first connection becomes unusable before the content of the second message, which is then sent over a new one,
// once.
func TestConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]map[string]string{
		"closed while idle": {"CONTENT 1": "250 ok" + thenClose},
		"421 while idle":    {"CONTENT 1": "250 ok\r\n421 idle" + thenClose},
		"unexpected reply":  {"CONTENT 1": "250 ok\r\n250 ok", "MAIL 2": "550 would be read as the reply to RCPT"},
		"421 at MAIL":       {"MAIL 2": "421 enough"},
		"421 and close":     {"MAIL 2": "421 enough" + thenClose},
		"451 at MAIL":       {"MAIL 2": "451 not here"},
		"550 at MAIL":       {"MAIL 2": "550 log in again"},
		"nonsense at MAIL":  {"MAIL 2": "354 go on"},
		"closed at MAIL":    {"MAIL 2": replyClose},
		"flood at MAIL":     {"MAIL 2": replyFlood},
		"closed at RCPT":    {"RCPT 2": replyClose},
		"421 at RCPT":       {"RCPT 2": "421 too many errors"},
		"closed at DATA":    {"DATA 2": replyClose},
		"421 at DATA":       {"DATA 2": "421 shutting down" + thenClose},
		"nonsense at DATA":  {"DATA 2": "250 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, table, nil)
			s := newSMTP(t, "smtp://"+server.addr)
			for _, recipient := range []string{"one@example.org", "two@example.org", "three@example.org"} {
				require.Nil(t, send(t, s, messageTo(t, recipient)))
			}
			require.Equal(t, []string{"one@example.org", "two@example.org", "three@example.org"}, server.recipients())
			require.Equal(t, 3, server.contentCount)
			accepted, _ := server.connections()
			require.Equal(t, 2, accepted)
			require.Equal(t, "EHLO MAIL RCPT DATA MAIL RCPT DATA", server.verbs(2), "the second and the third message")
		})
	}
}

// If the new connection fails too, Send returns that failure and does not try a third one.
func TestConnectionIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		table  map[string]string // of the new connection
		reason string
	}{
		"421 at MAIL": {map[string]string{"MAIL": "421 enough"}, "asked to try again later (421)"},
		"421 at once": {map[string]string{"CONNECT": "421 enough"}, "asked to try again later (421)"},
		"closed":      {map[string]string{"MAIL": replyClose}, "broke off"},
		"no user":     {map[string]string{"RCPT": "550 5.1.1 no"}, "refused the address (550 5.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, map[string]string{"MAIL 2": "451 not here"}, test.table)
			s := newSMTP(t, "smtp://"+server.addr)
			require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
			failure := send(t, s, messageTo(t, "two@example.org"))
			require.NotNil(t, failure)
			require.Contains(t, failure.Reason, test.reason)
			require.Equal(t, name == "no user", failure.Final)
			accepted, _ := server.connections()
			require.Equal(t, 2, accepted)
			require.Equal(t, []string{"one@example.org"}, server.recipients())
		})
	}
}

// If such a connection were kept, a server that refuses the sender would have to refuse each message twice.
func TestConnectionIsClosedAfterRefusedSender(t *testing.T) {
	t.Parallel()
	server := newScriptedServer(t, map[string]string{"MAIL": "550 not you"})
	s := newSMTP(t, "smtp://"+server.addr)
	for i := range 2 {
		require.True(t, send(t, s, messageTo(t, "one@example.org")).Operator)
		require.Equal(t, "EHLO MAIL QUIT", server.verbs(i+1))
	}
}

// If a pooled connection breaks during the content, the server may have accepted the message. Send does not repeat
// it; the next attempt does.
func TestConnectionBreaksDuringContent(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]map[string]string{
		"before the dot": {"DATA 2": "354 go on" + thenClose},
		"after the dot":  {"CONTENT 2": replyClose},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, table, nil)
			s := newSMTP(t, "smtp://"+server.addr)
			require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
			failure := send(t, s, messageTo(t, "two@example.org"))
			require.NotNil(t, failure)
			require.False(t, failure.Final || failure.Operator)
			require.Contains(t, failure.Reason, "broke off")
			accepted, _ := server.connections()
			require.Equal(t, 1, accepted, "Send did not repeat the message")
			require.Equal(t, []string{"one@example.org"}, server.recipients())
			require.Nil(t, send(t, s, messageTo(t, "two@example.org")))
		})
	}
}

// The server refuses the second of four messages, and does not drop its recipient by itself. After a final refusal the
// client sends RSET; after a transient one it uses another connection, which the server may treat differently.
func TestRefusedMessageLeavesNoRecipient(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		table       map[string]string
		connections int
	}{
		"550 at RCPT":    {map[string]string{"RCPT 2": "550 5.1.1 no such user"}, 1},
		"450 at RCPT":    {map[string]string{"RCPT 2": "450 greylisted"}, 2},
		"451 at DATA":    {map[string]string{"DATA 2": "451 enough from you"}, 2},
		"554 at DATA":    {map[string]string{"DATA 2": "554 policy"}, 1},
		"451 at CONTENT": {map[string]string{"CONTENT 2": "451 later"}, 2},
		"554 at CONTENT": {map[string]string{"CONTENT 2": "554 spam"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, test.table, nil)
			s := newSMTP(t, "smtp://"+server.addr)
			require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
			require.NotNil(t, send(t, s, messageTo(t, "two@example.org")))
			require.Nil(t, send(t, s, messageTo(t, "three@example.org")))
			require.Nil(t, send(t, s, messageTo(t, "four@example.org")))
			require.Equal(t, []string{"one@example.org", "three@example.org", "four@example.org"}, server.recipients())
			accepted, _ := server.connections()
			require.Equal(t, test.connections, accepted)
			require.Equal(t, 2-test.connections, strings.Count(server.verbs(1), "RSET"))
			require.Equal(t, test.connections-1, strings.Count(server.commands(), "QUIT"))
		})
	}
	t.Run("RSET refused", func(t *testing.T) {
		t.Parallel()
		server := newScriptedServer(t, map[string]string{"DATA 2": "554 policy", "RSET": "502 what?"}, nil)
		s := newSMTP(t, "smtp://"+server.addr)
		require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
		require.NotNil(t, send(t, s, messageTo(t, "two@example.org")))
		require.Nil(t, send(t, s, messageTo(t, "three@example.org")))
		require.Equal(t, []string{"one@example.org", "three@example.org"}, server.recipients())
		accepted, _ := server.connections()
		require.Equal(t, 2, accepted)
	})
	t.Run("a real server", func(t *testing.T) {
		t.Parallel()
		server := newSMTPRecorder(t, recorderOptions{})
		s := newSMTP(t, "smtp://"+server.addr)
		require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
		require.Contains(t, send(t, s, messageTo(t, "nobody@example.org")).Reason, "refused the address (550 5.1.1")
		require.Nil(t, send(t, s, messageTo(t, "two@example.org")))
		require.Contains(t, send(t, s, messageTo(t, "picky@example.org")).Reason, "refused the message (554 5.7.1")
		require.Nil(t, send(t, s, messageTo(t, "three@example.org")))
		got := server.received()
		require.Len(t, got, 3)
		for i, recipient := range []string{"one@example.org", "two@example.org", "three@example.org"} {
			require.Equal(t, []string{recipient}, got[i].to)
			checkWire(t, got[i].data, messageTo(t, recipient))
		}
		accepted, _ := server.connections()
		require.Equal(t, 1, accepted)
	})
}

func TestConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	m := messageTo(t, "one@example.org")
	bubble := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, test)
		})
	}
	after := func(d time.Duration) {
		time.Sleep(d) //nolint:forbidigo // of the bubble's clock
		synctest.Wait()
	}

	bubble("idle", func(t *testing.T) {
		server, s := newPipedServer(t, nil)
		for range 3 { // each use restarts the idle timeout
			require.Nil(t, send(t, s, m))
			after(idleTimeout - time.Millisecond)
			_, open := server.connections()
			require.Equal(t, 1, open)
		}
		after(time.Millisecond)
		accepted, open := server.connections()
		require.Equal(t, 1, accepted)
		require.Zero(t, open)
		require.True(t, strings.HasSuffix(server.verbs(1), " QUIT"))
		require.Nil(t, send(t, s, m))
		require.Len(t, server.recipients(), 4)
	})

	bubble("maximum of messages", func(t *testing.T) {
		server, s := newPipedServer(t, nil)
		for range maxMessages + 1 {
			require.Nil(t, send(t, s, m))
		}
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 2, accepted)
		require.Equal(t, 1, open)
		require.Equal(t, maxMessages, strings.Count(server.verbs(1), "MAIL"))
		require.True(t, strings.HasSuffix(server.verbs(1), " QUIT"))
		require.Equal(t, 1, strings.Count(server.verbs(2), "MAIL"))
	})

	bubble("maximum age", func(t *testing.T) {
		server, s := newPipedServer(t, nil)
		start := time.Now()
		for accepted := 0; accepted < 2; accepted, _ = server.connections() {
			require.Nil(t, send(t, s, m))
			after(idleTimeout - time.Second)
			require.Less(t, time.Since(start), maxAge+3*idleTimeout)
		}
		require.GreaterOrEqual(t, time.Since(start), maxAge)
		require.True(t, strings.HasSuffix(server.verbs(1), " QUIT"))
	})

	bubble("transport closed", func(t *testing.T) {
		server, s := newPipedServer(t, nil)
		require.Nil(t, send(t, s, m))
		s.Close()
		synctest.Wait()
		_, open := server.connections()
		require.Zero(t, open)
		require.Nil(t, send(t, s, m), "a closed transport can still send")
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 2, accepted)
		require.Zero(t, open)
		for i := range 2 {
			require.Equal(t, "EHLO AUTH MAIL RCPT DATA QUIT", server.verbs(i+1))
		}
		s.Close()
	})

	bubble("transport closed, server ignores QUIT", func(t *testing.T) {
		server, s := newPipedServer(t, map[string]string{"QUIT": replyHang})
		sendAtOnce(t, s, 3)
		start := time.Now()
		s.Close()
		require.Equal(t, quitTimeout, time.Since(start), "once for all connections")
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 3, accepted)
		require.Zero(t, open)
	})

	bubble("maximum of idle connections", func(t *testing.T) {
		server, s := newPipedServer(t, nil)
		sendAtOnce(t, s, maxIdle+1)
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, maxIdle+1, accepted)
		require.Equal(t, maxIdle, open)
		require.Equal(t, 1, strings.Count(server.commands(), "QUIT"))
	})

	// A firewall that has lost its state drops packets.
	bubble("connection lost", func(t *testing.T) {
		server, s := newPipedServer(t, map[string]string{"MAIL 2": replyHang}, nil)
		require.Nil(t, send(t, s, m))
		start := time.Now()
		require.Nil(t, send(t, s, m))
		require.WithinRange(t, time.Now(), start.Add(reuseTimeout), start.Add(reuseTimeout+time.Second))
		require.Len(t, server.recipients(), 2)
	})

	bubble("connection and server lost", func(t *testing.T) {
		server, s := newPipedServer(t, map[string]string{"MAIL 2": replyHang}, map[string]string{"MAIL": replyHang})
		require.Nil(t, send(t, s, m))
		start := time.Now()
		failure := send(t, s, m)
		require.NotNil(t, failure)
		require.Contains(t, failure.Reason, "in time")
		require.Equal(t, sendTimeout, time.Since(start), "both connections share the timeout")
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 2, accepted)
		require.Zero(t, open)
	})

	bubble("no reply to the content", func(t *testing.T) {
		server, s := newPipedServer(t, map[string]string{"CONTENT 2": replyHang}, nil)
		require.Nil(t, send(t, s, m))
		start := time.Now()
		failure := send(t, s, m)
		require.NotNil(t, failure)
		require.Contains(t, failure.Reason, "in time")
		require.Equal(t, sendTimeout, time.Since(start))
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 1, accepted)
		require.Zero(t, open)
	})

	// reuseTimeout is for MAIL only: the content may take longer.
	bubble("slow content", func(t *testing.T) {
		server, s := newPipedServer(t, nil)
		for range 2 {
			start := time.Now()
			sendAtOnce(t, s, 1)
			require.WithinRange(t, time.Now(), start.Add(2*reuseTimeout), start.Add(2*reuseTimeout+time.Second))
		}
		accepted, _ := server.connections()
		require.Equal(t, 1, accepted)
	})
}

// sendAtOnce sends n messages at the same time, in a bubble.
func sendAtOnce(t *testing.T, s *SMTP, n int) {
	t.Helper()
	dial := s.dialContext
	s.dialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &slowConn{Conn: conn}, err
	}
	m := messageTo(t, "one@example.org")
	var senders sync.WaitGroup
	for range n {
		senders.Go(func() {
			if err := boundedSend(t.Context(), s, m); err != nil {
				t.Error(err)
			}
		})
	}
	senders.Wait()
	s.dialContext = dial
}

// slowConn delays the content by twice the reuseTimeout.
type slowConn struct{ net.Conn }

func (c *slowConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("MIME-Version")) {
		time.Sleep(2 * reuseTimeout) //nolint:forbidigo // of the bubble's clock
	}
	return c.Conn.Write(p)
}

// The limit of replies is for each message: over the life of a connection a server may send more.
func TestReplyLimitIsForEachMessage(t *testing.T) {
	t.Parallel()
	longReply := strings.Repeat("250-"+strings.Repeat("x", 90)+"\r\n", maxReplyBytes/300)
	server := newScriptedServer(t, map[string]string{"RCPT": longReply + "250 ok"})
	s := newSMTP(t, "smtp://"+server.addr)
	for range 5 {
		require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
	}
	accepted, _ := server.connections()
	require.Equal(t, 1, accepted)
}

func TestCancelledSendLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	server := newScriptedServer(t, nil, map[string]string{"DATA": replyHang}, nil)
	s := newSMTP(t, "smtp://"+server.addr)

	// Two connections: one in the pool, one that hangs.
	require.Nil(t, send(t, s, messageTo(t, "one@example.org")))
	pooled := s.pool.get()
	require.NotNil(t, pooled)
	ctx, cancel := context.WithCancel(t.Context())
	two, three := messageTo(t, "two@example.org"), messageTo(t, "three@example.org")
	hanging := make(chan error, 1)
	go func() { hanging <- boundedSend(ctx, s, two) }()
	eventually(t, func() bool {
		accepted, _ := server.connections()
		return accepted == 2 && strings.HasSuffix(server.verbs(2), "DATA")
	})
	require.True(t, s.pool.put(pooled))

	others := make(chan struct{})
	go func() {
		defer close(others)
		for range 20 {
			if err := boundedSend(t.Context(), s, three); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	cancel()
	require.Equal(t, "Sending was interrupted.", checkFailure(t, <-hanging).Reason)
	<-others
	require.Nil(t, send(t, s, messageTo(t, "four@example.org")))
	accepted, _ := server.connections()
	require.Equal(t, 2, accepted)
	require.Len(t, server.recipients(), 22)
	require.Equal(t, 22, strings.Count(server.verbs(1), "MAIL"), "all messages used the first connection")
	eventually(t, func() bool { _, open := server.connections(); return open == 1 })
}

// The context ends while the client reads the positive reply: the message is accepted, and the connection is not
// reused.
func TestCancelledDuringAcceptance(t *testing.T) {
	t.Parallel()
	server := newScriptedServer(t, map[string]string{"CONTENT": "250 accepted"})
	s := newSMTP(t, "smtp://"+server.addr)
	ctx, cancel := context.WithCancel(t.Context())
	s.dialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &cancelAtReply{cancelAtContent{Conn: conn, cancel: cancel, closed: make(chan struct{})}}, err
	}
	require.NoError(t, boundedSend(ctx, s, messageTo(t, "one@example.org")))
	require.Empty(t, s.pool.idle)
	require.Equal(t, []string{"one@example.org"}, server.recipients())
}

// cancelAtReply cancels when the reply to the content arrives, and returns the reply once the connection is closed.
type cancelAtReply struct{ cancelAtContent }

func (c *cancelAtReply) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if bytes.Contains(p[:n], []byte("accepted")) {
		c.cancelAndWait()
	}
	return n, err
}

func (c *cancelAtReply) Write(p []byte) (int, error) { return c.Conn.Write(p) }

func BenchmarkSMTP(b *testing.B) {
	for _, o := range []recorderOptions{{}, {tls: true, password: "secret"}} {
		name, url := "in the clear", "smtp://"
		if o.tls {
			name, url = "STARTTLS and login", "smtp://alice:secret@"
		}
		for _, pooled := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/pooled=%t", name, pooled), func(b *testing.B) {
				server := newSMTPRecorder(b, o)
				s := newSMTP(b, url+server.addr)
				s.roots = server.roots
				if !pooled {
					s.Close()
				}
				m := messageTo(b, "one@example.org")
				for b.Loop() {
					require.NoError(b, s.Send(b.Context(), m))
				}
			})
		}
	}
}
