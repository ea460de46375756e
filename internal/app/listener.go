package app

import (
	"bytes"
	"fmt"
	"net"
)

// contractListener gives its connections the response of the contract to an Expect header that asks for something else than
// 100-continue. net/http refuses such a request by itself, without a body, before any handler sees it.
type contractListener struct{ net.Listener }

// Accept implements net.Listener.
func (l contractListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if tcp, ok := accepted.(*net.TCPConn); ok {
		return contractConn{tcp}, nil
	}
	return accepted, err
}

// contractConn has the other methods of a TCP connection too: net/http uses CloseWrite to let a client read the response to a
// request of which the server did not read everything.
type contractConn struct{ *net.TCPConn }

// expectationFailed begins what net/http writes. No handler writes this status, and no body has a line end of this kind.
var expectationFailed = []byte("HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\n")

// Write implements net.Conn.
func (c contractConn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, expectationFailed) || !bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		return c.TCPConn.Write(p)
	}
	const body = `{"detail":"Only 100-continue can be expected."}` + "\n"
	_, err := fmt.Fprintf(c.TCPConn, "%sContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n%s",
		expectationFailed, len(body), body)
	return len(p), err
}
