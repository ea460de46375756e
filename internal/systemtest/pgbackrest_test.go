//go:build failover

package systemtest

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest/postgres"
	"invited/internal/systemtest/harness"
)

// A database is set back to the moment before an accident with pgBackRest, from a backup of the running server and the log that
// was archived since. A server goes on there, and mails nothing again that was sent before that moment.
func TestPgBackRest(t *testing.T) {
	bin, err := postgres.Ensure(t.Context(), t.Logf)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "invited-pgbackrest-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	own(t, dir)
	config := filepath.Join(dir, "pgbackrest.conf")
	server, err := postgres.New(t.Context(), bin, "synchronous_commit=on", "full_page_writes=on", "unix_socket_directories="+dir,
		"archive_mode=on", "archive_command=pgbackrest --config="+config+" --stanza=invited archive-push %p")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })

	recorder := harness.NewSMTPRecorder(t)
	env := harness.New(t, server.URL)
	env.Run("", "migrate", "up").OK()
	env.Apply().Set("INVITED_SMTP_URL=" + recorder.URL)
	db := env.DB()
	ask := func(query string) (answer string) {
		require.NoError(t, db.QueryRow(query).Scan(&answer))
		return answer
	}
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, pgbackrestConfig, dir, ask("SHOW data_directory"), address.Port(),
		address.User.Username()), 0o600))
	own(t, config)
	password, _ := address.User.Password()
	pgbackrest := func(args ...string) {
		t.Helper()
		args = plain(append([]string{"pgbackrest", "--config=" + config, "--stanza=invited"}, args...)...)
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PGPASSWORD="+password)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}

	pgbackrest("stanza-create")
	p := env.Serve()
	backed := p.Create("backed@university.example").UUID
	p.WaitDelivered(backed)
	pgbackrest("backup")
	logged := p.Create("logged@university.example").UUID
	p.WaitDelivered(logged)
	p.WaitUntil("the job is recorded", func() bool {
		return ask("SELECT count(*)::text FROM river_job WHERE kind = 'deliver_invitation' AND state <> 'completed'") == "0"
	})
	moment := ask("SELECT now()::text")
	later := p.Create("later@university.example").UUID
	p.WaitDelivered(later)
	_, err = db.Exec("DELETE FROM invitations")
	require.NoError(t, err)
	segment := ask("SELECT pg_walfile_name(pg_switch_wal())")
	p.WaitUntil("the log is archived", func() bool {
		return ask("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") >= segment
	})
	p.Stop()

	server.Stop(postgres.Fast)
	start := time.Now()
	pgbackrest("restore", "--delta", "--type=time", "--target="+moment, "--target-action=promote")
	require.NoError(t, server.Start(t.Context()))
	db = env.DB() // the earlier connections are broken
	harness.WaitUntil(t, time.Minute, "the database is recovered", func() bool {
		return ask("SELECT pg_is_in_recovery()::text") == "false"
	}, nil)
	t.Logf("restored after %s", time.Since(start).Round(100*time.Millisecond))
	p = env.Serve()
	for _, id := range []string{backed, logged} {
		require.Equal(t, "OK", p.Get(id).ExecutionState)
	}
	p.Do("GET", harness.InvitationsPath+later+"/", "sam", "").Is(http.StatusNotFound)
	next := p.Create("next@university.example").UUID
	p.WaitDelivered(next)
	for _, id := range []string{backed, logged, later, next} {
		require.Equal(t, 1, recorder.Copies()[id+".0@localhost"], id)
	}
	p.Stop()
}

const pgbackrestConfig = `[global]
repo1-path=%[1]s/repository
log-path=%[1]s
lock-path=%[1]s
spool-path=%[1]s
start-fast=y
[invited]
pg1-path=%[2]s
pg1-socket-path=%[1]s
pg1-port=%[3]s
pg1-user=%[4]s
`
