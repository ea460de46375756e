//go:build pgbouncer

package systemtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// Two replicas behind PgBouncer do all that they do without it, in each set-up of docs/scaling.md.
func TestPgBouncer(t *testing.T) {
	for _, each := range []struct{ mode, protocol string }{
		{"session", ""},
		{"transaction", "cache_describe"},
		{"transaction", "exec"},
		{"transaction", "simple_protocol"},
	} {
		t.Run(each.mode+" "+each.protocol, func(t *testing.T) {
			f := newFaultCase(harness.New(t, storetest.Engines[1].Fresh(t)), "PgBouncer, "+each.mode+" "+each.protocol)
			pooled := throughPgBouncer(f.env, each.mode, each.protocol).Set("INVITED_SWEEP_INTERVAL=1s")
			pooled.Run(loadDirectory(), "directory", "apply", "-f", "-").OK()
			left, right := pooled.Serve("--migrate=false"), pooled.Serve("--migrate=false")
			f.raceAll(left, right)
			f.verify(20*time.Second, 0)
			f.exec("UPDATE invitations SET reminded = true, created = " + f.sqlAgo(168*time.Hour) + " WHERE state = 'pending'")
			f.waitUntil(20*time.Second, "the expired invitations are swept", func() bool {
				return len(f.column("SELECT uuid FROM invitations WHERE state = 'pending'")) == 0
			})
			f.verify(20*time.Second, 0)
			for _, p := range []*harness.Process{left, right} {
				p.Stop()
				require.NotContains(t, p.Stderr.String(), "level=ERROR")
				require.NotContains(t, p.Stderr.String(), "status=5")
			}
		})
	}
}

// Processes can migrate at the same time in each mode: their lock is a row.
func TestPgBouncerMigrates(t *testing.T) {
	for _, each := range []struct{ mode, protocol string }{{"session", ""}, {"transaction", "exec"}} {
		t.Run(each.mode, func(t *testing.T) {
			env := throughPgBouncer(harness.New(t, storetest.Engines[1].Empty(t)), each.mode, each.protocol)
			verifyMigration(env, env.Start(), env.Start(), env.Start())
		})
	}
}

// throughPgBouncer returns a copy of an Env with PgBouncer before its database. protocol is a default_query_exec_mode of
// pgx; "" for pgx's default.
func throughPgBouncer(env *harness.Env, mode, protocol string) *harness.Env {
	env.T.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // Debian's folder, which is not on every PATH
	}
	database, err := url.Parse(env.Getenv("INVITED_DATABASE_URL"))
	require.NoError(env.T, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(env.T, err)
	address := free.Addr().(*net.TCPAddr)
	require.NoError(env.T, free.Close())
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
	file := filepath.Join(env.T.TempDir(), "pgbouncer.ini")
	require.NoError(env.T, os.WriteFile(file, []byte(settings), 0o600))
	args := []string{file}
	if os.Getuid() == 0 {
		args = []string{"-u", "nobody", file} // PgBouncer refuses to run as root
	}
	cmd, log := exec.Command(program, args...), &harness.Output{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, 5*time.Second
	require.NoError(env.T, cmd.Start())
	env.T.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only where PgBouncer has ended
		_ = cmd.Wait()
		if env.T.Failed() {
			env.T.Logf("log of PgBouncer:\n%s", log.String())
		}
	})
	harness.WaitUntil(env.T, 10*time.Second, "PgBouncer listens", func() bool {
		conn, err := net.DialTimeout("tcp", address.String(), time.Second)
		if err != nil {
			return false
		}
		require.NoError(env.T, conn.Close())
		return true
	}, log.String)
	database.Host = address.String()
	if protocol != "" {
		query := database.Query()
		query.Set("default_query_exec_mode", protocol)
		database.RawQuery = query.Encode()
	}
	return env.With("INVITED_DATABASE_URL=" + database.String())
}
