package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server that leaves says so, serves for the while that it was given, and ends connections without cutting them off.
func TestLeaving(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		p := s.apply().set("INVITED_SHUTDOWN_DELAY=1h").serve()
		kept, err := net.Dial("tcp", p.address)
		require.NoError(t, err)
		defer func() { _ = kept.Close() }()
		reader := bufio.NewReader(kept)
		ask := func() *http.Response {
			_, err := fmt.Fprintf(kept, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", p.address)
			require.NoError(t, err)
			response, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode)
			return response
		}
		require.False(t, ask().Close)
		p.ask("GET", "/readyz", "", "").is(http.StatusOK)

		p.signal(syscall.SIGTERM)
		p.until("it is not ready", func() bool { return p.ask("GET", "/readyz", "", "").status == http.StatusServiceUnavailable })
		require.Contains(t, p.ask("GET", "/readyz", "", "").body, `"shutdown":"failed"`)
		p.create("late@university.example")
		require.True(t, ask().Close, "the connection that was there all the time ends with the next answer")

		p.signal(syscall.SIGTERM)
		p.end(0)
	})
}

// Without a delay a server ends at once, and so it does when the delay is over.
func TestLeavingTakesNoLongerThanTheDelay(t *testing.T) {
	t.Parallel()
	newSite(t, "").serve().stop()
	p := newSite(t, "").set("INVITED_SHUTDOWN_DELAY=500ms").serve()
	begun := time.Now()
	p.stop()
	require.GreaterOrEqual(t, time.Since(begun), 500*time.Millisecond)
}
