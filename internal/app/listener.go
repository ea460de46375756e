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
	if err != nil {
		return nil, err
	}
	return contractConn{accepted}, nil
}

type contractConn struct{ net.Conn }

// expectationFailed begins what net/http writes. No handler writes this status, and no body has a line end of this kind.
var expectationFailed = []byte("HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\n")

// Write implements net.Conn.
func (c contractConn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, expectationFailed) || !bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		return c.Conn.Write(p)
	}
	const body = `{"detail":"Only 100-continue can be expected."}` + "\n"
	_, err := fmt.Fprintf(c.Conn, "%sContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n%s",
		expectationFailed, len(body), body)
	return len(p), err
}
