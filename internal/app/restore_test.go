package app_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// A server is lost after a backup. What the backup knows as sent is not sent again; what it knows as waiting is for the operator
// to decide.
func TestRestore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		flag   string
		copies int // of the mail that was waiting when the backup was made
	}{{"--discard", 1}, {"", 2}} {
		t.Run("release "+test.flag, func(t *testing.T) {
			t.Parallel()
			recorder := harness.NewSMTPRecorder(t)
			env := setup(t, storetest.Engines[0].Fresh(t)).Apply().Set("INVITED_SMTP_URL="+recorder.URL, "INVITED_SWEEP_INTERVAL=1s")
			p := env.Serve()
			sent := p.Create("sent@university.example").UUID
			p.WaitDelivered(sent)
			waitForJobs(p, env, 0)
			recorder.SetReply(func(stage, about string) string {
				if stage == "RCPT" && strings.Contains(about, "waiting@") {
					return "451 4.3.0 later"
				}
				return ""
			})
			waiting := p.Create("waiting@university.example").UUID
			p.WaitUntil("it failed", func() bool { return p.Get(waiting).ExecutionState == "Erred" })
			waitForJobs(p, env, 1)
			env.Run("", "backup", "copy.db").OK()
			recorder.SetReply(nil)
			p.Do("POST", harness.InvitationsPath+waiting+"/send/", "olivia", "").Is(200)
			p.WaitDelivered(waiting)
			lost := p.Create("lost@university.example").UUID
			p.WaitDelivered(lost)
			require.Len(t, recorder.Mails(), 3)

			env.Run("", "restore", "copy.db").Fails("invited.db open", "stop it")
			p.Kill() // the log stays beside the database
			require.FileExists(t, databasePath(env)+"-wal")
			output := env.Run("", "restore", "copy.db").OK()
			require.Contains(t, output, "invited.db is restored from copy.db.\n")
			require.Contains(t, output, "Waiting: 1 job,")
			require.Contains(t, output, "INVITED_SECRET_KEY")
			kept := requireKept(t, env, output)
			old := env.With("INVITED_DATABASE_URL=sqlite://" + kept)
			require.Contains(t, old.Run("", "jobs").OK(), "not held")
			require.Equal(t, 1, count(old, "SELECT count(*) FROM invitations WHERE email = 'lost@university.example'"), "the log is in it")

			p = env.Serve()
			p.WaitLog("deliveries are held")
			waitForSweeps(p, env)
			require.Len(t, recorder.Mails(), 3)
			require.Equal(t, "OK", p.Get(sent).ExecutionState)
			p.Do("GET", harness.InvitationsPath+lost+"/", "sam", "").Is(404)
			require.Contains(t, env.Run("", "jobs", "list").OK(), waiting)
			args := []string{"jobs", "release"}
			if test.flag != "" {
				args = append(args, test.flag)
			}
			require.Contains(t, env.Run("", args...).OK(), "released")
			p.WaitDelivered(p.Create("next@university.example").UUID)
			if test.copies == 2 {
				p.WaitDelivered(waiting)
			}
			copies := map[string]int{}
			for _, mail := range recorder.Mails() {
				copies[mail.To]++
			}
			require.Equal(t, map[string]int{
				"sent@university.example": 1, "waiting@university.example": test.copies, "lost@university.example": 1, "next@university.example": 1,
			}, copies)
			p.Stop()
		})
	}
}

// waitForJobs waits until a number of jobs besides the sweeps are not done, and none of them runs.
func waitForJobs(p *harness.Process, env *harness.Env, number int) {
	p.T.Helper()
	const waiting = "SELECT count(*) FROM river_job WHERE kind <> 'sweep' AND state NOT IN ('completed', 'cancelled')"
	p.WaitUntil("the jobs are recorded", func() bool {
		return count(env, waiting) == number && count(env, waiting+" AND state = 'running'") == 0
	})
}

// requireKept returns the path of the database that a restore has kept.
func requireKept(t *testing.T, env *harness.Env, output string) string {
	t.Helper()
	_, after, found := strings.Cut(output, "is kept: ")
	require.True(t, found, output)
	path, _, _ := strings.Cut(after, "\n")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, filepath.Dir(databasePath(env)), filepath.Dir(path))
	files, err := filepath.Glob(databasePath(env) + "*-*")
	require.NoError(t, err)
	require.Equal(t, []string{path}, files, "no log is left beside the database, nor beside the kept one")
	return path
}

func databasePath(env *harness.Env) string {
	path := strings.TrimPrefix(env.Getenv("INVITED_DATABASE_URL"), "sqlite://")
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(env.Dir, path)
}

// A server that only serves requests, and has none, has the database open all the same.
func TestRestoreBesideAnIdleServer(t *testing.T) {
	t.Parallel()
	env := setup(t, storetest.Engines[0].Fresh(t))
	env.Run("", "backup", "copy.db").OK()
	p := env.Set("INVITED_WORKERS=false").Serve()
	env.Run("", "restore", "copy.db").Fails("stop it")
	p.Stop()
	require.Contains(t, env.Run("", "restore", "copy.db").OK(), "restored")
}

// A file that a server could not go on from is refused, and the database stays as it is.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	env := setup(t, "sqlite://data/invited.db").Apply()
	env.Run("", "backup", "copy.db").OK()
	write := func(name string, change func([]byte) []byte) {
		content, err := os.ReadFile(filepath.Join(env.Dir, "copy.db"))
		require.NoError(t, err)
		env.WriteFile(name, string(change(content)))
	}
	execute := func(name, statement string) {
		write(name, func(content []byte) []byte { return content })
		db, err := sql.Open("sqlite3", "file:"+filepath.Join(env.Dir, name))
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	write("empty.db", func([]byte) []byte { return nil })
	write("text.db", func([]byte) []byte { return []byte(strings.Repeat("no database\n", 1000)) })
	write("short.db", func(content []byte) []byte { return content[:len(content)/2] })
	write("damaged.db", func(content []byte) []byte {
		for i := len(content) / 4; i < len(content)/2; i++ {
			content[i] ^= 0x55
		}
		return content
	})
	execute("newer.db", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	execute("other.db", "DROP TABLE invitation_events; DROP TABLE invitations")
	before := env.Run("", "directory", "export").OK()
	for name, word := range map[string]string{
		"nowhere.db": "nowhere.db", "empty.db": "not a database of this program", "text.db": "damaged, or is no SQLite database",
		"short.db": "damaged", "damaged.db": "damaged", "newer.db": "a newer version", "other.db": "not a database of this program",
		".": "not a file", "data/invited.db": "is the database itself",
	} {
		env.Run("", "restore", name).Fails(name, word)
	}
	require.Equal(t, before, env.Run("", "directory", "export").OK())
	files, err := filepath.Glob(filepath.Join(env.Dir, "data", "*restoring*"))
	require.NoError(t, err)
	require.Empty(t, files)
	require.Equal(t, 2, env.Run("", "restore").Code)
	setup(t, storetest.Engines[1].Fresh(t)).Run("", "restore", "copy.db").Fails("pg_restore")
}

// Restoring is for when the database is gone or damaged.
func TestRestoreWithoutADatabase(t *testing.T) {
	t.Parallel()
	env := setup(t, "sqlite://data/invited.db").Apply().Set("INVITED_SECRET_KEY=")
	env.Run("", "backup", "copy.db").OK()
	before := env.Run("", "directory", "export").OK()
	path := filepath.Join(env.Dir, "data", "invited.db")
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	output := env.Run("", "restore", "copy.db", "--hold=false").OK()
	require.Contains(t, output, "There is no data/secret.key")
	require.NotContains(t, output, "is kept")
	require.NotContains(t, output, "held")
	require.Equal(t, before, env.Run("", "directory", "export").OK())
	require.Contains(t, env.Run("", "jobs").OK(), "not held")

	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600))
	output = env.Run("", "restore", "copy.db").OK()
	content, err := os.ReadFile(requireKept(t, env, output))
	require.NoError(t, err)
	require.Contains(t, string(content), "no database")
	require.Equal(t, before, env.Run("", "directory", "export").OK())
}
