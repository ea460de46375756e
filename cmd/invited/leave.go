package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// A door is where requests come in. It is closed in two steps, since whoever sends them learns only with time that they
// should go elsewhere.
type door struct {
	*net.TCPListener
	leaving atomic.Bool
}

// errLeaving is what /readyz has against a server that is about to end.
var errLeaving = errors.New("the server is shutting down")

// leave has readiness fail, and returns after the delay, or with the next signal: who sends two is in a hurry.
func (d *door) leave(delay time.Duration) {
	hurry, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d.leaving.Store(true)
	select {
	case <-time.After(delay):
	case <-hurry.Done():
	}
}

// ushered ends each connection with the next answer on it once the server is leaving. Not SetKeepAlivesEnabled(false),
// which cuts off those that are idle, and with them a request that is on its way.
func (d *door) ushered(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}

// shut makes Accept return the connections that wait, and then close the door.
func (d *door) shut() error { return d.SetDeadline(time.Unix(1, 0)) }

// Accept leaves nobody standing outside: the kernel makes connections by itself, and resets those that were not accepted
// when the listener is closed, along with the requests that they carry already.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.TCPListener.Accept()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return conn, err
	}
	conn, err = d.waiting()
	if errors.Is(err, syscall.EAGAIN) { // nobody
		return nil, errors.Join(net.ErrClosed, d.Close())
	}
	return conn, err
}

// waiting is a connection that waits to be accepted. Past its deadline the listener itself would not look.
func (d *door) waiting() (net.Conn, error) {
	raw, err := d.SyscallConn()
	if err != nil {
		return nil, err
	}
	var descriptor int
	var refused error
	if err := raw.Control(func(listener uintptr) {
		for refused = syscall.EINTR; refused == syscall.EINTR || refused == syscall.ECONNABORTED; {
			descriptor, _, refused = syscall.Accept(int(listener))
		}
	}); err != nil || refused != nil {
		return nil, errors.Join(err, refused)
	}
	file := os.NewFile(uintptr(descriptor), "connection")
	defer func() { _ = file.Close() }() // FileConn has one of its own
	return net.FileConn(file)
}
