//go:build pgbouncer

package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
)

// Two replicas with PgBouncer before the database do all that they do without it, in each of the set-ups of
// docs/scaling.md.
func TestPgBouncer(t *testing.T) {
	for _, each := range []struct{ mode, protocol string }{
		{"session", ""},
		{"transaction", "cache_describe"},
		{"transaction", "exec"},
		{"transaction", "simple_protocol"},
	} {
		t.Run(each.mode+" "+each.protocol, func(t *testing.T) {
			x := newSite(t, storetest.Engines[1].Fresh(t)).trial("PgBouncer, " + each.mode + " " + each.protocol)
			via := x.s.pooled(each.mode, each.protocol).set("INVITED_SWEEP_INTERVAL=1s")
			via.run(loadPeople(), "directory", "apply", "-f", "-").ok()
			left, right := via.serve("--migrate=false"), via.serve("--migrate=false")
			x.crowded(left, right)
			x.judge(20*time.Second, 0)
			x.exec("UPDATE invitations SET reminded = true, created = " + x.ago(168*time.Hour) + " WHERE state = 'pending'")
			x.until(20*time.Second, "what is over is swept", func() bool {
				return len(x.rows("SELECT uuid FROM invitations WHERE state = 'pending'")) == 0
			})
			x.judge(20*time.Second, 0)
			for _, p := range []*served{left, right} {
				p.stop()
				require.NotContains(t, p.stderr.String(), "level=ERROR")
				require.NotContains(t, p.stderr.String(), "status=5")
			}
		})
	}
}

// In session mode the lock of those who migrate is theirs, as without a pooler.
func TestPgBouncerMigrates(t *testing.T) {
	s := newSite(t, storetest.Engines[1].Empty(t)).pooled("session", "")
	s.migratedAllTheSame(s.start(), s.start(), s.start())
}

// pooled is the site with PgBouncer before its database, and pgx's way to send queries; "" is its own.
func (s *site) pooled(mode, protocol string) *site {
	s.t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // where Debian has it, which is not on everybody's path
	}
	var database *url.URL
	for _, each := range s.environ {
		if address, ok := strings.CutPrefix(each, "INVITED_DATABASE_URL="); ok {
			database, err = url.Parse(address)
			require.NoError(s.t, err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	address := free.Addr().(*net.TCPAddr)
	require.NoError(s.t, free.Close())
	password, _ := database.User.Password()
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = 60
`, database.Hostname(), database.Port(), database.User.Username(), password, address.Port, mode)
	file := filepath.Join(s.t.TempDir(), "pgbouncer.ini")
	require.NoError(s.t, os.WriteFile(file, []byte(settings), 0o600))
	args := []string{file}
	if os.Getuid() == 0 {
		args = []string{"-u", "nobody", file} // it does not run as root
	}
	cmd, said := exec.Command(program, args...), &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only where it has ended
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("log of PgBouncer:\n%s", said.String())
		}
	})
	deadline := time.Now().Add(10 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		conn, err := net.Dial("tcp", address.String())
		if err == nil {
			require.NoError(s.t, conn.Close())
			break
		}
		require.True(s.t, time.Now().Before(deadline), said.String())
	}
	database.Host = address.String()
	if protocol != "" {
		query := database.Query()
		query.Set("default_query_exec_mode", protocol)
		database.RawQuery = query.Encode()
	}
	return s.with("INVITED_DATABASE_URL=" + database.String())
}
