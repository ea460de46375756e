package database_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/storetest"
)

// relay is a host that passes on what it gets to the server of the tests until it hangs: then it takes connections and
// answers nothing, as a machine whose disk has gone.
type relay struct {
	address string
	mu      sync.Mutex // held while it hangs
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{address: listener.Addr().String()}
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(client, server)
		}
	}()
	return r
}

func (r *relay) pass(client net.Conn, server string) {
	defer func() { _ = client.Close() }()
	upstream, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Close() }()
	go func() {
		_, _ = io.Copy(client, upstream)
		_ = client.Close()
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		r.mu.Lock()
		r.mu.Unlock() //nolint:staticcheck // waits while the relay hangs
		if err != nil {
			return
		}
		if _, err := upstream.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// Of two hosts in the URL the first one begins to hang. Idle connections to it are given up, and new ones go to the second.
func TestHostHangs(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(storetest.Engines[1].Empty(t))
	require.NoError(t, err)
	server := address.Host
	first := newRelay(t, server)
	address.Host = first.address + "," + server
	db, err := database.Open(database.Options{Postgres: address.String()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Ping(t.Context()))

	first.mu.Lock()
	defer first.mu.Unlock()
	waiting, cancel := context.WithTimeout(t.Context(), 12*time.Second) // more than pingTimeout and connectTimeout
	defer cancel()
	<-time.After(1100 * time.Millisecond) // a connection that was idle for a second is asked before it is used
	require.NoError(t, db.Ping(waiting))
}
