package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/storetest/postgres"
	"invited/internal/systemtest/harness"
)

// A PostgreSQL server stops and comes back while clients load two processes. Both processes recover by themselves: meanwhile
// clients get a 503, and nothing that they were promised before is lost. SQLite ends with its process: see
// TestFaultKilledAtEveryStatement.
func TestFaultPostgresRestart(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		fault string
		stop  func(*postgres.Server) // returns when the server is to come back
		start func(context.Context, *postgres.Server) error
	}{
		{"PostgreSQL restarts", func(s *postgres.Server) { s.Stop(postgres.Fast) }, startPostgres},
		{"PostgreSQL crashes", func(s *postgres.Server) { s.Stop(postgres.Immediate) }, startPostgres},
		{"PostgreSQL is away for 5 s", func(s *postgres.Server) {
			s.Stop(postgres.Fast)
			harness.Sleep(t, 5*time.Second)
		}, startPostgres},
		{"PostgreSQL stands still for 5 s", func(s *postgres.Server) {
			require.NoError(t, s.Pause(t.Context()))
			harness.Sleep(t, 5*time.Second)
		}, func(_ context.Context, s *postgres.Server) error {
			s.Resume()
			return nil
		}},
	} {
		t.Run(each.fault, func(t *testing.T) {
			t.Parallel()
			server := newPostgres(t)
			env := harness.New(t, server.URL)
			env.Run("", "migrate", "up").OK()
			f := newFaultCase(env, each.fault)
			env.Run(loadDirectory(), "directory", "apply", "-f", "-").OK()
			// So that at any time there are mails that were sent and whose result is not saved yet.
			f.smtp.SetReply(func(stage, _ string) string {
				if stage == "CONTENT" {
					harness.Sleep(t, 100*time.Millisecond)
				}
				return ""
			})
			processes := []*harness.Process{env.Serve(), env.Serve()}
			clients := f.startLoad(processes)
			f.waitUntil(20*time.Second, "mails go out", func() bool { return len(f.smtp.Mails()) > 20 })

			each.stop(server)
			require.NoError(t, each.start(t.Context(), server))
			f.markHealed()
			f.db = env.DB() // the earlier connections are broken
			before := clients.succeeded()
			f.waitUntil(20*time.Second, "both processes are ready and answer clients", func() bool {
				for i, p := range processes {
					if p.Do("GET", "/readyz", "", "").Status != http.StatusOK || clients.succeeded()[i] <= before[i] {
						return false
					}
				}
				return true
			})
			t.Logf("both processes answer again after %s", time.Since(f.healedAt).Round(10*time.Millisecond))
			clients.stop()
			f.verify(time.Minute, 0) // less than a rescue takes: no job is stuck
			require.Empty(t, f.column("SELECT uuid || error_message FROM invitations WHERE state = 'pending' AND execution_state <> 'OK'"))
			t.Logf("%d created, %d accepted, %d answers with 503", len(f.created), len(f.accepted), f.refused)
			require.NotEmpty(t, f.accepted)
			for _, p := range processes {
				p.Stop()
				require.NotContains(t, p.Stderr.String(), "status=500")
			}
		})
	}
}

func startPostgres(ctx context.Context, s *postgres.Server) error { return s.Start(ctx) }

// newPostgres starts a PostgreSQL server for one test: the shared server must not be stopped. What this server has committed
// survives its crash.
func newPostgres(t *testing.T) *postgres.Server {
	t.Helper()
	bin, err := postgres.Ensure(t.Context(), t.Logf)
	require.NoError(t, err)
	server, err := postgres.New(t.Context(), bin, "synchronous_commit=on")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	return server
}

// postgresLoad is clients that create and accept invitations until stop is called, each at one of the processes.
type postgresLoad struct {
	f    *faultCase
	stop func()

	mu   sync.Mutex
	done []int // number of requests with success, by process
}

// succeeded returns the number of requests with success, by process.
func (c *postgresLoad) succeeded() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int{}, c.done...)
}

// startLoad starts clients that are stopped when the test ends.
func (f *faultCase) startLoad(processes []*harness.Process) *postgresLoad {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	c := &postgresLoad{f: f, done: make([]int, len(processes))}
	var all sync.WaitGroup
	c.stop = func() {
		cancel()
		all.Wait()
	}
	f.t.Cleanup(c.stop)
	for i := range loadClients {
		all.Go(func() {
			ticker := time.NewTicker(200 * time.Millisecond) // slow enough that the projects outlast the test
			defer ticker.Stop()
			for j := 0; j < loadProjects; j++ {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				if !c.invite(ctx, processes, i, loadProjectUUID(j), j%2 == 0) {
					return
				}
			}
			if ctx.Err() == nil {
				assert.Fail(f.t, "the load ended before it was stopped")
			}
		})
	}
	return c
}

// invite invites a client's user as olivia, and lets the user accept where accept is true. It returns false after a response
// that must not come, which fails the test.
func (c *postgresLoad) invite(ctx context.Context, processes []*harness.Process, client int, projectUUID string, accept bool) bool {
	user := fmt.Sprintf("user%d", client)
	body := harness.InvitationBodyFor(user+"@university.example", projectUUID)
	got, ok := c.postUntilDone(ctx, processes, client, harness.InvitationsPath, "olivia", body, http.StatusCreated)
	if !ok || got.Status != http.StatusCreated {
		return ok
	}
	id := got.Invitation().UUID
	c.f.record(&c.f.created, id)
	if !accept {
		return true
	}
	if got, ok = c.postUntilDone(ctx, processes, client, harness.InvitationsPath+id+"/accept/", user, "", http.StatusOK); ok && got.Status == http.StatusOK {
		c.f.record(&c.f.accepted, id)
	}
	return ok
}

// postUntilDone sends a POST until the response is not a 503. A request that was answered with 503 may have been done all the
// same, so only a repeated one may be refused. It returns false after a response that must not come.
func (c *postgresLoad) postUntilDone(
	ctx context.Context, processes []*harness.Process, client int, path, user, body string, success int,
) (harness.Response, bool) {
	at := client % len(processes)
	for repeated := false; ; repeated = true {
		got, err := processes[at].TryDo("POST", path, user, body)
		if err != nil {
			if ctx.Err() != nil { // the test is over
				return got, false
			}
			return got, assert.Fail(c.f.t, "no response", "%s: %v", path, err)
		}
		if got.Status != http.StatusServiceUnavailable {
			if got.Status == success {
				c.mu.Lock()
				c.done[at]++
				c.mu.Unlock()
			} else if !repeated || got.Status/100 != 4 {
				return got, assert.Fail(c.f.t, "a wrong response", "%s: %d %s", path, got.Status, got.Body)
			}
			return got, true
		}
		assert.NotEmpty(c.f.t, got.Header.Get("Retry-After"))
		c.f.mu.Lock()
		c.f.refused++
		c.f.mu.Unlock()
		select {
		case <-ctx.Done():
			return got, true
		case <-time.After(100 * time.Millisecond):
		}
	}
}
