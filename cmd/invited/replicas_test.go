package main

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
)

// crowd is how many invitations are raced for at once.
const crowd = 24

// Two processes on one database, both at work, are asked for the same at once: of each pair one wins, whoever it is. Then
// both tell the same, which is what the database has, and everybody was mailed once.
func TestReplicasAtOnce(t *testing.T) {
	onEachTrial(t, "two replicas asked for the same at once", func(x *trial) {
		x.s.run(loadPeople(), "directory", "apply", "-f", "-").ok()
		left, right := x.s.serve(), x.s.serve()
		x.crowded(left, right)
		x.judge(20*time.Second, 0)
		for _, each := range []*served{left, right} {
			each.stop()
			require.NotContains(x.t, each.stderr.String(), "level=ERROR")
			require.NotContains(x.t, each.stderr.String(), "status=5")
		}
	})
}

// crowded has two processes asked for the same at once, and holds what they then tell against the database.
func (x *trial) crowded(left, right *served) {
	x.t.Helper()
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() { x.race(left, right, i) })
	}
	all.Wait()
	require.Len(x.t, x.created, crowd, "one of each pair of creates")
	for _, state := range []string{"", "pending", "accepted", "canceled"} {
		there := x.rows("SELECT uuid FROM invitations WHERE state = '" + state + "' OR '' = '" + state + "'")
		require.NotEmpty(x.t, there)
		for _, p := range []*served{left, right} {
			for _, user := range []string{"sam", "olivia"} { // whose numbers are kept, and whose are counted
				require.Equal(x.t, len(there), p.total(user, state), "%s's %q", user, state)
			}
		}
	}
}

// race asks both processes for the same invitation, and then, of four in turn, to accept it, to accept it here and cancel it
// there, to cancel it, or for nothing more.
func (x *trial) race(left, right *served, i int) {
	user := fmt.Sprintf("user%d", i%loadClients)
	body := strings.Replace(draft(user+"@university.example"), project, loadProject(i), 1)
	create := asking("POST", invitations, "olivia", body)
	winner := x.both(left, create, right, create, http.StatusCreated, http.StatusBadRequest)
	var m made
	if err := json.Unmarshal([]byte(winner.body), &m); err != nil {
		x.t.Errorf("%s: %v", winner.body, err)
		return
	}
	x.promised(&x.created, m.UUID)
	accept := asking("POST", invitations+m.UUID+"/accept/", user, "")
	cancel := asking("POST", invitations+m.UUID+"/cancel/", "olivia", "")
	switch i % 4 {
	case 0:
		x.both(left, accept, right, accept, http.StatusOK, http.StatusNotFound)
		x.promised(&x.accepted, m.UUID)
	case 1:
		winner := x.both(left, accept, right, cancel, http.StatusOK, http.StatusNotFound, http.StatusBadRequest)
		if strings.Contains(winner.body, "accepted") {
			x.promised(&x.accepted, m.UUID)
		}
	case 2:
		x.both(left, cancel, right, cancel, http.StatusOK, http.StatusBadRequest)
	}
}

// request is one that any process can be asked.
type request func(*served) (answer, error)

func asking(method, path, user, body string) request {
	return func(p *served) (answer, error) { return p.try(method, path, user, body) }
}

// both asks two processes at once. One must answer with success, and the other with a refusal. It returns the success.
func (x *trial) both(left *served, one request, right *served, other request, success int, refusals ...int) (winner answer) {
	var (
		lefts, rights answer
		errs          [2]error
		done          sync.WaitGroup
	)
	done.Go(func() { lefts, errs[0] = one(left) })
	done.Go(func() { rights, errs[1] = other(right) })
	done.Wait()
	won, lost := lefts, rights
	if won.status != success {
		won, lost = rights, lefts
	}
	if errors.Join(errs[:]...) != nil || won.status != success || !slices.Contains(refusals, lost.status) {
		x.t.Errorf("%d %s, and %d %s; %v", lefts.status, lefts.body, rights.status, rights.body, errs)
	}
	return won
}

// total is how many invitations in a state a user is told there are.
func (p *served) total(user, state string) int {
	p.t.Helper()
	path := invitations + "?page_size=1"
	if state != "" {
		path += "&state=" + state
	}
	count, err := strconv.Atoi(p.ask("GET", path, user, "").is(http.StatusOK).header.Get("X-Result-Count"))
	require.NoError(p.t, err)
	return count
}

// What one process has answered, the other knows at once: an invitation and what becomes of it, a key and who is let in.
func TestReplicasSeeEachOther(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.apply()
		here, there := s.serve(), s.serve()
		for i := range 20 {
			id := here.create(fmt.Sprintf("somebody%d@university.example", i)).UUID
			require.Equal(t, i+1, there.total("sam", ""))
			require.Equal(t, 1, there.total("olivia", "pending"))
			// Not the first: each process reckons the time, and it is some milliseconds off the other's.
			require.Contains(t, there.ask("GET", invitations+"?state=pending", "olivia", "").is(http.StatusOK).body, id)
			require.Equal(t, "pending", there.see(id).State)
			there.ask("POST", invitations+id+"/cancel/", "olivia", "").is(http.StatusOK)
			require.Equal(t, "canceled", here.see(id).State)
			require.Equal(t, 0, here.total("sam", "pending"))
			require.Equal(t, i+1, here.total("olivia", "canceled"))
			require.Contains(t, here.ask("GET", invitations+id+"/events/", "olivia", "").is(http.StatusOK).body, `"canceled"`)
			here, there = there, here
		}
		id := here.create("ina@university.example").UUID
		there.ask("POST", invitations+id+"/accept/", "ina", "").is(http.StatusOK)
		require.Contains(t, here.ask("GET", "/api/user-permissions/", "ina", "").is(http.StatusOK).body, project)

		key := strings.TrimSpace(s.run("", "token", "create", "--user", "ina").ok())
		out := strings.Replace(people, "username: ina,", "username: ina, is_active: false,", 1)
		for _, each := range []*served{here, there} {
			each.ask("GET", invitations, "", "", "Authorization", "Token "+key).is(http.StatusOK)
		}
		require.NotEqual(t, people, out)
		s.run(out, "directory", "apply", "-f", "-").ok()
		for _, each := range []*served{here, there} {
			each.ask("GET", invitations, "", "", "Authorization", "Token "+key).is(http.StatusUnauthorized)
			each.ask("GET", invitations, "ina", "").is(http.StatusUnauthorized)
		}
		here.stop()
		there.stop()
	})
}
