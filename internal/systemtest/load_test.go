package systemtest

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

	"invited/internal/systemtest/harness"
)

const (
	loadClients  = 8
	loadProjects = 150
	loadTime     = 5 * time.Second
)

// loadProjectUUID returns the uuid of a project of loadDirectory.
func loadProjectUUID(i int) string { return fmt.Sprintf("20000000-0000-4000-8000-%012d", i+1) }

// loadDirectory returns a directory with an inviter, one invitee for each client, and enough projects for each invitee to
// accept one invitation after another.
func loadDirectory() string {
	var b strings.Builder
	b.WriteString(strings.Split(harness.Directory, "customers:")[0])
	for i := range loadClients {
		fmt.Fprintf(&b, "  - {username: user%d, email: user%d@university.example, tokens: [%s]}\n", i, i, harness.Key(fmt.Sprintf("user%d", i)))
	}
	b.WriteString("customers:\n  - name: Acme\n    members: [{user: olivia, role: CUSTOMER.OWNER}]\n    projects:\n")
	for i := range loadProjects {
		fmt.Fprintf(&b, "      - {name: Project %d, uuid: %s}\n", i, loadProjectUUID(i))
	}
	return b.String()
}

// clientResult holds the invitations of a client.
type clientResult struct {
	accepted []string // uuids of the invitations that it accepted at once, whether or not they had been mailed
	waiting  []string // uuids of the invitations that it only created
}

// runClient creates invitations until the deadline, and accepts every other one at once.
func runClient(p *harness.Process, client int, deadline time.Time) (result clientResult, err error) {
	user := fmt.Sprintf("user%d", client)
	post := func(status int, path, user, body string) (m harness.Invitation, err error) {
		got, err := p.TryDo("POST", path, user, body)
		if err == nil && got.Status != status {
			err = fmt.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
		if err == nil {
			err = json.Unmarshal([]byte(got.Body), &m)
		}
		return m, err
	}
	for i := 0; i < loadProjects && time.Now().Before(deadline); i++ {
		m, err := post(http.StatusCreated, harness.InvitationsPath, "olivia",
			harness.InvitationBodyFor(user+"@university.example", loadProjectUUID(i)))
		if err != nil {
			return result, err
		}
		if i%2 == 0 {
			result.waiting = append(result.waiting, m.UUID)
			continue
		}
		if _, err := post(http.StatusOK, harness.InvitationsPath+m.UUID+"/accept/", user, ""); err != nil {
			return result, err
		}
		result.accepted = append(result.accepted, m.UUID)
	}
	return result, nil
}

// Clients create and accept at the same time while mails go out, with one process on SQLite and two on PostgreSQL.
func TestLoad(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Run(loadDirectory(), "directory", "apply", "-f", "-").OK()
		processes := []*harness.Process{env.Serve()}
		if !env.OnSQLite() {
			processes = append(processes, env.Serve())
		}
		var (
			all      sync.WaitGroup
			results  [loadClients]clientResult
			errs     [loadClients]error
			deadline = time.Now().Add(loadTime)
		)
		for i := range results {
			all.Go(func() { results[i], errs[i] = runClient(processes[i%len(processes)], i, deadline) })
		}
		all.Wait()
		var accepted, waiting []string
		for i, each := range results {
			require.NoError(t, errs[i])
			accepted, waiting = append(accepted, each.accepted...), append(waiting, each.waiting...)
		}
		t.Logf("%d created, %d of them accepted", len(accepted)+len(waiting), len(accepted))
		require.Greater(t, len(accepted), loadClients)

		processes[0].WaitUntil("the queue is empty", func() bool {
			states := env.DeliveryJobs()
			return !slices.Contains(states, "available") && !slices.Contains(states, "running")
		})
		mails := map[string]int{}
		for _, each := range env.Mails() {
			id := harness.MessageID.FindStringSubmatch(each)
			require.NotNil(t, id)
			mails[strings.TrimSuffix(id[1], ".0@localhost")]++
		}
		// An invitation that nobody accepted was mailed once. One that was accepted was mailed where the mail was faster.
		for _, id := range waiting {
			require.Equal(t, 1, mails[id], id)
			require.Equal(t, "OK", processes[0].Get(id).ExecutionState)
		}
		for _, id := range accepted {
			seen := processes[0].Get(id)
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
		require.NoError(t, env.DB().QueryRow(`SELECT count(*), count(DISTINCT m.scope_uuid || '' || m.user_uuid)
			FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username LIKE 'user%'`).Scan(&members, &distinct))
		require.Equal(t, len(accepted), members)
		require.Equal(t, len(accepted), distinct)
		for _, p := range processes {
			p.Stop()
			for _, each := range []string{"level=ERROR", "database is locked", "status=5"} {
				require.NotContains(t, p.Stderr.String(), each)
			}
		}
		require.NotContains(t, env.DeliveryJobs(), "running")
	})
}
