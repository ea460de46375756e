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
)

const (
	dialTimeout = 10 * time.Second
	wakeTimeout = 10 * time.Second // for a connection that has waited to answer
	quitTimeout = 2 * time.Second
)

// connection is a conversation with the mail server that one message after
// another goes through. It has one owner at a time, and no lock.
type connection struct {
	wire    *boundedConn // below TLS
	client  *smtp.Client
	unwatch func() bool // false where the context has ended, and with it the connection

	opened   time.Time
	messages int         // that were begun on it
	refused  bool        // the last one was, and its envelope may still lie open
	expiry   *time.Timer // the pool's, while it waits there
}

// open makes a connection as far as the server and the settings want it:
// greeting, TLS, login. It is watched by ctx. On an error, at says how far it
// came.
func (s *SMTP) open(ctx context.Context) (c *connection, at stage, err error) {
	c = &connection{opened: time.Now()}
	// The address go-mail would dial is ignored: it joins host and port in a way
	// that breaks IPv6 literals.
	library, err := s.client(func(dialing context.Context, network, _ string) (net.Conn, error) {
		dialing, cancel := context.WithTimeout(dialing, dialTimeout)
		defer cancel()
		conn, err := s.dialContext(dialing, network, net.JoinHostPort(s.host, s.port))
		if err != nil {
			return nil, err
		}
		c.wire = &boundedConn{Conn: conn, left: maxReplies}
		c.watch(ctx)
		conn = c.wire
		if s.implicitTLS {
			secure := tls.Client(conn, s.tlsConfig())
			if err := secure.HandshakeContext(dialing); err != nil {
				return nil, err
			}
			conn = secure
		}
		at = stageGreeting
		return conn, nil
	})
	if err == nil {
		c.client, err = library.DialToSMTPClientWithContext(ctx)
	}
	if err != nil {
		c.close() // go-mail leaves it open where greeting or STARTTLS fail
		return nil, at, err
	}
	if err := s.login(c.client); err != nil {
		c.quit()
		return nil, stageLogin, err
	}
	return c, stageLogin, nil
}

// watch has the end of ctx close the connection: a deadline for each read would
// let a server that answers a byte at a time hold on forever.
func (c *connection) watch(ctx context.Context) {
	c.unwatch = context.AfterFunc(ctx, func() { _ = c.wire.Close() })
}

// send goes through one message and says how far it came. It speaks the envelope
// itself, where go-mail's Client.Send would, because that one adds NOOP and RSET
// to every message, reports their failure after a delivered message as a failed
// one, and hides replies in strings.
func (c *connection) send(from, recipient string, raw []byte) (at stage, err error) {
	c.wire.left = maxReplies
	var wake time.Time // none on a new connection, which has just answered
	if c.messages > 0 {
		wake = time.Now().Add(wakeTimeout)
	}
	c.messages++
	if err := c.wire.SetDeadline(wake); err != nil {
		return stageSender, err
	}
	if c.refused {
		if err := c.client.Reset(); err != nil {
			return stageSender, err
		}
	}
	if err := c.client.Mail("<" + from + ">"); err != nil {
		return stageSender, err
	}
	if err := c.wire.SetDeadline(time.Time{}); err != nil {
		return stageSender, err
	}
	if err := c.client.Rcpt("<" + recipient + ">"); err != nil {
		return stageRecipient, err
	}
	w, err := c.client.Data()
	if err != nil {
		return stageData, err
	}
	if _, err := w.Write(raw); err != nil {
		return stageInFlight, err
	}
	err = w.Close()
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= 200 && reply.Code < 300 {
		err = nil // a yes by its first digit, by which a client may go (RFC 5321, section 4.2)
	}
	return stageContent, err
}

// isRefusal is whether an error is an answer to this very message, after which
// the conversation is as good as before. At the sender, which is the same for
// all messages, and with 421 the server is tired of the conversation.
func isRefusal(at stage, err error) bool {
	var reply *textproto.Error
	return at > stageSender && errors.As(err, &reply) && isNegative(reply) && reply.Code != 421
}

// isNegative is whether a reply is one of RFC 5321's ways to say no.
func isNegative(reply *textproto.Error) bool { return reply.Code >= 400 && reply.Code < 600 }

// isQuiet is whether a connection that has waited still stands, and nothing has come meanwhile that would be taken for
// the answer to the next command.
func (c *connection) isQuiet() bool {
	if err := c.wire.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	_, err := c.client.Text.R.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// inStep is whether the server has said no more than it was asked. What lies
// unread would be taken for the answer to the next message's first command.
func (c *connection) inStep() bool { return c.client.Text.R.Buffered() == 0 }

// quit says good-bye, which some servers hold against those who don't, waits
// little for the answer, and closes.
func (c *connection) quit() {
	_ = c.wire.SetDeadline(time.Now().Add(quitTimeout))
	_ = c.client.Quit()
	c.close()
}

func (c *connection) close() {
	if c.wire != nil { // else the dial failed
		_ = c.wire.Close()
		c.unwatch()
	}
}

// abandon closes a connection that nothing watches.
func (c *connection) abandon() { _ = c.wire.Close() }

// maxReplies bounds what is read for one message. Replies are kept whole in
// memory, and a server could send them without end.
const maxReplies = 1 << 20

var errTooMuch = errors.New("the server sent more than any conversation needs")

type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
