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
	"gorm.io/gorm"

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

// openTwoHosts opens a database whose URL has two hosts: the relay, and the server of the tests. The pool for requests has two
// connections.
func openTwoHosts(t *testing.T) (*database.DB, *relay) {
	t.Helper()
	address, err := url.Parse(storetest.Engines[1].Empty(t))
	require.NoError(t, err)
	server := address.Host
	first := newRelay(t, server)
	address.Host = first.address + "," + server
	query := address.Query()
	query.Set("pool_max_conns", "3")
	address.RawQuery = query.Encode()
	db, err := database.Open(database.Options{Postgres: address.String()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	sleepTwice(t, db, time.Minute, func(err error) { require.NoError(t, err) }) // both connections are at the relay
	return db, first
}

// sleepTwice uses both connections at once for a tenth of a second.
func sleepTwice(t *testing.T, db *database.DB, limit time.Duration, check func(error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var all sync.WaitGroup
	var errs [2]error
	for i := range errs {
		all.Go(func() {
			errs[i] = db.Read(ctx, func(tx *gorm.DB, _ time.Time) error {
				var nothing string
				return tx.Raw("SELECT pg_sleep(0.1)::text").Scan(&nothing).Error
			})
		})
	}
	all.Wait()
	for _, err := range errs {
		check(err)
	}
}

// recoverLimit is more than a connection to a host that hangs takes to be given up, and the next one to fail.
const recoverLimit = 16 * time.Second

// The first host begins to hang. Idle connections to it are given up, and new ones go to the second host.
func TestHostHangsWhileIdle(t *testing.T) {
	t.Parallel()
	db, first := openTwoHosts(t)
	first.mu.Lock()
	defer first.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), recoverLimit)
	defer cancel()
	time.Sleep(1100 * time.Millisecond) //nolint:forbidigo // only a connection that was idle for a second is asked before it is used
	require.NoError(t, db.Ping(ctx))
}

// The first host hangs with a statement in each connection. Their places in the pool are free soon after the statements' time
// is up.
func TestHostHangsWithStatements(t *testing.T) {
	t.Parallel()
	db, first := openTwoHosts(t)
	first.mu.Lock()
	defer first.mu.Unlock()
	sleepTwice(t, db, 500*time.Millisecond, func(err error) { require.ErrorIs(t, err, context.DeadlineExceeded) })
	ctx, cancel := context.WithTimeout(t.Context(), recoverLimit)
	defer cancel()
	require.NoError(t, db.Ping(ctx))
}
