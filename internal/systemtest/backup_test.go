package systemtest

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/storetest/postgres"
	"invited/internal/systemtest/harness"
)

// A dump of a running server's database is restored into another one, and a server goes on there: everything is there, and
// of the mails only those come again that were in the queue of the dump.
func TestPostgresDumpAndRestore(t *testing.T) {
	t.Parallel()
	recorder := harness.NewSMTPRecorder(t)
	env := harness.New(t, storetest.Engines[1].Fresh(t)).Apply().Set("INVITED_SMTP_URL=" + recorder.URL)
	p := env.Serve()
	accepted, pending := p.Create("ina@university.example").UUID, p.Create("pending@university.example").UUID
	p.WaitDelivered(accepted)
	p.WaitDelivered(pending)
	p.Do("POST", harness.InvitationsPath+accepted+"/accept/", "ina", "").Is(http.StatusOK)
	recorder.SetReply(func(stage, _ string) string {
		if stage == "RCPT" {
			return "451 later"
		}
		return ""
	})
	queued := p.Create("queued@university.example").UUID
	p.WaitLog("451 later")

	dump := filepath.Join(t.TempDir(), "invited.dump")
	runPostgres(t, "pg_dump", "--format=custom", "--no-owner", "--file="+dump, env.Getenv("INVITED_DATABASE_URL"))
	before := tableSums(env)
	recorder.SetReply(nil)
	waitRetried(p, queued)
	missing := p.Create("missing@university.example").UUID
	p.WaitDelivered(missing)
	p.Stop()

	restored := env.With("INVITED_DATABASE_URL=" + storetest.Engines[1].Empty(t))
	runPostgres(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+restored.Getenv("INVITED_DATABASE_URL"), dump)
	require.Equal(t, before, tableSums(restored))
	p = restored.Serve()
	waitRetried(p, queued)
	require.Equal(t, "accepted", p.Get(accepted).State)
	require.Equal(t, []string{"ina PROJECT.ADMIN"}, restored.Members("Apollo"))
	p.Do("GET", harness.InvitationsPath+missing+"/", "sam", "").Is(http.StatusNotFound)
	p.WaitDelivered(p.Create("next@university.example").UUID)
	p.Stop()
	copies := recorder.Copies()
	for id, count := range map[string]int{accepted: 1, pending: 1, queued: 2, missing: 1} {
		require.Equal(t, count, copies[id+".0@localhost"], id)
	}
}

// waitRetried waits until an invitation is delivered whose first delivery failed: the next one is ten seconds later or more.
func waitRetried(p *harness.Process, uuid string) {
	p.T.Helper()
	harness.WaitUntil(p.T, time.Minute, "the invitation is delivered", func() bool { return p.Get(uuid).ExecutionState == "OK" }, nil)
}

// runPostgres runs one of PostgreSQL's programs, from the folder of the server's or from the PATH.
func runPostgres(t *testing.T, name string, args ...string) {
	t.Helper()
	path := filepath.Join(postgres.Find(t.Context()), name)
	if _, err := exec.LookPath(path); err != nil {
		path = name
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// tableSums returns a checksum of the rows of each table but the queue's, which changes by itself.
func tableSums(env *harness.Env) map[string]string {
	env.T.Helper()
	db, sums := env.DB(), map[string]string{}
	var names string
	require.NoError(env.T, db.QueryRow(`SELECT string_agg(tablename, ' ') FROM pg_tables
		WHERE schemaname = 'public' AND tablename NOT LIKE 'river%'`).Scan(&names))
	for _, name := range strings.Fields(names) {
		var sum string
		require.NoError(env.T, db.QueryRow(`SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '')
			FROM `+name+` t`).Scan(&sum))
		sums[name] = sum
	}
	require.Greater(env.T, len(sums), 10)
	return sums
}
