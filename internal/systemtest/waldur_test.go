package systemtest

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// The tokens of users of Waldur's rows, as Waldur's clients send them.
const (
	olivia = "Token aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2"
	ina    = "Token aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3"
	sam    = "Token aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
)

// newWaldur returns a database of Waldur's and its URL. Its rows are those of the tests of package waldur, as if it were the day
// of those tests.
func newWaldur(t testing.TB) (address string, db *sql.DB) {
	t.Helper()
	address = storetest.Engines[1].Empty(t)
	db, err := sql.Open("pgx", address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for _, name := range []string{"waldur.sql", "rows.sql"} {
		text, err := os.ReadFile(filepath.Join("..", "waldur", "testdata", name))
		require.NoError(t, err)
		_, err = db.Exec(string(text))
		require.NoError(t, err)
	}
	for _, statement := range []string{
		"UPDATE users_invitation SET created = created + (now() - '2026-11-23 09:30+00')",
		"UPDATE authtoken_token SET created = created + (now() - '2026-11-23 09:30+00')",
		"UPDATE structure_project SET start_date = current_date + 31 WHERE start_date IS NOT NULL",
	} {
		_, err = db.Exec(statement)
		require.NoError(t, err)
	}
	return address, db
}

// Whoever has a link that Waldur has mailed, or a token that Waldur has issued, goes on here.
func TestWaldurGoesOn(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		address, _ := newWaldur(t)
		first := env.Run("", "import", "waldur", "--dsn", address, "--report", "left.csv").OK()
		require.Regexp(t, `(?m)^invitations +19 +15 +0 +0 +4$`, first)
		require.Contains(t, first, "\n1 invitations wait for approval: ")
		left, err := os.ReadFile(filepath.Join(env.Dir, "left.csv"))
		require.NoError(t, err)
		require.Contains(t, string(left), "\nusers,a0000000-0000-4000-8000-000000000006,left,the username is empty or has invisible characters\n")
		info, err := os.Stat(filepath.Join(env.Dir, "left.csv"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

		again := env.Run("", "import", "waldur", "--dsn", address).OK()
		for _, line := range strings.Split(again, "\n")[1:11] {
			require.Regexp(t, `^[a-z ]+ +\d+ +0 +0 +\d+ +\d+$`, line, "the second import changes nothing")
		}
		var jobs int
		require.NoError(t, env.DB().QueryRow("SELECT count(*) FROM river_job").Scan(&jobs))
		require.Zero(t, jobs, "nothing is mailed")

		p := env.Serve()
		ask := func(method, path, token string) harness.Response {
			return p.Do(method, path, "", "", "Authorization", token)
		}
		const mailed = "10000000000040008000000000000001" // as Waldur writes uuids
		details := ask("GET", harness.InvitationsPath+mailed+"/details/", ina).Is(200)
		require.Contains(t, details.Body, `"scope_name":"Apollo"`)
		require.Contains(t, details.Body, `"role_name":"PROJECT.ADMIN"`)
		require.Contains(t, details.Body, `"created_by_full_name":"Olivia Owner"`)
		page := p.Do("GET", "/invitation/"+mailed+"/", "", "").Is(200)
		require.Contains(t, page.Body, "<form", "the page asks the invitee to sign in")
		ask("POST", harness.InvitationsPath+mailed+"/accept/", ina).Is(200)
		require.Contains(t, ask("GET", "/api/users/me/", ina).Is(200).Body, `"role_name":"PROJECT.ADMIN"`)

		list := ask("GET", harness.InvitationsPath+"?state=pending&state=accepted", olivia).Is(200)
		require.Equal(t, "6", list.Header.Get("X-Result-Count"), "those of the owner's organization: %s", list.Body)
		ask("POST", harness.InvitationsPath+"10000000000040008000000000000004/approve-request/", sam).Is(200)
		group := ask("GET", "/api/user-group-invitations/20000000000040008000000000000001/", ina).Is(200)
		require.Contains(t, group.Body, `"custom_text":"Come in"`)
		requests := ask("GET", "/api/user-permission-requests/?state=pending", olivia).Is(200)
		require.Equal(t, "2", requests.Header.Get("X-Result-Count"))
		p.Stop()

		third := env.Run("", "import", "waldur", "--dsn", address).OK()
		require.Contains(t, third, "invitations: 2: it was changed here, and stays as it is")
	})
}

// The import is killed at many points, and the next one completes it.
func TestWaldurKilled(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		address, db := newWaldur(t)
		fillWaldur(t, db, 1_200)
		kills := 0
		for _, point := range []string{"write:2", "answer:1", "answer:2", "write:4", "answer:3", "answer:4", "answer:5"} {
			importing := withKiller(env, point).Command(t.Context(), "import", "waldur", "--dsn", address)
			if err := importing.Run(); err == nil {
				continue // it had less left to do
			}
			status, ok := importing.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, importing.ProcessState)
			kills++
		}
		require.GreaterOrEqual(t, kills, 4)
		env.Run("", "import", "waldur", "--dsn", address).OK()
		for query, want := range map[string]int{
			"SELECT count(*) FROM invitations": 1_215, "SELECT count(*) FROM users": 1_206, "SELECT count(*) FROM memberships": 1_205,
			"SELECT count(*) FROM api_tokens": 1_203, "SELECT count(*) FROM group_invitations": 3, "SELECT count(*) FROM permission_requests": 5,
			"SELECT pending + accepted FROM (SELECT sum(pending) AS pending, sum(accepted) AS accepted FROM invitation_counts) AS c": -1,
		} {
			var found int
			require.NoError(t, env.DB().QueryRow(query).Scan(&found))
			if want == -1 {
				require.NoError(t, env.DB().QueryRow("SELECT count(*) FROM invitations WHERE state IN ('pending', 'accepted')").Scan(&want))
			}
			require.Equal(t, want, found, query)
		}
	})
}

// Whoever interrupts an import is told that it can be repeated.
func TestWaldurInterrupted(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		address, db := newWaldur(t)
		lock, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = lock.Exec("LOCK TABLE users_permissionrequest")
		require.NoError(t, err)
		var out harness.Output
		command := env.Command(t.Context(), "import", "waldur", "--dsn", address)
		command.Stderr = &out
		require.NoError(t, command.Start())
		harness.WaitUntil(t, time.Minute, "the import waits for the lock", func() bool {
			var waiting int
			require.NoError(t, db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting))
			return waiting > 0
		}, out.String)
		require.NoError(t, command.Process.Signal(os.Interrupt))
		require.Error(t, command.Wait())
		require.Equal(t, 1, command.ProcessState.ExitCode())
		require.Equal(t, "invited: interrupted: what is imported stays, and the next import goes on\n", out.String())
		require.NoError(t, lock.Rollback())
	})
}

// What is wrong with the database of Waldur is said in one line, without the password.
func TestWaldurCannotBeRead(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		empty := storetest.Engines[1].Empty(t)
		for name, test := range map[string]struct{ dsn, want string }{
			"nobody listens": {
				"postgres://waldur:" + harness.Password + "@" + harness.FreeAddress(t) + "/waldur",
				`^invited: the database of Waldur can't be read: .*connection refused`,
			},
			"no URL":        {"mysql://waldur:" + harness.Password + "@localhost/waldur", `^invited: the database of Waldur can't be read: the database URL can't be read`},
			"not of Waldur": {empty, `^invited: this is no database of Waldur MasterMind of January 2024 or newer: it has no table core_user`},
		} {
			for _, flags := range [][]string{nil, {"--dry-run"}} {
				got := env.Run("", append([]string{"import", "waldur", "--dsn", test.dsn}, flags...)...)
				require.Equal(t, 1, got.Code, name)
				require.Regexp(t, test.want, got.Stderr, name)
				require.Equal(t, 1, strings.Count(got.Stderr, "\n"), got.Stderr)
				require.NotContains(t, got.Stderr, harness.Password)
				require.Empty(t, got.Stdout)
			}
		}
		got := env.Run("", "import", "waldur")
		require.Equal(t, 2, got.Code)
		require.Contains(t, got.Stderr, "name Waldur's database: --dsn")
		file := filepath.Join(env.Dir, "dsn")
		require.NoError(t, os.WriteFile(file, []byte(empty+"\n"), 0o600))
		env.Run("", "import", "waldur", "--dsn-file", file).Fails("it has no table core_user")
	})
}

// fillWaldur adds users with tokens, roles in Apollo and invitations in many states, a number of each.
func fillWaldur(t testing.TB, db *sql.DB, n int) {
	t.Helper()
	for _, statement := range []string{
		`INSERT INTO core_user (id, uuid, username, email, first_name, last_name, date_joined)
			SELECT 1000 + n, gen_random_uuid(), 'user' || n, 'user' || n || '@university.example', 'User', 'No. ' || n, now()
			FROM generate_series(1, %[1]d) AS n`,
		`INSERT INTO authtoken_token (key, created, user_id) SELECT md5(n::text) || 'f0f0f0f0', now(), 1000 + n FROM generate_series(1, %[1]d) AS n`,
		`INSERT INTO permissions_userrole (id, uuid, user_id, role_id, content_type_id, object_id, created_by_id)
			SELECT 1000 + n, gen_random_uuid(), 1000 + n, 3, 19, 1, 2 FROM generate_series(1, %[1]d) AS n`,
		`INSERT INTO users_invitation (id, uuid, created, state, execution_state, email, full_name, organization, extra_invitation_text, role_id,
				content_type_id, object_id, customer_id, created_by_id)
			SELECT 1000 + n, gen_random_uuid(), now() - n * interval '1 minute',
				CASE WHEN n <= 5000 THEN 'pending' ELSE (ARRAY['accepted', 'accepted', 'expired', 'canceled'])[n %% 4 + 1] END, 'OK',
				'guest' || n || '@university.example', 'Guest No. ' || n, 'University', repeat('Welcome to the project. ', 5), 2, 19, 1, 1, 2
			FROM generate_series(1, %[1]d) AS n`,
		"ANALYZE",
	} {
		_, err := db.Exec(strings.ReplaceAll(fmt.Sprintf(statement+" -- %[1]d", n), "%%", "%"))
		require.NoError(t, err)
	}
}

// BenchmarkWaldur measures an import of 100,000 users with tokens and roles, and 100,000 invitations; the next one, which changes
// nothing; and the processor time and the most memory that each takes.
func BenchmarkWaldur(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine.Name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				address, db := newWaldur(b)
				fillWaldur(b, db, 100_000)
				env := harness.New(b, engine.Fresh(b))
				b.StartTimer()
				for _, name := range []string{"first", "again"} {
					command := env.Command(b.Context(), "import", "waldur", "--dsn", address)
					began := time.Now()
					out, err := command.CombinedOutput()
					require.NoError(b, err, string(out))
					b.ReportMetric(time.Since(began).Seconds(), name+"-s")
					usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
					require.True(b, ok)
					b.ReportMetric(float64(usage.Maxrss)/1000, name+"-MB")
					cpu := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
					b.ReportMetric(cpu.Seconds(), name+"-cpu-s")
					found := regexp.MustCompile(`(?m)^invitations +(\d+)`).FindSubmatch(out)
					read, err := strconv.Atoi(string(found[1]))
					require.NoError(b, err)
					require.Equal(b, 100_019, read)
				}
			}
		})
	}
}
