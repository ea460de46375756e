package systemtest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// A server that shuts down reports that it is not ready, serves for INVITED_SHUTDOWN_DELAY, and closes each connection after a
// response rather than in the middle of a request.
func TestShutdownDelay(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		p := env.Apply().Set("INVITED_SHUTDOWN_DELAY=1h").Serve()
		conn, err := net.Dial("tcp", p.Address)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		reader := bufio.NewReader(conn)
		get := func() *http.Response {
			_, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", p.Address)
			require.NoError(t, err)
			response, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode)
			return response
		}
		require.False(t, get().Close)
		p.Do("GET", "/readyz", "", "").Is(http.StatusOK)

		p.Signal(syscall.SIGTERM)
		p.WaitUntil("it is not ready", func() bool { return p.Do("GET", "/readyz", "", "").Status == http.StatusServiceUnavailable })
		require.Contains(t, p.Do("GET", "/readyz", "", "").Body, `"shutdown":"failed"`)
		p.Create("late@university.example")
		require.True(t, get().Close, "the open connection ends with the next response")

		p.Signal(syscall.SIGTERM)
		p.WaitExitCode(0)
	})
}

// A server without a delay ends at once; one with a delay ends when the delay is over.
func TestShutdownTakesNoLongerThanDelay(t *testing.T) {
	t.Parallel()
	harness.New(t, "").Serve().Stop()
	p := harness.New(t, "").Set("INVITED_SHUTDOWN_DELAY=500ms").Serve()
	start := time.Now()
	p.Stop()
	require.GreaterOrEqual(t, time.Since(start), 500*time.Millisecond)
}
