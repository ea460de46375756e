package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"os"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"invited/internal/tracing"
)

const (
	dialTimeout  = 10 * time.Second // TCP, and TLS with smtps
	reuseTimeout = 10 * time.Second // for the reply to the first command on a connection that was idle
	quitTimeout  = 2 * time.Second
)

// connection is an SMTP session that carries one message after another. It has one owner at a time, and no lock.
type connection struct {
	conn    *boundedConn // below TLS
	client  *smtp.Client
	unwatch func() bool // stops watch; false if the context has ended, and has closed the connection

	opened     time.Time
	messages   int         // the number of messages begun
	needsReset bool        // the last message failed, and its mail transaction may still be open
	idleTimer  *time.Timer // set while the connection is in the pool
}

// connect opens a connection and performs what the server and the settings need: greeting, TLS, authentication. The
// end of ctx closes the connection. On an error, at is the stage that failed.
func (s *SMTP) connect(ctx context.Context) (c *connection, at stage, err error) {
	ctx, span := tracing.Start(ctx, "SMTP connect") // the greeting, TLS and the login
	defer func() { span.End(failureWord(err)) }()
	c = &connection{opened: time.Now()}
	if at, err = s.open(ctx, c); err != nil {
		c.close()
		return nil, at, err
	}
	if err := s.authenticate(c.client); err != nil {
		c.quit()
		return nil, stageAuth, err
	}
	return c, stageAuth, nil
}

// open performs everything before the authentication. An error may leave the connection open.
func (s *SMTP) open(ctx context.Context, c *connection) (at stage, err error) {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.dialContext(dialing, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return stageDial, err
	}
	c.conn = &boundedConn{Conn: conn, left: maxReplyBytes}
	c.watch(ctx)
	conn = c.conn
	if s.encryption == implicitTLS {
		secure := tls.Client(conn, s.tlsConfig())
		if err := secure.HandshakeContext(dialing); err != nil {
			return stageDial, err
		}
		conn = secure
	}
	if c.client, err = smtp.NewClient(conn, s.host); err != nil {
		return stageGreeting, err
	}
	// All addresses are ASCII here. A message sent with SMTPUTF8 could not pass a server that lacks it (RFC 6531).
	c.client.SkipSMTPUTF8(true)
	if err := c.client.Hello(s.helo); err != nil {
		return stageGreeting, err
	}
	return stageTLS, s.startTLS(c.client)
}

// startTLS performs STARTTLS, where the settings want it. Whoever is between client and server can remove STARTTLS from
// the reply to EHLO, so that only a server on this machine may leave it out.
//
// StartTLS drops the replies that have arrived before TLS, and says EHLO again: replies that somebody has slipped in
// are not taken for the server's.
func (s *SMTP) startTLS(client *smtp.Client) error {
	if s.encryption != startTLS {
		return nil
	}
	if offered, _ := client.Extension("STARTTLS"); offered {
		return client.StartTLS(s.tlsConfig())
	}
	if isLoopback(s.host) {
		return nil
	}
	return errNoSTARTTLS
}

// watch closes the connection when ctx ends. Deadlines for each read are not enough: a server that sends one byte at
// a time would never exceed them.
func (c *connection) watch(ctx context.Context) {
	c.unwatch = context.AfterFunc(ctx, func() { _ = c.conn.Close() })
}

// send performs one mail transaction. On an error, at is the stage that failed.
//
// It does not use Client.Send of go-mail, which adds NOOP and RSET to every message, reports a failure of those after
// the delivery as a failed delivery, and hides replies in strings.
func (c *connection) send(from, recipient string, raw []byte) (at stage, err error) {
	c.conn.left = maxReplyBytes
	var deadline time.Time // none on a new connection, which has just replied
	if c.messages > 0 {
		deadline = time.Now().Add(reuseTimeout)
	}
	c.messages++
	if err := c.conn.SetDeadline(deadline); err != nil {
		return stageMail, err
	}
	if c.needsReset {
		if err := c.client.Reset(); err != nil {
			return stageMail, err
		}
	}
	if err := c.client.Mail("<" + from + ">"); err != nil {
		return stageMail, err
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return stageMail, err
	}
	if err := c.client.Rcpt("<" + recipient + ">"); err != nil {
		return stageRcpt, err
	}
	w, err := c.client.Data()
	if err != nil {
		return stageData, err
	}
	if _, err := w.Write(raw); err != nil {
		return stageContent, err
	}
	err = w.Close()
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= 200 && reply.Code < 300 {
		err = nil // go-mail expects 250, but a client may act on the first digit alone (RFC 5321, section 4.2)
	}
	return stageContentReply, err
}

// isRefusal reports whether err is a refusal of this message alone, after which the connection is as good as before. A
// refusal at MAIL is not, because the sender is the same for all messages; nor is 421, which announces that the server
// closes the connection.
func isRefusal(at stage, err error) bool {
	var reply *textproto.Error
	return at > stageMail && errors.As(err, &reply) && isNegative(reply) && reply.Code != 421
}

// isNegative reports whether a reply is a negative one of RFC 5321: 4yz or 5yz.
func isNegative(reply *textproto.Error) bool { return reply.Code >= 400 && reply.Code < 600 }

// isUsable reports whether an idle connection is still open and the server has sent nothing in the meantime. Anything
// it has sent would be taken for the reply to the next command.
func (c *connection) isUsable() bool {
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	_, err := c.client.Text.R.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// inSync reports whether every reply was read. An unread one would be taken for the reply to the first command of the
// next message.
func (c *connection) inSync() bool { return c.client.Text.R.Buffered() == 0 }

// quit sends QUIT, because some servers penalize clients that don't, waits at most quitTimeout for the reply, and
// closes.
func (c *connection) quit() {
	_ = c.conn.SetDeadline(time.Now().Add(quitTimeout))
	_ = c.client.Quit()
	c.close()
}

// close closes the connection without QUIT. It may be called more than once.
func (c *connection) close() {
	if c.conn != nil { // nil if the dial failed
		_ = c.conn.Close()
		c.unwatch()
	}
}

// maxReplyBytes is the limit of what is read for one message. Replies are held in memory, and a server could send them
// without end.
const maxReplyBytes = 64 << 10

var errReplyLimit = errors.New("the server sent more than 64 KiB of replies for one message")

// boundedConn is a net.Conn from which at most left bytes can be read.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errReplyLimit
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
