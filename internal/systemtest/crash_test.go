package systemtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// The process is killed while the mail server holds the mail. Another process takes up the job once no attempt can still be
// running. Until then somebody who does not want to wait can send the invitation again.
func TestKilledDuringDelivery(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		recorder := harness.NewSMTPRecorder(t)
		arrived, release := recorder.Hold()
		env.Apply().Set("INVITED_SMTP_URL=" + recorder.URL)
		p := env.Serve()
		id := p.Create("ina@university.example").UUID
		require.Equal(t, id+".0@localhost", harness.Receive(t, arrived, "the mail arrives"))
		p.Kill()
		require.Equal(t, []string{"running"}, env.DeliveryJobs(), "it will be rescued")

		p = env.Serve()
		require.Equal(t, "Processing", p.Get(id).ExecutionState)
		release()
		// New mails do not wait for that.
		p.WaitDelivered(p.Create("other@university.example").UUID)
		// Somebody who does not want to wait sends the invitation again.
		p.Do("POST", harness.InvitationsPath+id+"/send/", "olivia", "").Is(200)
		p.WaitDelivered(id)
		require.Equal(t, 1, recorder.Copies()[id+".1@localhost"])
		p.Stop()
	})
}

func TestStopFinishesJobs(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		recorder := harness.NewSMTPRecorder(t)
		arrived, release := recorder.Hold()
		env.Apply().Set("INVITED_SMTP_URL=" + recorder.URL)
		p := env.Serve()
		id := p.Create("ina@university.example").UUID
		harness.Receive(t, arrived, "the mail arrives")
		p.Signal(syscall.SIGTERM)
		p.WaitLog("shutting down")
		p.WaitUntil("no new connection is accepted", func() bool {
			_, err := net.DialTimeout("tcp", p.Address, time.Second)
			return err != nil
		})
		release()
		p.WaitExitCode(0)
		require.Equal(t, map[string]int{id + ".0@localhost": 1}, recorder.Copies())
		require.Equal(t, []string{"completed"}, env.DeliveryJobs())
		var state string
		require.NoError(t, env.DB().QueryRow("SELECT execution_state FROM invitations").Scan(&state))
		require.Equal(t, "OK", state)
	})
}

// A request that is running is answered, here one that waits for a lock of another connection.
func TestStopFinishesRequests(t *testing.T) {
	for name, signals := range map[string][]os.Signal{
		"once":  {syscall.SIGTERM},
		"twice": {syscall.SIGTERM, syscall.SIGTERM},
		"keys":  {os.Interrupt},
	} {
		t.Run(name, func(t *testing.T) {
			harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
				env.Apply()
				p := env.Serve()
				id := p.Create("ina@university.example").UUID
				p.WaitDelivered(id)
				conn, err := env.DB().Conn(t.Context())
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, conn.Close()) })
				lock := "BEGIN; SELECT * FROM invitations FOR UPDATE"
				if env.OnSQLite() {
					lock = "BEGIN IMMEDIATE"
				}
				_, err = conn.ExecContext(t.Context(), lock)
				require.NoError(t, err)

				accepted := make(chan harness.Response, 1)
				go func() {
					got, err := p.TryDo("POST", harness.InvitationsPath+id+"/accept/", "ina", "")
					if err != nil {
						got.Body = err.Error()
					}
					accepted <- got
				}()
				waitForLock(env)
				for _, each := range signals {
					p.Signal(each)
					p.WaitLog("shutting down")
				}
				select {
				case got := <-accepted:
					require.Fail(t, "a response came before the lock was released", "%d %s", got.Status, got.Body)
				case <-time.After(200 * time.Millisecond):
				}
				_, err = conn.ExecContext(context.WithoutCancel(t.Context()), "COMMIT")
				require.NoError(t, err)
				got := harness.Receive(t, accepted, "accept is answered")
				require.Equal(t, 200, got.Status, got.Body)
				p.WaitExitCode(0)
				require.Equal(t, []string{"ina PROJECT.ADMIN"}, env.Members("Apollo"))
			})
		})
	}
}

// waitForLock returns when the accept waits for the lock.
func waitForLock(env *harness.Env) {
	env.T.Helper()
	if env.OnSQLite() {
		time.Sleep(300 * time.Millisecond) //nolint:forbidigo // SQLite does not show who waits for a lock
		return
	}
	pool := env.DB()
	harness.WaitUntil(env.T, queryLimit, "accept waits for the lock", func() bool {
		waiting := 0
		require.NoError(env.T, pool.QueryRowContext(env.T.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting))
		return waiting > 0
	}, nil)
}

// Replicas start at the same time on an empty database.
func TestTwoProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for round := range 5 {
			t.Run(fmt.Sprint(round), func(t *testing.T) {
				t.Parallel()
				env := harness.New(t, e.Empty(t))
				one, other := env.Start(), env.Start()
				for _, p := range []*harness.Process{one, other} {
					p.WaitLog("msg=serving")
				}
				for _, p := range []*harness.Process{one, other} {
					p.Stop()
				}
				status := env.Run("", "migrate", "status").OK()
				require.NotContains(t, status, "pending")
				steps := strings.Count(status, "\n")
				var rows, versions int
				require.NoError(t, env.DB().QueryRow(`SELECT count(*), count(DISTINCT version_id) FROM goose_db_version
					WHERE version_id > 0`).Scan(&rows, &versions))
				require.Equal(t, steps, rows)
				require.Equal(t, steps, versions)
				require.Equal(t, steps, strings.Count(one.Stderr.String()+other.Stderr.String(), "msg=migrated"), "each step once")
			})
		}
	})
}
