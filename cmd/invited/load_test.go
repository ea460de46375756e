package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	loadClients  = 8
	loadProjects = 150
	loadTime     = 5 * time.Second
)

func loadProject(i int) string { return fmt.Sprintf("20000000-0000-4000-8000-%012d", i+1) }

// loadPeople are an inviter and as many invitees as there are clients, and projects enough that each of these can
// accept one invitation after the other.
func loadPeople() string {
	var b strings.Builder
	b.WriteString(strings.Split(people, "customers:")[0])
	for i := range loadClients {
		fmt.Fprintf(&b, "  - {username: user%d, email: user%d@university.example, tokens: [user%d-key]}\n", i, i, i)
	}
	b.WriteString("customers:\n  - name: Acme\n    members: [{user: olivia, role: CUSTOMER.OWNER}]\n    projects:\n")
	for i := range loadProjects {
		fmt.Fprintf(&b, "      - {name: Project %d, uuid: %s}\n", i, loadProject(i))
	}
	return b.String()
}

// load is what a client did.
type load struct {
	accepted []string // accepted at once, whether or not their mails had gone out
	waiting  []string // created only
}

// work is one client: of the invitations that it creates, it accepts every other at once.
func (p *served) work(client int, until time.Time) (done load, err error) {
	user := fmt.Sprintf("user%d", client)
	ask := func(status int, path, user, body string) (m made, err error) {
		got, err := p.try("POST", path, user, body)
		if err == nil && got.status != status {
			err = fmt.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if err == nil {
			err = json.Unmarshal([]byte(got.body), &m)
		}
		return m, err
	}
	for i := 0; i < loadProjects && time.Now().Before(until); i++ {
		m, err := ask(http.StatusCreated, invitations, "olivia",
			fmt.Sprintf(`{"email": "%s@university.example", "role": %q, "scope": "http://any.example/api/projects/%s/"}`,
				user, projectRole, loadProject(i)))
		if err != nil {
			return done, err
		}
		if i%2 == 0 {
			done.waiting = append(done.waiting, m.UUID)
			continue
		}
		if _, err := ask(http.StatusOK, invitations+m.UUID+"/accept/", user, ""); err != nil {
			return done, err
		}
		done.accepted = append(done.accepted, m.UUID)
	}
	return done, nil
}

// Clients create and accept at once, against one process on SQLite and two on PostgreSQL, while mails go out.
func TestLoad(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.run(loadPeople(), "directory", "apply", "-f", "-").ok()
		processes := []*served{s.serve()}
		if !s.onSQLite() {
			processes = append(processes, s.serve())
		}
		var (
			all   sync.WaitGroup
			loads [loadClients]load
			errs  [loadClients]error
			until = time.Now().Add(loadTime)
		)
		for i := range loads {
			all.Go(func() { loads[i], errs[i] = processes[i%len(processes)].work(i, until) })
		}
		all.Wait()
		var accepted, waiting []string
		for i, each := range loads {
			require.NoError(t, errs[i])
			accepted, waiting = append(accepted, each.accepted...), append(waiting, each.waiting...)
		}
		t.Logf("%d created, %d of them accepted", len(accepted)+len(waiting), len(accepted))
		require.Greater(t, len(accepted), loadClients)

		processes[0].until("the queue is empty", func() bool {
			states := s.jobs()
			return !slices.Contains(states, "available") && !slices.Contains(states, "running")
		})
		mails := map[string]int{}
		for _, each := range s.mails() {
			id := messageID.FindStringSubmatch(each)
			require.NotNil(t, id)
			mails[strings.TrimSuffix(id[1], ".0@localhost")]++
		}
		// Each that waits for its invitee was mailed once; of the others, those whose mail was the faster.
		for _, id := range waiting {
			require.Equal(t, 1, mails[id], id)
			require.Equal(t, "OK", processes[0].see(id).ExecutionState)
		}
		for _, id := range accepted {
			seen := processes[0].see(id)
			require.Equal(t, "accepted", seen.State)
			if mails[id] == 0 {
				require.Equal(t, "Erred", seen.ExecutionState)
				require.Equal(t, "Not sent: the invitation was accepted before it could be delivered.", seen.ErrorMessage)
			} else {
				require.Equal(t, 1, mails[id], id)
				require.Equal(t, "OK", seen.ExecutionState)
			}
		}
		var members, distinct int
		require.NoError(t, s.raw().QueryRow(`SELECT count(*), count(DISTINCT m.scope_uuid || '' || m.user_uuid)
			FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username LIKE 'user%'`).Scan(&members, &distinct))
		require.Equal(t, len(accepted), members)
		require.Equal(t, len(accepted), distinct)
		for _, p := range processes {
			p.stop()
			for _, each := range []string{"level=ERROR", "database is locked", "status=5"} {
				require.NotContains(t, p.stderr.String(), each)
			}
		}
		require.NotContains(t, s.jobs(), "running")
	})
}
