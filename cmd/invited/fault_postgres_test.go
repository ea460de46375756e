package main

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
)

// A server that goes away and comes back, under load from clients of two processes. Both go on by themselves: clients
// are told to come again meanwhile, and what they were promised before is kept. SQLite is in the process, and goes away
// with it: see TestFaultKilledAtEveryStatement.
func TestFaultPostgresRestart(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		fault string
		away  func(*postgres.Server) // returns when it is to come back
		back  func(context.Context, *postgres.Server) error
	}{
		{"PostgreSQL restarts", func(s *postgres.Server) { s.Stop(postgres.Fast) }, start},
		{"PostgreSQL crashes", func(s *postgres.Server) { s.Stop(postgres.Immediate) }, start},
		{"PostgreSQL is away for 5 s", func(s *postgres.Server) {
			s.Stop(postgres.Fast)
			<-time.After(5 * time.Second)
		}, start},
		{"PostgreSQL stands still for 5 s", func(s *postgres.Server) {
			require.NoError(t, s.Pause(t.Context()))
			<-time.After(5 * time.Second)
		}, func(_ context.Context, s *postgres.Server) error {
			s.Resume()
			return nil
		}},
	} {
		t.Run(each.fault, func(t *testing.T) {
			t.Parallel()
			server := newPostgres(t)
			s := newSite(t, server.URL)
			s.run("", "migrate", "up").ok()
			x := s.trial(each.fault)
			s.run(loadPeople(), "directory", "apply", "-f", "-").ok()
			// So that there are always mails whose yes is to be recorded yet.
			x.sink.answers(func(stage, _ string) string {
				if stage == "CONTENT" {
					<-time.After(100 * time.Millisecond)
				}
				return ""
			})
			processes := []*served{s.serve(), s.serve()}
			clients := x.load(processes)
			x.until(20*time.Second, "mails go out", func() bool { return len(x.sink.got()) > 20 })

			each.away(server)
			require.NoError(t, each.back(t.Context(), server))
			x.healed()
			x.db = s.raw() // the connections of before are broken
			before := clients.served()
			x.until(20*time.Second, "both are ready, and serve", func() bool {
				for i, p := range processes {
					if p.ask("GET", "/readyz", "", "").status != http.StatusOK || clients.served()[i] <= before[i] {
						return false
					}
				}
				return true
			})
			t.Logf("both serve again after %s", time.Since(x.over).Round(10*time.Millisecond))
			clients.stop()
			x.judge(time.Minute, 0) // nothing has to be rescued, which takes longer
			require.Empty(t, x.rows("SELECT uuid || error_message FROM invitations WHERE state = 'pending' AND execution_state <> 'OK'"))
			t.Logf("%d created, %d accepted, %d times told to come again", len(x.created), len(x.accepted), x.refused)
			require.NotEmpty(t, x.accepted)
			for _, p := range processes {
				p.stop()
				require.NotContains(t, p.stderr.String(), "status=500")
			}
		})
	}
}

func start(ctx context.Context, s *postgres.Server) error { return s.Start(ctx) }

// newPostgres is a server of the test's own: the others' must not be stopped. What it has committed survives its crash.
func newPostgres(t *testing.T) *postgres.Server {
	t.Helper()
	bin, err := postgres.Ensure(t.Context(), t.Logf)
	require.NoError(t, err)
	server, err := postgres.New(t.Context(), bin, "synchronous_commit=on")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	return server
}

// clients create and accept until they are stopped, each at one of the processes.
type clients struct {
	x    *trial
	stop func()

	mu   sync.Mutex
	done []int // of the requests, by process
}

func (c *clients) served() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int{}, c.done...)
}

func (x *trial) load(processes []*served) *clients {
	x.t.Helper()
	ctx, cancel := context.WithCancel(x.t.Context())
	c := &clients{x: x, done: make([]int, len(processes))}
	var all sync.WaitGroup
	c.stop = func() {
		cancel()
		all.Wait()
	}
	x.t.Cleanup(c.stop)
	for i := range loadClients {
		all.Go(func() {
			beat := time.NewTicker(200 * time.Millisecond) // a client has a few more projects than it has time for
			defer beat.Stop()
			for j := 0; j < loadProjects; j++ {
				select {
				case <-ctx.Done():
					return
				case <-beat.C:
				}
				if !c.invite(ctx, processes, i, loadProject(j), j%2 == 0) {
					return
				}
			}
			assert.Fail(x.t, "the load ended before it was stopped")
		})
	}
	return c
}

// invite has olivia invite a client's user, who may accept. It returns false where something else than what may happen
// did.
func (c *clients) invite(ctx context.Context, processes []*served, client int, scope string, accept bool) bool {
	user := fmt.Sprintf("user%d", client)
	body := fmt.Sprintf(`{"email": "%s@university.example", "role": %q, "scope": "http://any.example/api/projects/%s/"}`,
		user, projectRole, scope)
	got, ok := c.insist(ctx, processes, client, invitations, "olivia", body, http.StatusCreated)
	if !ok || got.status != http.StatusCreated {
		return ok
	}
	id := got.invitation().UUID
	c.x.promised(&c.x.created, id)
	if !accept {
		return true
	}
	if got, ok = c.insist(ctx, processes, client, invitations+id+"/accept/", user, "", http.StatusOK); ok && got.status == http.StatusOK {
		c.x.promised(&c.x.accepted, id)
	}
	return ok
}

// insist posts until the answer is no 503. What was told to come again may have been done all the same: only then a
// second time may be refused.
func (c *clients) insist(
	ctx context.Context, processes []*served, client int, path, user, body string, success int,
) (answer, bool) {
	at := client % len(processes)
	for again := false; ; again = true {
		got, err := processes[at].try("POST", path, user, body)
		if err != nil {
			return got, assert.Fail(c.x.t, "a broken connection", "%s: %v", path, err)
		}
		if got.status != http.StatusServiceUnavailable {
			if got.status == success {
				c.mu.Lock()
				c.done[at]++
				c.mu.Unlock()
			} else if !again || got.status/100 != 4 {
				return got, assert.Fail(c.x.t, "not an answer", "%s: %d %s", path, got.status, got.body)
			}
			return got, true
		}
		assert.NotEmpty(c.x.t, got.header.Get("Retry-After"))
		c.x.mu.Lock()
		c.x.refused++
		c.x.mu.Unlock()
		select {
		case <-ctx.Done():
			return got, true
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (x *trial) promised(list *[]string, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	*list = append(*list, id)
}
