package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/config"
	"invited/internal/directory"
	"invited/internal/storetest"
)

// exchange sends a request as text, half-closes the connection where half says so, and returns the whole response.
func exchange(t *testing.T, address, request string, half bool) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	if half {
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	}
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(answer)
}

// Who closes their side of the connection after a whole request gets the answer. A request that expects what no server does is
// answered in the shape of the contract.
func TestAnswersToOddConnections(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Fresh(t)
		db := storetest.Open(t, address, nil)
		require.NoError(t, db.FileStore().Write(t.Context(), func(tx directory.FileTx) error {
			return tx.SaveUsers([]directory.User{{UUID: uuid.New(), Username: "olivia", IsActive: true}})
		}))
		key, err := directory.IssueToken(t.Context(), db.FileStore(), "olivia", 0, "")
		require.NoError(t, err)
		c, err := config.Load([]string{
			"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_DATABASE_URL=" + address, "INVITED_WORKERS=false",
			"INVITED_MAIL_DIR=" + filepath.Join(t.TempDir(), "mail"), "INVITED_SECRET_KEY=" + strings.Repeat("k", 40),
		})
		require.NoError(t, err)
		var log bytes.Buffer
		a := New(c, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, a.Start(t.Context()))
		head := "Host: x\r\nConnection: close\r\nAuthorization: Token " + key + "\r\n"
		for range 20 { // a server that gives up does so by chance
			answer := exchange(t, a.Addr().String(), "GET /api/users/me/ HTTP/1.1\r\n"+head+"\r\n", true)
			require.True(t, strings.HasPrefix(answer, "HTTP/1.1 200 "), answer)
			require.Contains(t, answer, "olivia")
		}
		answer := exchange(t, a.Addr().String(), "GET /api/users/me/ HTTP/1.1\r\n"+head+"Expect: x\r\n\r\n", false)
		require.True(t, strings.HasPrefix(answer, "HTTP/1.1 417 "), answer)
		require.Contains(t, answer, "Content-Type: application/json\r\n")
		_, body, _ := strings.Cut(answer, "\r\n\r\n")
		var detail struct{ Detail string }
		require.NoError(t, json.Unmarshal([]byte(body), &detail))
		require.NotEmpty(t, detail.Detail)
		require.NoError(t, a.Close())
		require.Regexp(t, `took_ms=[0-9.]+ `, log.String())
		require.NotContains(t, log.String(), " took=")
	})
}

// A server that is told to stop while it starts ends in good order.
func TestStoppedWhileStarting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	dir := t.TempDir()
	p := Process{Stdout: &stdout, Stderr: &stderr, Environ: []string{
		"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_DATABASE_URL=sqlite://" + filepath.Join(dir, "invited.db"), "INVITED_MAIL_DIR=" + filepath.Join(dir, "mail"),
	}}
	require.Zero(t, p.Run(ctx, []string{"serve"}), stderr.String())
	require.NotContains(t, stderr.String(), "context canceled")
	require.NotContains(t, stderr.String(), "failed")
}

// The flag prints what the command prints.
func TestVersionFlag(t *testing.T) {
	t.Parallel()
	var flag, command bytes.Buffer
	require.Zero(t, Process{Stdout: &flag, Stderr: io.Discard}.Run(t.Context(), []string{"--version"}))
	require.Zero(t, Process{Stdout: &command, Stderr: io.Discard}.Run(t.Context(), []string{"version"}))
	require.Equal(t, command.String(), flag.String())
}
