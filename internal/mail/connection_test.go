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

// to is a message to a recipient.
func to(t testing.TB, recipient string) Message {
	t.Helper()
	m := render(t, InvitationCreated, sample())
	m.To = recipient
	return m
}

// eventually waits for what a server is about to see.
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
			server := newRecorder(t, test.server)
			s := newSMTP(t, test.url+server.addr)
			s.roots = server.roots
			m := to(t, "")
			for i := range 50 {
				m.To = fmt.Sprintf("user%d@example.org", i)
				m.ID = fmt.Sprintf("%d@example.com", i)
				// Whoever calls ends the context once Send is done. That is no reason
				// to end the connection.
				ctx, cancel := context.WithCancel(t.Context())
				require.NoError(t, s.Send(ctx, m))
				cancel()
				got := server.got()
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

// TestConnectionsOfManySenders stays below the number of messages at which a
// connection is ended.
func TestConnectionsOfManySenders(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, recorderOptions{})
	s := newSMTP(t, "smtp://"+server.addr)
	m := to(t, "")
	var senders sync.WaitGroup
	for sender := range 8 {
		senders.Go(func() {
			for i := range 12 {
				m := m
				m.To = fmt.Sprintf("user%d.%d@example.org", sender, i)
				if err := s.Send(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	seen := make(map[string]int)
	for _, got := range server.got() {
		require.Len(t, got.to, 1)
		require.Contains(t, string(got.data), "To: <"+got.to[0]+">", "content and envelope are of one message")
		seen[got.to[0]]++
	}
	require.Len(t, seen, 96)
	for recipient, copies := range seen {
		require.Equal(t, 1, copies, recipient)
	}
	accepted, open := server.connections()
	require.LessOrEqual(t, accepted, 8)
	require.Equal(t, accepted, open)
	require.Len(t, s.pool.waiting, open)
}

// TestConnectionIsReplaced has a connection that is no good any more when the
// second message comes. It goes over a new one, once.
func TestConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]map[string]string{
		"closed meanwhile":    {"CONTENT 1": "250 ok" + thenCut},
		"farewell meanwhile":  {"CONTENT 1": "250 ok\r\n421 idle" + thenCut},
		"talking out of turn": {"CONTENT 1": "250 ok\r\n250 ok", "MAIL 2": "550 which would seem the answer to RCPT"},
		"421 at MAIL":         {"MAIL 2": "421 enough"},
		"421 at MAIL, gone":   {"MAIL 2": "421 enough" + thenCut},
		"451 at MAIL":         {"MAIL 2": "451 not here"},
		"550 at MAIL":         {"MAIL 2": "550 log in again"},
		"nonsense at MAIL":    {"MAIL 2": "354 go on"},
		"cut at MAIL":         {"MAIL 2": cut},
		"flood at MAIL":       {"MAIL 2": flood},
		"cut at RCPT":         {"RCPT 2": cut},
		"421 at RCPT":         {"RCPT 2": "421 too many errors"},
		"cut at DATA":         {"DATA 2": cut},
		"421 at DATA":         {"DATA 2": "421 shutting down" + thenCut},
		"nonsense at DATA":    {"DATA 2": "250 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScripted(t, table, nil)
			s := newSMTP(t, "smtp://"+server.addr)
			for _, recipient := range []string{"one@example.org", "two@example.org", "three@example.org"} {
				require.Nil(t, send(t, s, to(t, recipient)))
			}
			require.Equal(t, []string{"one@example.org", "two@example.org", "three@example.org"}, server.recipients())
			require.Equal(t, 3, server.contents)
			accepted, _ := server.connections()
			require.Equal(t, 2, accepted)
			require.Equal(t, "EHLO MAIL RCPT DATA MAIL RCPT DATA", server.verbs(2), "the second and the third")
		})
	}
}

// TestConnectionIsReplacedOnce has a server that has grown unwilling on new
// connections too: what it says there counts.
func TestConnectionIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		table  map[string]string // of the new connection
		reason string
	}{
		"421 at MAIL": {map[string]string{"MAIL": "421 enough"}, "asked to try again later (421)"},
		"421 at once": {map[string]string{"CONNECT": "421 enough"}, "asked to try again later (421)"},
		"cut":         {map[string]string{"MAIL": cut}, "broke off"},
		"no user":     {map[string]string{"RCPT": "550 5.1.1 no"}, "refused the address (550 5.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScripted(t, map[string]string{"MAIL 2": "451 not here"}, test.table)
			s := newSMTP(t, "smtp://"+server.addr)
			require.Nil(t, send(t, s, to(t, "one@example.org")))
			failure := send(t, s, to(t, "two@example.org"))
			require.NotNil(t, failure)
			require.Contains(t, failure.Reason, test.reason)
			require.Equal(t, name == "no user", failure.Final)
			accepted, _ := server.connections()
			require.Equal(t, 2, accepted)
			require.Equal(t, []string{"one@example.org"}, server.recipients())
		})
	}
}

// TestUnwelcomeConnectionIsNotKept spares a server that refuses the sender a
// second refusal for each message.
func TestUnwelcomeConnectionIsNotKept(t *testing.T) {
	t.Parallel()
	server := newScripted(t, map[string]string{"MAIL": "550 not you"})
	s := newSMTP(t, "smtp://"+server.addr)
	for i := range 2 {
		require.True(t, send(t, s, to(t, "one@example.org")).Operator)
		require.Equal(t, "EHLO MAIL QUIT", server.verbs(i+1))
	}
}

// TestConnectionBreaksInFlight cuts a kept connection where nobody can tell
// whether the message was taken. To send it again is for the next attempt.
func TestConnectionBreaksInFlight(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]map[string]string{
		"before the dot": {"DATA 2": "354 go on" + thenCut},
		"after the dot":  {"CONTENT 2": cut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScripted(t, table, nil)
			s := newSMTP(t, "smtp://"+server.addr)
			require.Nil(t, send(t, s, to(t, "one@example.org")))
			failure := send(t, s, to(t, "two@example.org"))
			require.NotNil(t, failure)
			require.False(t, failure.Final || failure.Operator)
			require.Contains(t, failure.Reason, "broke off")
			accepted, _ := server.connections()
			require.Equal(t, 1, accepted, "nothing was tried again")
			require.Equal(t, []string{"one@example.org"}, server.recipients())
			require.Nil(t, send(t, s, to(t, "two@example.org")))
		})
	}
}

// TestRefusalLeavesNothing has a server that refuses the second of four
// messages, and never forgets a recipient by itself. What it refuses for good is
// cleared away; what it may take later, it may take on another connection.
func TestRefusalLeavesNothing(t *testing.T) {
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
			server := newScripted(t, test.table, nil)
			s := newSMTP(t, "smtp://"+server.addr)
			require.Nil(t, send(t, s, to(t, "one@example.org")))
			require.NotNil(t, send(t, s, to(t, "two@example.org")))
			require.Nil(t, send(t, s, to(t, "three@example.org")))
			require.Nil(t, send(t, s, to(t, "four@example.org")))
			require.Equal(t, []string{"one@example.org", "three@example.org", "four@example.org"}, server.recipients())
			accepted, _ := server.connections()
			require.Equal(t, test.connections, accepted)
			require.Equal(t, 2-test.connections, strings.Count(server.verbs(1), "RSET"))
			require.Equal(t, test.connections-1, strings.Count(server.wire(), "QUIT"))
		})
	}
	t.Run("RSET refused", func(t *testing.T) {
		t.Parallel()
		server := newScripted(t, map[string]string{"DATA 2": "554 policy", "RSET": "502 what?"}, nil)
		s := newSMTP(t, "smtp://"+server.addr)
		require.Nil(t, send(t, s, to(t, "one@example.org")))
		require.NotNil(t, send(t, s, to(t, "two@example.org")))
		require.Nil(t, send(t, s, to(t, "three@example.org")))
		require.Equal(t, []string{"one@example.org", "three@example.org"}, server.recipients())
		accepted, _ := server.connections()
		require.Equal(t, 2, accepted)
	})
	t.Run("a real server", func(t *testing.T) {
		t.Parallel()
		server := newRecorder(t, recorderOptions{})
		s := newSMTP(t, "smtp://"+server.addr)
		require.Nil(t, send(t, s, to(t, "one@example.org")))
		require.Contains(t, send(t, s, to(t, "nobody@example.org")).Reason, "refused the address (550 5.1.1")
		require.Nil(t, send(t, s, to(t, "two@example.org")))
		require.Contains(t, send(t, s, to(t, "picky@example.org")).Reason, "refused the message (554 5.7.1")
		require.Nil(t, send(t, s, to(t, "three@example.org")))
		got := server.got()
		require.Len(t, got, 3)
		for i, recipient := range []string{"one@example.org", "two@example.org", "three@example.org"} {
			require.Equal(t, []string{recipient}, got[i].to)
			checkWire(t, got[i].data, to(t, recipient))
		}
		accepted, _ := server.connections()
		require.Equal(t, 1, accepted)
	})
}

// TestConnectionsEnd has a clock that jumps, and looks at what the server sees.
func TestConnectionsEnd(t *testing.T) {
	t.Parallel()
	m := to(t, "one@example.org")
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

	bubble("unused", func(t *testing.T) {
		server, s := newPiped(t, nil)
		for range 3 { // each use starts the time anew
			require.Nil(t, send(t, s, m))
			after(idleTime - time.Millisecond)
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

	bubble("full", func(t *testing.T) {
		server, s := newPiped(t, nil)
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

	bubble("old", func(t *testing.T) {
		server, s := newPiped(t, nil)
		start := time.Now()
		for accepted := 0; accepted < 2; accepted, _ = server.connections() {
			require.Nil(t, send(t, s, m))
			after(idleTime - time.Second)
			require.Less(t, time.Since(start), maxAge+3*idleTime)
		}
		require.GreaterOrEqual(t, time.Since(start), maxAge)
		require.True(t, strings.HasSuffix(server.verbs(1), " QUIT"))
	})

	bubble("closed", func(t *testing.T) {
		server, s := newPiped(t, nil)
		require.Nil(t, send(t, s, m))
		s.Close()
		synctest.Wait()
		_, open := server.connections()
		require.Zero(t, open)
		require.Nil(t, send(t, s, m), "it can still send")
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 2, accepted)
		require.Zero(t, open)
		for i := range 2 {
			require.Equal(t, "EHLO AUTH MAIL RCPT DATA QUIT", server.verbs(i+1))
		}
		s.Close()
	})

	bubble("closed, and the server does not care", func(t *testing.T) {
		server, s := newPiped(t, map[string]string{"QUIT": hang})
		sendAtOnce(t, s, 3)
		start := time.Now()
		s.Close()
		require.Equal(t, quitTimeout, time.Since(start), "for all of them together")
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 3, accepted)
		require.Zero(t, open)
	})

	bubble("one too many", func(t *testing.T) {
		server, s := newPiped(t, nil)
		sendAtOnce(t, s, maxIdle+1)
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, maxIdle+1, accepted)
		require.Equal(t, maxIdle, open)
		require.Equal(t, 1, strings.Count(server.wire(), "QUIT"))
	})

	// A firewall that lost its state swallows what it gets.
	bubble("gone without a word", func(t *testing.T) {
		server, s := newPiped(t, map[string]string{"MAIL 2": hang}, nil)
		require.Nil(t, send(t, s, m))
		start := time.Now()
		require.Nil(t, send(t, s, m))
		require.WithinRange(t, time.Now(), start.Add(wakeTimeout), start.Add(wakeTimeout+time.Second))
		require.Len(t, server.recipients(), 2)
	})

	bubble("gone, and so is the server", func(t *testing.T) {
		server, s := newPiped(t, map[string]string{"MAIL 2": hang}, map[string]string{"MAIL": hang})
		require.Nil(t, send(t, s, m))
		start := time.Now()
		failure := send(t, s, m)
		require.NotNil(t, failure)
		require.Contains(t, failure.Reason, "in time")
		require.Equal(t, sendTimeout, time.Since(start), "both tries share it")
		synctest.Wait()
		accepted, open := server.connections()
		require.Equal(t, 2, accepted)
		require.Zero(t, open)
	})

	bubble("silent over the content", func(t *testing.T) {
		server, s := newPiped(t, map[string]string{"CONTENT 2": hang}, nil)
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

	// The time for MAIL is no time for what follows, which may take long.
	bubble("slow to take content", func(t *testing.T) {
		server, s := newPiped(t, nil)
		for range 2 {
			start := time.Now()
			sendAtOnce(t, s, 1)
			require.WithinRange(t, time.Now(), start.Add(2*wakeTimeout), start.Add(2*wakeTimeout+time.Second))
		}
		accepted, _ := server.connections()
		require.Equal(t, 1, accepted)
	})
}

// sendAtOnce has n messages on their way at the same time, in a bubble.
func sendAtOnce(t *testing.T, s *SMTP, n int) {
	t.Helper()
	dial := s.dialContext
	s.dialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &slow{Conn: conn}, err
	}
	m := to(t, "one@example.org")
	var senders sync.WaitGroup
	for range n {
		senders.Go(func() {
			if err := s.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	senders.Wait()
	s.dialContext = dial
}

// slow takes its time over the content.
type slow struct{ net.Conn }

func (c *slow) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("MIME-Version")) {
		time.Sleep(2 * wakeTimeout) //nolint:forbidigo // of the bubble's clock
	}
	return c.Conn.Write(p)
}

// TestRepliesAreBoundedByMessage lets a talkative server say more over the life
// of a connection than it may over one message.
func TestRepliesAreBoundedByMessage(t *testing.T) {
	t.Parallel()
	chatter := strings.Repeat("250-"+strings.Repeat("x", 90)+"\r\n", maxReplies/300)
	server := newScripted(t, map[string]string{"RCPT": chatter + "250 ok"})
	s := newSMTP(t, "smtp://"+server.addr)
	for range 5 {
		require.Nil(t, send(t, s, to(t, "one@example.org")))
	}
	accepted, _ := server.connections()
	require.Equal(t, 1, accepted)
}

// TestCancelledSendDisturbsNobody ends one conversation in the middle of another.
func TestCancelledSendDisturbsNobody(t *testing.T) {
	t.Parallel()
	server := newScripted(t, nil, map[string]string{"DATA": hang}, nil)
	s := newSMTP(t, "smtp://"+server.addr)

	// Two connections: one in the pool, one that hangs.
	require.Nil(t, send(t, s, to(t, "one@example.org")))
	kept := s.pool.take()
	ctx, cancel := context.WithCancel(t.Context())
	two, three := to(t, "two@example.org"), to(t, "three@example.org")
	hanging := make(chan error)
	go func() { hanging <- s.Send(ctx, two) }()
	eventually(t, func() bool {
		accepted, _ := server.connections()
		return accepted == 2 && strings.HasSuffix(server.verbs(2), "DATA")
	})
	require.True(t, s.pool.keep(kept))

	others := make(chan struct{})
	go func() {
		defer close(others)
		for range 20 {
			if err := s.Send(t.Context(), three); err != nil {
				t.Error(err)
			}
		}
	}()
	cancel()
	require.Equal(t, "Sending was interrupted.", checkFailure(t, <-hanging).Reason)
	<-others
	require.Nil(t, send(t, s, to(t, "four@example.org")))
	accepted, _ := server.connections()
	require.Equal(t, 2, accepted)
	require.Len(t, server.recipients(), 22)
	require.Equal(t, 22, strings.Count(server.verbs(1), "MAIL"), "all of them over the first connection")
	eventually(t, func() bool { _, open := server.connections(); return open == 1 })
}

// TestCancelledAtTheYes ends the context in the moment in which the server takes
// the message: it is taken, and the connection is not for another one.
func TestCancelledAtTheYes(t *testing.T) {
	t.Parallel()
	server := newScripted(t, map[string]string{"CONTENT": "250 yes"})
	s := newSMTP(t, "smtp://"+server.addr)
	ctx, cancel := context.WithCancel(t.Context())
	s.dialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &cancellingAtYes{cancelling{Conn: conn, cancel: cancel, closed: make(chan struct{})}}, err
	}
	require.NoError(t, s.Send(ctx, to(t, "one@example.org")))
	require.Empty(t, s.pool.waiting)
	require.Equal(t, []string{"one@example.org"}, server.recipients())
}

// cancellingAtYes cancels when the yes is read, and passes it on once that has
// closed the connection.
type cancellingAtYes struct{ cancelling }

func (c *cancellingAtYes) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if bytes.Contains(p[:n], []byte("yes")) {
		c.cancel()
		<-c.closed
	}
	return n, err
}

func (c *cancellingAtYes) Write(p []byte) (int, error) { return c.Conn.Write(p) }

func BenchmarkSMTP(b *testing.B) {
	for _, o := range []recorderOptions{{}, {tls: true, password: "secret"}} {
		name, url := "in the clear", "smtp://"
		if o.tls {
			name, url = "STARTTLS and login", "smtp://alice:secret@"
		}
		for _, kept := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/kept=%t", name, kept), func(b *testing.B) {
				server := newRecorder(b, o)
				s := newSMTP(b, url+server.addr)
				s.roots = server.roots
				if !kept {
					s.Close()
				}
				m := to(b, "one@example.org")
				for b.Loop() {
					require.NoError(b, s.Send(b.Context(), m))
				}
			})
		}
	}
}
