package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
)

// raw is a connection to a site's database beside the program.
func (s *site) raw() *sql.DB {
	s.t.Helper()
	var (
		pool *sql.DB
		err  error
	)
	for _, each := range s.environ {
		if path, ok := strings.CutPrefix(each, "INVITED_DATABASE_URL=sqlite://"); ok {
			pool, err = sqlite.Open("file:" + path + "?_pragma=busy_timeout(10000)")
		} else if address, ok := strings.CutPrefix(each, "INVITED_DATABASE_URL="); ok {
			pool, err = sql.Open("pgx", address)
		}
	}
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, pool.Close()) })
	return pool
}

// jobs are the states of the deliveries in the queue.
func (s *site) jobs() []string {
	s.t.Helper()
	rows, err := s.raw().Query("SELECT state FROM river_job WHERE kind = 'deliver_invitation' ORDER BY id")
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, rows.Close()) }()
	found := []string{}
	for rows.Next() {
		var state string
		require.NoError(s.t, rows.Scan(&state))
		found = append(found, state)
	}
	require.NoError(s.t, rows.Err())
	return found
}

// The process dies while the mail server thinks. Another takes the job up again once no attempt can still run; what
// whoever does not want to wait for that can do.
func TestKilledInADelivery(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		mailServer, arrived, goOn := thinking(t)
		s.apply().set("INVITED_SMTP_URL=" + mailServer.url)
		p := s.serve()
		id := p.create("ina@university.example").UUID
		require.Equal(t, id+".0@localhost", <-arrived)
		p.kill()
		require.Equal(t, []string{"running"}, s.jobs(), "it will be rescued")

		p = s.serve()
		require.Equal(t, "Processing", p.see(id).ExecutionState)
		goOn()
		// New work does not wait for that.
		p.delivered(p.create("other@university.example").UUID)
		// And whoever does not want to wait sends it anew.
		p.ask("POST", invitations+id+"/send/", "olivia", "").is(200)
		p.delivered(id)
		require.Equal(t, 1, mailServer.copies()[id+".1@localhost"])
		p.stop()
	})
}

// thinking is a sink that keeps each mail waiting for its answer, and says whose arrived, until it is told to go on.
func thinking(t *testing.T) (s *sink, arrived <-chan string, goOn func()) {
	t.Helper()
	ids, on := make(chan string, 100), make(chan struct{})
	s = newSink(t)
	s.answers(func(stage, about string) string {
		if stage == "CONTENT" {
			ids <- about
			<-on
		}
		return ""
	})
	goOn = sync.OnceFunc(func() { close(on) })
	t.Cleanup(goOn)
	return s, ids, goOn
}

func TestStopFinishesJobs(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		mailServer, arrived, goOn := thinking(t)
		s.apply().set("INVITED_SMTP_URL=" + mailServer.url)
		p := s.serve()
		id := p.create("ina@university.example").UUID
		<-arrived
		p.signal(syscall.SIGTERM)
		p.logs("shutting down")
		p.until("no new connection is taken", func() bool {
			_, err := net.DialTimeout("tcp", p.address, time.Second)
			return err != nil
		})
		goOn()
		p.end(0)
		require.Equal(t, map[string]int{id + ".0@localhost": 1}, mailServer.copies())
		require.Equal(t, []string{"completed"}, s.jobs())
		var state string
		require.NoError(t, s.raw().QueryRow("SELECT execution_state FROM invitations").Scan(&state))
		require.Equal(t, "OK", state)
	})
}

// A request in flight is answered: here one that waits for a lock that somebody else holds.
func TestStopFinishesRequests(t *testing.T) {
	for name, signals := range map[string][]os.Signal{
		"once":  {syscall.SIGTERM},
		"twice": {syscall.SIGTERM, syscall.SIGTERM},
		"keys":  {os.Interrupt},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, s *site) {
				s.apply()
				p := s.serve()
				id := p.create("ina@university.example").UUID
				p.delivered(id)
				conn, err := s.raw().Conn(t.Context())
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, conn.Close()) })
				lock := "BEGIN; SELECT * FROM invitations FOR UPDATE"
				if s.onSQLite() {
					lock = "BEGIN IMMEDIATE"
				}
				_, err = conn.ExecContext(t.Context(), lock)
				require.NoError(t, err)

				accepted := make(chan answer, 1)
				go func() {
					got, err := p.try("POST", invitations+id+"/accept/", "ina", "")
					if err != nil {
						got.body = err.Error()
					}
					accepted <- got
				}()
				s.waits()
				for _, each := range signals {
					p.signal(each)
					p.logs("shutting down")
				}
				select {
				case got := <-accepted:
					require.Fail(t, "it was answered though it can't have been done", "%d %s", got.status, got.body)
				case <-time.After(200 * time.Millisecond):
				}
				_, err = conn.ExecContext(context.WithoutCancel(t.Context()), "COMMIT")
				require.NoError(t, err)
				got := <-accepted
				require.Equal(t, 200, got.status, got.body)
				p.end(0)
				require.Equal(t, []string{"ina PROJECT.ADMIN"}, s.members("Apollo"))
			})
		})
	}
}

// waits returns when the accept waits for the lock.
func (s *site) waits() {
	s.t.Helper()
	if s.onSQLite() {
		time.Sleep(300 * time.Millisecond) //nolint:forbidigo // SQLite tells nobody who waits for it
		return
	}
	pool := s.raw()
	for waiting := 0; waiting == 0; {
		require.NoError(s.t, pool.QueryRowContext(s.t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting))
	}
}

// Replicas start at once on a database that is empty.
func TestTwoProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for round := range 5 {
			t.Run(fmt.Sprint(round), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, e.Empty(t))
				one, other := s.start(), s.start()
				for _, p := range []*served{one, other} {
					p.logs("msg=serving")
				}
				for _, p := range []*served{one, other} {
					p.stop()
				}
				status := s.run("", "migrate", "status").ok()
				require.NotContains(t, status, "pending")
				steps := strings.Count(status, "\n")
				var rows, versions int
				require.NoError(t, s.raw().QueryRow(`SELECT count(*), count(DISTINCT version_id) FROM goose_db_version
					WHERE version_id > 0`).Scan(&rows, &versions))
				require.Equal(t, steps, rows)
				require.Equal(t, steps, versions)
				require.Equal(t, steps, strings.Count(one.stderr.String()+other.stderr.String(), "msg=migrated"), "each step once")
			})
		}
	})
}
