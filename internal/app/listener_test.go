package app

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// net/http half-closes a connection by CloseWrite, so that a client whose request was not read to its end gets the response.
func TestConnectionsCanCloseWrite(t *testing.T) {
	t.Parallel()
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := contractListener{plain}
	defer func() { _ = listener.Close() }()
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	require.NoError(t, client.SetDeadline(time.Now().Add(20*time.Second)))
	server, err := listener.Accept()
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	half, ok := server.(interface{ CloseWrite() error })
	require.True(t, ok)
	_, err = io.WriteString(server, "answer")
	require.NoError(t, err)
	require.NoError(t, half.CloseWrite())
	answer, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer))
}
