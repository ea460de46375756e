package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
)

const fromHeader = "Example Portal <no-reply@example.com>"

func newSMTP(t testing.TB, url string) *SMTP {
	t.Helper()
	s, err := NewSMTP(url, fromHeader)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// boundedSend calls Send, and returns an error if Send has not returned some seconds after its own limit, so that a
// failing test ends.
func boundedSend(ctx context.Context, s *SMTP, m Message) error {
	done := make(chan error, 1)
	go func() { done <- s.Send(ctx, m) }()
	select {
	case err := <-done:
		return err
	case <-time.After(sendTimeout + quitTimeout + 5*time.Second):
		return errors.New("Send did not return")
	}
}

// send returns the failure of Send, or nil.
func send(t testing.TB, s *SMTP, m Message) *delivery.Failure {
	t.Helper()
	err := boundedSend(t.Context(), s, m)
	if err == nil {
		return nil
	}
	failure := checkFailure(t, err)
	require.NotContains(t, failure.Reason, s.host)
	if s.password != "" {
		require.NotContains(t, failure.Error(), s.password)
	}
	return failure
}

// checkFailure asserts what holds for every failure: its reason consists of whole sentences, so that another can
// follow, and tells one person what to do.
func checkFailure(t testing.TB, err error) *delivery.Failure {
	t.Helper()
	var failure *delivery.Failure
	require.ErrorAs(t, err, &failure)
	require.Regexp(t, `^[A-Z][^\n]*\.$`, failure.Reason)
	require.Less(t, len(failure.Reason), 300)
	require.False(t, failure.Final && failure.Operator)
	require.Equal(t, failure.Operator, strings.Contains(failure.Reason, "the operator has to check"))
	require.Equal(t, failure.Final, strings.Contains(failure.Reason, "Invite them"), "a final failure says what the inviter can do")
	return failure
}

func TestSMTPDelivers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server recorderOptions
		scheme string
		login  string
	}{
		"in the clear":       {recorderOptions{}, "smtp://", ""},
		"STARTTLS":           {recorderOptions{tls: true}, "smtp://", ""},
		"STARTTLS and login": {recorderOptions{tls: true, password: "p@ss:word/1"}, "smtp://", "alice"},
		"TLS":                {recorderOptions{implicit: true}, "smtps://", ""},
		"TLS and login":      {recorderOptions{implicit: true, password: "p@ss:word/1"}, "smtps://", "alice"},
		"login on loopback":  {recorderOptions{password: "p@ss:word/1"}, "smtp://", "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newSMTPRecorder(t, test.server)
			credentials := ""
			if test.login != "" {
				credentials = test.login + ":p%40ss%3Aword%2F1@"
			}
			s := newSMTP(t, test.scheme+credentials+server.addr)
			s.SetRoots(server.roots)
			v := testInvitation()
			v.ExtraText = ".\n..\n.leading dot\nnaïve"
			m := render(t, InvitationCreated, v)
			m.Text = ".\n" + m.Text + ".\n.\n"
			require.Nil(t, send(t, s, m))
			got := server.received()
			require.Len(t, got, 1)
			require.Equal(t, "no-reply@example.com", got[0].from)
			require.Equal(t, []string{"bob@example.org"}, got[0].to)
			require.Equal(t, test.login, got[0].login)
			require.Equal(t, test.server.tls || test.server.implicit, got[0].encrypted)
			checkWire(t, got[0].data, m)
		})
	}
}

func TestSMTPConvertsDomains(t *testing.T) {
	t.Parallel()
	server := newSMTPRecorder(t, recorderOptions{})
	m := render(t, InvitationCreated, testInvitation())
	m.To = "bob@bücher.example"
	require.Nil(t, send(t, newSMTP(t, "smtp://"+server.addr), m))
	require.Equal(t, []string{"bob@xn--bcher-kva.example"}, server.received()[0].to)
	m.To = "bob@xn--bcher-kva.example"
	checkWire(t, server.received()[0].data, m)
}

func TestSMTPRefusesBadRecipientBeforeDialing(t *testing.T) {
	t.Parallel()
	server := newScriptedServer(t, nil)
	m := render(t, InvitationCreated, testInvitation())
	m.To = `"a@evil.example x"@good.example`
	failure := send(t, newSMTP(t, "smtp://"+server.addr), m)
	require.True(t, failure.Final)
	require.Empty(t, server.commands())
}

// TestSMTPReplies has a negative reply at each stage.
func TestSMTPReplies(t *testing.T) {
	t.Parallel()
	const (
		transient = iota
		operator
		final
	)
	for _, test := range []struct {
		at, reply, reason string
		kind              int
	}{
		{"CONNECT", "421 busy", "try again later (421)", transient},
		{"CONNECT", "554 go away", "refused the connection (554)", operator},
		{"EHLO", "421 busy", "try again later (421)", transient},
		{"EHLO", "550 who?", "refused the connection (550)", operator},
		{"AUTH", "454 later", "try again later (454)", transient},
		{"AUTH", "535 5.7.8 no", "refused the login (535)", operator},
		{"AUTH", "534 weak", "refused the login (534)", operator},
		{"MAIL", "421 later", "try again later (421)", transient},
		{"MAIL", "451 later", "try again later (451)", transient},
		{"MAIL", "550 not you", "refused the sender (550)", operator},
		{"MAIL", "530 5.7.0 log in", "refused the sender (530)", operator},
		{"RCPT", "450 4.2.0 greylisted", "does not take mail for this address now (450 4.2.0).", transient},
		{"RCPT", "451 4.7.1 later", "now (451 4.7.1: its rules refuse it).", transient},
		{"RCPT", "550 5.1.1 no such user", "refused the address (550 5.1.1: there is no such mailbox). Invite", final},
		{"RCPT", "550-5.1.1 no\r\n550 such \x1b[31muser", "refused the address (550 5.1.1: there is no such mailbox).", final},
		{"RCPT", "553 " + strings.Repeat("x", 900), "refused the mail (553) without saying", transient},
		{"RCPT", "550 no such user at internal-mx7.corp.example [10.1.2.3]", "refused the address (550).", final},
		{"RCPT", "554 ", "refused the mail (554) without saying", transient},
		{"RCPT", "553 5.1.8 your domain does not exist", "refused the sender (553)", operator},
		{"RCPT", "550 5.7.23 SPF says no", "refused the sender (550)", operator},
		{"RCPT", "530 5.7.0 authentication required", "refused the sender (530)", operator},
		{"RCPT", "554 5.7.1 <bob@example.org>: Relay access denied", "refused the sender (554)", operator},
		{"RCPT", "550 relaying not permitted", "refused the sender (550)", operator},
		{"RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a list", "refused the sender (554)", operator},
		{"RCPT", "554 5.7.1 your tone displeases us", "refused the mail (554 5.7.1: its rules refuse it) without", transient},
		{"DATA", "451 later", "try again later (451)", transient},
		{"DATA", "554 virus", "refused the message (554). Invite", final},
		{"CONTENT", "451 later", "try again later (451)", transient},
		{"CONTENT", "552 5.3.4 too big", "refused the message (552 5.3.4: the mail is too large).", final},
		{"CONTENT", "554 5.7.1 contains spam", "refused the message (554 5.7.1: its rules refuse it).", final},
		{"CONTENT", "550 5.1.1 no such user", "refused the address (550 5.1.1: there is no such mailbox).", final},
		{"CONTENT", "552 5.2.2 full", "refused the address (552 5.2.2: the mailbox is full).", final},
		{"CONTENT", "550 5.7.26 DMARC says no", "refused the sender (550)", operator},
		{"CONTENT", "nonsense", "broke off", transient},
		{"RCPT", "999 nonsense", "broke off", transient},
	} {
		t.Run(test.at+" "+test.reply[:3], func(t *testing.T) {
			t.Parallel()
			replies := map[string]string{test.at: test.reply}
			if test.at == "EHLO" {
				replies["HELO"] = test.reply // the client falls back to it
			}
			server := newScriptedServer(t, replies)
			failure := send(t, newSMTP(t, "smtp://alice:secret@"+server.addr), render(t, InvitationCreated, testInvitation()))
			require.NotNil(t, failure)
			require.Contains(t, failure.Reason, test.reason)
			require.Equal(t, test.kind == final, failure.Final)
			require.Equal(t, test.kind == operator, failure.Operator)
			if test.at != "CONTENT" {
				require.Zero(t, server.contentCount)
			}
		})
	}
}

// The server closes the connection, or stops replying, at each stage.
func TestSMTPConnectionFails(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT"} {
		t.Run("closed at "+at, func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, map[string]string{at: replyClose})
			failure := send(t, newSMTP(t, "smtp://alice:secret@"+server.addr), render(t, InvitationCreated, testInvitation()))
			require.NotNil(t, failure)
			require.False(t, failure.Final || failure.Operator)
			require.Contains(t, failure.Reason, "broke off")
		})
		t.Run("silent at "+at, func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, map[string]string{at: replyHang})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			err := boundedSend(ctx, newSMTP(t, "smtp://alice:secret@"+server.addr), render(t, InvitationCreated, testInvitation()))
			failure := checkFailure(t, err)
			require.False(t, failure.Final || failure.Operator)
			require.Contains(t, failure.Reason, "in time")
		})
	}
}

// The context has no deadline: the limits are those of Send itself.
func TestSMTPTimeouts(t *testing.T) {
	t.Parallel()
	m := render(t, InvitationCreated, testInvitation())
	for name, test := range map[string]struct {
		dial func(ctx context.Context, network, addr string) (net.Conn, error)
		want time.Duration
	}{
		"dial": {func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, 10 * time.Second},
		"silence": {func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, server) }()
			return client, nil
		}, 30 * time.Second},
		"a byte each second": {func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				_, err := io.WriteString(server, "220-")
				for range 10 * time.Minute / time.Second { // then the server gives up, so that a failing test ends
					if err != nil {
						return
					}
					time.Sleep(time.Second) //nolint:forbidigo // of the bubble's clock
					_, err = io.WriteString(server, "x")
				}
				_ = server.Close()
			}()
			return client, nil
		}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSMTP(t, "smtp://mail.example.com")
				s.dialContext = test.dial
				start := time.Now()
				failure := send(t, s, m)
				require.NotNil(t, failure)
				require.Equal(t, test.want, time.Since(start))
				require.False(t, failure.Final || failure.Operator)
				require.Contains(t, failure.Reason, "in time")
				time.Sleep(time.Second) //nolint:forbidigo // of the bubble's clock; the server's goroutine ends
			})
		})
	}
}

func TestSMTPEndlessReply(t *testing.T) {
	t.Parallel()
	server := newScriptedServer(t, map[string]string{"EHLO": replyFlood})
	failure := send(t, newSMTP(t, "smtp://"+server.addr), render(t, InvitationCreated, testInvitation()))
	require.False(t, failure.Final)
	require.ErrorIs(t, failure, errReplyLimit)
}

// What happens after the server has accepted a message is not a failure, because a second attempt would be a second
// mail.
func TestQUITCannotFailAMessage(t *testing.T) {
	t.Parallel()
	for name, quit := range map[string]string{"closed": replyClose, "refused": "500 what?", "accepted": "221 bye"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, map[string]string{"QUIT": quit})
			s := newSMTP(t, "smtp://"+server.addr)
			s.Close() // without a pool, Send itself sends QUIT
			require.Nil(t, send(t, s, render(t, InvitationCreated, testInvitation())))
			require.Equal(t, "EHLO MAIL RCPT DATA QUIT", server.verbs(1))
			require.Equal(t, 1, server.contentCount)
			require.Equal(t, 1, strings.Count(server.commands(), "RCPT TO:"))
		})
	}
}

func TestSMTPUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	failure := send(t, newSMTP(t, "smtp://"+listener.Addr().String()), render(t, InvitationCreated, testInvitation()))
	require.False(t, failure.Final || failure.Operator)
	require.Equal(t, "The mail server can't be reached.", failure.Reason)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = boundedSend(ctx, newSMTP(t, "smtp://"+newScriptedServer(t, nil).addr), render(t, InvitationCreated, testInvitation()))
	failure = checkFailure(t, err)
	require.False(t, failure.Final || failure.Operator)
	require.Equal(t, "Sending was interrupted.", failure.Reason)
}

// The context ends while the content is sent: the server must not accept half of it as a message.
func TestCancelledDuringContent(t *testing.T) {
	t.Parallel()
	server := newScriptedServer(t, nil)
	s := newSMTP(t, "smtp://"+server.addr)
	ctx, cancel := context.WithCancel(t.Context())
	s.dialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &cancelAtContent{Conn: conn, cancel: cancel, closed: make(chan struct{})}, err
	}
	err := boundedSend(ctx, s, render(t, InvitationCreated, testInvitation()))
	failure := checkFailure(t, err)
	require.False(t, failure.Final || failure.Operator)
	require.Equal(t, "Sending was interrupted.", failure.Reason)
	require.Zero(t, server.contentCount)
}

// cancelAtContent cancels when the content is first written, and writes it once the connection is closed.
type cancelAtContent struct {
	net.Conn
	cancel context.CancelFunc
	once   sync.Once
	closed chan struct{}
}

func (c *cancelAtContent) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("MIME-Version")) {
		c.cancelAndWait()
	}
	return c.Conn.Write(p)
}

// cancelAndWait cancels the context and waits until that has closed the connection.
func (c *cancelAtContent) cancelAndWait() {
	c.cancel()
	select {
	case <-c.closed:
	case <-time.After(10 * time.Second): // the assertions of the test fail then
	}
}

func (c *cancelAtContent) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestSMTPVerifiesTheServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server  recorderOptions
		scheme  string
		trusted bool
	}{
		"STARTTLS, unknown issuer": {recorderOptions{tls: true, password: "secret"}, "smtp://", false},
		"STARTTLS, other name":     {recorderOptions{tls: true, password: "secret", name: "other.test"}, "smtp://", true},
		"TLS, unknown issuer":      {recorderOptions{implicit: true, password: "secret"}, "smtps://", false},
		"TLS, other name":          {recorderOptions{implicit: true, password: "secret", name: "other.test"}, "smtps://", true},
		"no TLS where expected":    {recorderOptions{password: "secret"}, "smtps://", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newSMTPRecorder(t, test.server)
			s := newSMTP(t, test.scheme+"alice:secret@"+server.addr)
			if test.trusted {
				s.SetRoots(server.roots)
			}
			failure := send(t, s, render(t, InvitationCreated, testInvitation()))
			require.NotNil(t, failure)
			require.True(t, failure.Operator)
			require.Contains(t, failure.Reason, "secure connection")
			require.Empty(t, server.received())
		})
	}
}

// A TLS error after the greeting is not about the certificate, so that the operator has nothing to fix.
func TestTLSFailureAfterGreeting(t *testing.T) {
	t.Parallel()
	for at, operator := range map[stage]bool{
		stageDial: true, stageGreeting: true, stageTLS: true, stageMail: false, stageContent: false, stageContentReply: false,
	} {
		failure := checkFailure(t, smtpFailure(t.Context(), at, "bob@example.org", tls.AlertError(80)))
		require.Equal(t, operator, failure.Operator)
		require.False(t, failure.Final)
	}
}

func TestSMTPUnknownAuthMechanism(t *testing.T) {
	t.Parallel()
	server := newScriptedServer(t, map[string]string{"EHLO": "250-mail.test\r\n250 AUTH GSSAPI"})
	failure := send(t, newSMTP(t, "smtp://alice:secret@"+server.addr), render(t, InvitationCreated, testInvitation()))
	require.True(t, failure.Operator)
	require.ErrorIs(t, failure, errNoMechanism)
	require.NotContains(t, server.commands(), "AUTH ")
}

func TestNewSMTP(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]*SMTP{
		"smtp://mail.example.com":                 {host: "mail.example.com", port: "587"},
		"smtps://mail.example.com/":               {host: "mail.example.com", port: "465", encryption: implicitTLS},
		"smtp+insecure://mail_pit":                {host: "mail_pit", port: "587", encryption: noTLS},
		"SMTP://a%40b.c:p%2Fw@mail.example.com:1": {host: "mail.example.com", port: "1", username: "a@b.c", password: "p/w"},
		"smtp://mail_pit:1025":                    {host: "mail_pit", port: "1025"},
		"smtp://[::1]:25":                         {host: "::1", port: "25"},
	} {
		s := newSMTP(t, url)
		require.Equal(t, want.host, s.host)
		require.Equal(t, want.port, s.port)
		require.Equal(t, want.encryption, s.encryption)
		require.Equal(t, want.username, s.username)
		require.Equal(t, want.password, s.password)
	}
	for _, url := range []string{
		"", "mail.example.com", "mail.example.com:587", "http://alice:s3cret@mail.example.com", "smtp://", "smtp://alice:s3cret@",
		"smtp://alice:s3cret#1@mail.example.com", "smtp://alice:1#s3cret@mail.example.com", "smtp://alice:s3cret/1@mail.example.com",
		"smtp://alice:s3cret%zz@mail.example.com", "smtp://alice:s3cret@mail.example.com:0", "smtp://alice:s3cret@mail.example.com:99999",
		"smtp://alice:s3cret@mail.example.com:port", "smtp://alice:s3cret@mail.example.com/inbox", "smtp://alice:s3cret@host?x=1",
		"smtp://alice@mail.example.com", "smtp://:s3cret@mail.example.com", "smtp:alice:s3cret@host", "smtp://alice:s3cret\n@host",
		"smtp://alice:s3cret@mail example.com", "smtp://alice:s3cret@mail.example.com:587,other:587",
	} {
		_, err := NewSMTP(url, fromHeader)
		require.ErrorContains(t, err, "the SMTP URL", url)
		require.ErrorContains(t, err, "smtps://user:password@host:465")
		require.NotContains(t, err.Error(), "s3cret", url)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := NewSMTP("smtp://alice:s3cret@mail.example.com", "nobody")
	require.ErrorContains(t, err, "the sender of mails")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestHELO(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"invite.example.com", "host", "[192.0.2.1]", "[IPv6:2001:db8::1]"} {
		server := newScriptedServer(t, nil)
		s := newSMTP(t, "smtp://"+server.addr)
		require.NoError(t, s.SetHELO(name))
		require.Nil(t, send(t, s, render(t, InvitationCreated, testInvitation())))
		require.Contains(t, server.commands(), "EHLO "+name+"\n")
	}
	s := newSMTP(t, "smtp://mail.example.com")
	for _, name := range []string{"", "my host", "host\r\nRSET", "192.0.2.1:25", "a_b.example", "[host]", "-a.example"} {
		require.ErrorContains(t, s.SetHELO(name), "is neither a host name", name)
	}
}

// A reply may repeat what the client has sent.
func TestLoggedCausesContainNoSecrets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ at, reply, logged string }{
		{"AUTH", "500 5.5.1 unknown command: AUTH PLAIN AGFsaWNlAHNlY3JldA==", "500 5.5.1"},
		{"RCPT", "550 5.1.1 <bob@example.org>: unknown here", "550 5.1.1 … unknown here"},
		{"CONTENT", "451 4.7.1 listed: https://front.example/invitation_approve/v1.abc/ (list 7)", "451 4.7.1 listed: … (list 7)"},
		{"CONTENT", "451 token v1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "451 token …"},
		{"RCPT", "451 " + strings.Repeat("x y ", 1000), "451 x y"},
	} {
		t.Run(test.at+" "+test.reply[:3], func(t *testing.T) {
			t.Parallel()
			server := newScriptedServer(t, map[string]string{test.at: test.reply})
			failure := send(t, newSMTP(t, "smtp://alice:secret@"+server.addr), render(t, InvitationCreated, testInvitation()))
			require.NotNil(t, failure)
			require.Contains(t, failure.Err.Error(), test.logged)
			require.Less(t, len(failure.Err.Error()), 500)
			for _, secret := range []string{"AGFs", "secret", "bob@", "v1.", "AAAA", "approve"} {
				require.NotContains(t, failure.Error(), secret)
			}
		})
	}
}

// The first digit of a reply decides. If another 2yz than 250 were a failure, the mail would be sent twice.
func TestEveryPositiveReplyAccepts(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"200 fine", "251 forwarded", "252 2.0.0 taken"} {
		server := newScriptedServer(t, map[string]string{"CONTENT": reply})
		require.Nil(t, send(t, newSMTP(t, "smtp://"+server.addr), render(t, InvitationCreated, testInvitation())), reply)
	}
}
