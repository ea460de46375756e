package systemtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// raceCount is the number of invitations that two processes race for at the same time.
const raceCount = 24

// Two processes on one database get the same request at the same time: one of the two succeeds. Afterwards both processes
// answer with what the database has, and everybody was mailed once.
func TestReplicasAtOnce(t *testing.T) {
	onEachFault(t, "two replicas asked for the same at once", func(f *faultCase) {
		f.env.Run(loadDirectory(), "directory", "apply", "-f", "-").OK()
		left, right := f.env.Serve(), f.env.Serve()
		f.raceAll(left, right)
		f.verify(20*time.Second, 0)
		for _, each := range []*harness.Process{left, right} {
			each.Stop()
			require.NotContains(f.t, each.Stderr.String(), "level=ERROR")
			require.NotContains(f.t, each.Stderr.String(), "status=5")
		}
	})
}

// raceAll runs all races at the same time, and compares the counts that both processes then give with the database.
func (f *faultCase) raceAll(left, right *harness.Process) {
	f.t.Helper()
	var all sync.WaitGroup
	for i := range raceCount {
		all.Go(func() { f.race(left, right, i) })
	}
	all.Wait()
	require.Len(f.t, f.created, raceCount, "one of each pair of creates")
	for _, state := range []string{"", "pending", "accepted", "canceled"} {
		uuids := f.column("SELECT uuid FROM invitations WHERE state = '" + state + "' OR '' = '" + state + "'")
		require.NotEmpty(f.t, uuids)
		for _, p := range []*harness.Process{left, right} {
			for _, user := range []string{"sam", "olivia"} { // the counts of staff are stored, those of others are counted
				require.Equal(f.t, len(uuids), countInvitations(p, user, state), "%s's %q", user, state)
			}
		}
	}
}

// race creates one invitation at both processes. Then, by i modulo 4, both accept it, one accepts and the other cancels it,
// both cancel it, or nothing more happens.
func (f *faultCase) race(left, right *harness.Process, i int) {
	user := fmt.Sprintf("user%d", i%loadClients)
	body := harness.InvitationBodyFor(user+"@university.example", loadProjectUUID(i))
	create := newSender("POST", harness.InvitationsPath, "olivia", body)
	winner := f.both(left, create, right, create, http.StatusCreated, http.StatusBadRequest)
	var m harness.Invitation
	if err := json.Unmarshal([]byte(winner.Body), &m); err != nil {
		f.t.Errorf("%s: %v", winner.Body, err)
		return
	}
	f.record(&f.created, m.UUID)
	accept := newSender("POST", harness.InvitationsPath+m.UUID+"/accept/", user, "")
	cancel := newSender("POST", harness.InvitationsPath+m.UUID+"/cancel/", "olivia", "")
	switch i % 4 {
	case 0:
		f.both(left, accept, right, accept, http.StatusOK, http.StatusNotFound)
		f.record(&f.accepted, m.UUID)
	case 1:
		winner := f.both(left, accept, right, cancel, http.StatusOK, http.StatusNotFound, http.StatusBadRequest)
		if strings.Contains(winner.Body, "accepted") {
			f.record(&f.accepted, m.UUID)
		}
	case 2:
		f.both(left, cancel, right, cancel, http.StatusOK, http.StatusBadRequest)
	}
}

// sender sends a request to a process.
type sender func(*harness.Process) (harness.Response, error)

func newSender(method, path, user, body string) sender {
	return func(p *harness.Process) (harness.Response, error) { return p.TryDo(method, path, user, body) }
}

// both sends a request to each of two processes at the same time. One must answer with success, and the other with one of
// refusals. both returns the response with success.
func (f *faultCase) both(left *harness.Process, one sender, right *harness.Process, other sender, success int, refusals ...int) (winner harness.Response) {
	var (
		lefts, rights harness.Response
		errs          [2]error
		done          sync.WaitGroup
	)
	done.Go(func() { lefts, errs[0] = one(left) })
	done.Go(func() { rights, errs[1] = other(right) })
	done.Wait()
	won, lost := lefts, rights
	if won.Status != success {
		won, lost = rights, lefts
	}
	if errors.Join(errs[:]...) != nil || won.Status != success || !slices.Contains(refusals, lost.Status) {
		f.t.Errorf("%d %s, and %d %s; %v", lefts.Status, lefts.Body, rights.Status, rights.Body, errs)
	}
	return won
}

// countInvitations returns the number of invitations in a state that a process reports to a user. An empty state counts all.
func countInvitations(p *harness.Process, user, state string) int {
	p.T.Helper()
	path := harness.InvitationsPath + "?page_size=1"
	if state != "" {
		path += "&state=" + state
	}
	total, err := strconv.Atoi(p.Do("GET", path, user, "").Is(http.StatusOK).Header.Get("X-Result-Count"))
	require.NoError(p.T, err)
	return total
}

// A change that one process has answered is seen by the other at once: of an invitation, of an API key, of a user.
func TestReplicasSeeEachOther(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply()
		here, there := env.Serve(), env.Serve()
		for i := range 20 {
			id := here.Create(fmt.Sprintf("somebody%d@university.example", i)).UUID
			require.Equal(t, i+1, countInvitations(there, "sam", ""))
			require.Equal(t, 1, countInvitations(there, "olivia", "pending"))
			// Not asserted to be the first: the clocks of the processes differ by some milliseconds.
			require.Contains(t, there.Do("GET", harness.InvitationsPath+"?state=pending", "olivia", "").Is(http.StatusOK).Body, id)
			require.Equal(t, "pending", there.Get(id).State)
			there.Do("POST", harness.InvitationsPath+id+"/cancel/", "olivia", "").Is(http.StatusOK)
			require.Equal(t, "canceled", here.Get(id).State)
			require.Equal(t, 0, countInvitations(here, "sam", "pending"))
			require.Equal(t, i+1, countInvitations(here, "olivia", "canceled"))
			require.Contains(t, here.Do("GET", harness.InvitationsPath+id+"/events/", "olivia", "").Is(http.StatusOK).Body, `"canceled"`)
			here, there = there, here
		}
		id := here.Create("ina@university.example").UUID
		there.Do("POST", harness.InvitationsPath+id+"/accept/", "ina", "").Is(http.StatusOK)
		require.Contains(t, here.Do("GET", "/api/user-permissions/", "ina", "").Is(http.StatusOK).Body, harness.ProjectUUID)

		key := strings.TrimSpace(env.Run("", "token", "create", "--user", "ina").OK())
		inactive := strings.Replace(harness.Directory, "username: ina,", "username: ina, is_active: false,", 1)
		for _, each := range []*harness.Process{here, there} {
			each.Do("GET", harness.InvitationsPath, "", "", "Authorization", "Token "+key).Is(http.StatusOK)
		}
		require.NotEqual(t, harness.Directory, inactive)
		env.Run(inactive, "directory", "apply", "-f", "-").OK()
		for _, each := range []*harness.Process{here, there} {
			each.Do("GET", harness.InvitationsPath, "", "", "Authorization", "Token "+key).Is(http.StatusUnauthorized)
			each.Do("GET", harness.InvitationsPath, "ina", "").Is(http.StatusUnauthorized)
		}
		here.Stop()
		there.Stop()
	})
}
