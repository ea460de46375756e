package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"github.com/wneessen/go-mail/smtp"
)

// dialer makes the connection for go-mail and keeps hold of it, because the
// library leaves it open where the greeting, STARTTLS or the login fails, and
// has no way to end a conversation together with a context.
type dialer struct {
	smtp *SMTP

	mu     sync.Mutex
	conn   net.Conn // under TLS where that is implicit
	ready  bool     // as far as go-mail's own part, the greeting
	closed bool
}

// dial ignores the address go-mail would dial: it joins host and port in a way
// that breaks IPv6 literals.
func (d *dialer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := d.smtp.dialContext(ctx, network, net.JoinHostPort(d.smtp.host, d.smtp.port))
	if err != nil {
		return nil, err
	}
	conn = &boundedConn{Conn: conn, left: maxReplies}
	d.hold(conn)
	if d.smtp.implicitTLS {
		secure := tls.Client(conn, d.smtp.tlsConfig())
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	d.mu.Lock()
	d.ready = true
	d.mu.Unlock()
	return conn, nil
}

func (d *dialer) hold(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = conn
	if d.closed {
		_ = conn.Close()
	}
}

func (d *dialer) connected() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ready
}

// quit says good-bye, which some servers hold against those who don't, and
// waits little for the answer.
func (d *dialer) quit(client *smtp.Client) {
	_ = client.UpdateDeadline(quitTimeout)
	_ = client.Quit()
}

func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.conn != nil {
		_ = d.conn.Close()
	}
}

// maxReplies bounds what is read in one conversation. Replies are kept whole in
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
