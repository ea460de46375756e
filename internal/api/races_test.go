package api_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/token"
)

const (
	crowd  = 50 // requests at once
	rounds = 8  // of two requests at once
)

// atOnce sends requests at once and checks every answer against the contract. Connections, to the server and to the
// database, are there before: to make one takes longer than to lose a race.
func (w *world) atOnce(requests ...*http.Request) []response {
	w.t.Helper()
	client := &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: len(requests)},
	}
	defer client.CloseIdleConnections()
	answers, bodies, errs := make([]*http.Response, len(requests)), make([][]byte, len(requests)), make([]error, len(requests))
	var all, ready sync.WaitGroup
	for i, r := range requests {
		warmUp := w.newRequest("GET", base, "staff", nil)
		ready.Add(1)
		all.Go(func() {
			if answer, err := client.Do(warmUp); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			ready.Done()
			ready.Wait()
			if answers[i], errs[i] = client.Do(r); errs[i] == nil {
				bodies[i], errs[i] = io.ReadAll(answers[i].Body)
				_ = answers[i].Body.Close()
			}
		})
	}
	all.Wait()
	out := make([]response, len(requests))
	for i := range requests {
		require.NoError(w.t, errs[i])
		conforms(w.t, requests[i], answers[i], bodies[i])
		out[i] = response{w.t, answers[i].StatusCode, answers[i].Header, string(bodies[i])}
	}
	return out
}

// tally groups answers by status and body.
func tally(answers []response) map[string]int {
	counts := map[string]int{}
	for _, each := range answers {
		counts[fmt.Sprint(each.Status, " ", strings.TrimSpace(each.Body))]++
	}
	return counts
}

const (
	wasAccepted = `200 {"detail":"Invitation has been successfully accepted."}`
	wasNotFound = `404 {"detail":"Not found."}`
)

func (w *world) accepting(id uuid.UUID, user string) *http.Request {
	w.t.Helper()
	return w.newRequest("POST", at(id.String(), "accept"), user, nil)
}

// Of any number of accepts at once one wins, and one membership comes of it, whether one user or many hurry.
func TestOneAcceptWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(guests(crowd))
		for _, who := range []func(int) string{
			func(int) string { return "invitee" },
			guest,
		} {
			made := w.create("owner", "somebody@example.org", admin, apollo)
			holders := len(w.holders())
			requests := make([]*http.Request, crowd)
			for i := range requests {
				requests[i] = w.accepting(made.UUID, who(i))
			}
			require.Equal(w.t, map[string]int{wasAccepted: 1, wasNotFound: crowd - 1}, tally(w.atOnce(requests...)))
			require.Len(w.t, w.holders(), holders+1)
			require.EqualValues(w.t, "accepted", w.see(made.UUID).State)
		}
	})
}

// Of any number of equal creates at once, in whatever case the address is written, one makes a row and a job.
func TestOneCreateWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for round := range 4 {
			requests := make([]*http.Request, crowd)
			for i := range requests {
				email := fmt.Appendf(nil, "somebody%d@example.org", round)
				for j := range email {
					if email[j] >= 'a' && i>>(j%6)&1 == 1 {
						email[j] -= 'a' - 'A'
					}
				}
				requests[i] = w.newRequest("POST", base, "owner", draft(string(email), admin, apollo))
			}
			made := 0
			for _, each := range w.atOnce(requests...) {
				if each.Status == http.StatusCreated {
					made++
					continue
				}
				each.is(http.StatusBadRequest, twice)
			}
			require.Equal(w.t, 1, made)
			require.Equal(w.t, round+1, w.rows())
			require.Equal(w.t, round+1, w.jobs(deliveries))
		}
	})
}

// A duel is two requests at once on one invitation. Each end it can have is an order of the two that would have
// been possible one after the other.
type duel struct {
	name        string
	make        func(w *world, round int) uuid.UUID
	left, right func(w *world, id uuid.UUID) *http.Request
	ends        []duelEnd
}

// A duelEnd is the two statuses, the state that is left (empty: nothing), and the jobs and memberships that came.
type duelEnd struct {
	left, right                int
	state                      server.InvitationState
	delivers, tells, newMember int
}

func act(user, name string) func(*world, uuid.UUID) *http.Request {
	return func(w *world, id uuid.UUID) *http.Request {
		return w.newRequest("POST", at(id.String(), name), user, nil)
	}
}

func destroying(user string) func(*world, uuid.UUID) *http.Request {
	return func(w *world, id uuid.UUID) *http.Request { return w.newRequest("DELETE", at(id.String()), user, nil) }
}

// readdressing gives an invitation another e-mail.
func readdressing(user string) func(*world, uuid.UUID) *http.Request {
	return func(w *world, id uuid.UUID) *http.Request {
		return w.newRequest("PATCH", at(id.String()), user, map[string]string{"email": id.String() + "@acme.example"})
	}
}

// promoting gives an invitation another role.
func promoting(user string) func(*world, uuid.UUID) *http.Request {
	return func(w *world, id uuid.UUID) *http.Request {
		return w.newRequest("PATCH", at(id.String()), user, map[string]string{"role": manager})
	}
}

func decide(path string, purpose token.Purpose) func(*world, uuid.UUID) *http.Request {
	return func(w *world, id uuid.UUID) *http.Request {
		return w.newRequest("POST", base+path+"/", "", map[string]string{"token": w.approval(purpose, id.String())})
	}
}

func pendingFor(w *world, round int) uuid.UUID { return byStaff(apollo)(w, guest(round)) }

func canceledFor(w *world, round int) uuid.UUID {
	return then(byStaff(apollo), cancel)(w, guest(round))
}

func requestedFor(w *world, round int) uuid.UUID { return byOwner(w, guest(round)) }

// again makes a second invitation like the one that was canceled.
func again(w *world, id uuid.UUID) *http.Request {
	return w.newRequest("POST", base, "staff", draft(w.stored(id).Email, admin, apollo))
}

// byGuest accepts as the guest whom it is for.
func byGuest(w *world, id uuid.UUID) *http.Request {
	name, _, _ := strings.Cut(w.stored(id).Email, "@")
	return w.accepting(id, name)
}

var duels = []duel{
	{"accept, cancel", pendingFor, byGuest, act("owner", "cancel"), []duelEnd{
		{200, 400, "accepted", 0, 0, 1},
		{404, 200, "canceled", 0, 0, 0},
	}},
	{"accept, delete", pendingFor, byGuest, act("staff", "delete"), []duelEnd{
		{200, 200, "", 0, 0, 1},
		{404, 200, "", 0, 0, 0},
	}},
	{"accept, send", pendingFor, byGuest, act("owner", "send"), []duelEnd{
		{200, 400, "accepted", 0, 0, 1},
		{200, 200, "accepted", 1, 0, 1},
	}},
	{"approve, reject", requestedFor, decide("approve", token.Approve), decide("reject", token.Reject), []duelEnd{
		{200, 400, "pending", 1, 0, 0},
		{400, 200, "rejected", 0, 1, 0},
	}},
	{"approve, approve", requestedFor, decide("approve", token.Approve), decide("approve", token.Approve), []duelEnd{
		{200, 400, "pending", 1, 0, 0},
		{400, 200, "pending", 1, 0, 0},
	}},
	{"approve, delete", requestedFor, decide("approve", token.Approve), act("staff", "delete"), []duelEnd{
		{200, 200, "", 1, 0, 0},
		{400, 200, "", 0, 0, 0},
	}},
	{"send, send", pendingFor, act("owner", "send"), act("staff", "send"), []duelEnd{
		{200, 200, "pending", 2, 0, 0},
	}},
	{"send, send of a canceled one", canceledFor, act("owner", "send"), act("staff", "send"), []duelEnd{
		{200, 200, "pending", 2, 0, 0},
	}},
	{"send of a canceled one, create of another", canceledFor, act("owner", "send"), again, []duelEnd{
		{200, 400, "pending", 1, 0, 0},
		{400, 201, "canceled", 1, 0, 0},
	}},
	{"cancel, send", pendingFor, act("owner", "cancel"), act("staff", "send"), []duelEnd{
		{200, 200, "pending", 1, 0, 0},
		{200, 200, "canceled", 1, 0, 0},
	}},
	{"cancel, cancel", pendingFor, act("owner", "cancel"), act("staff", "cancel"), []duelEnd{
		{200, 400, "canceled", 0, 0, 0},
		{400, 200, "canceled", 0, 0, 0},
	}},
	{"accept, edit", pendingFor, byGuest, readdressing("staff"), []duelEnd{
		{200, 400, "accepted", 0, 0, 1},
		{404, 200, "pending", 1, 0, 0},
	}},
	{"accept, edit of the role", pendingFor, byGuest, promoting("staff"), []duelEnd{
		{200, 400, "accepted", 0, 0, 1},
		{200, 200, "accepted", 0, 0, 1},
	}},
	{"cancel, edit", pendingFor, act("owner", "cancel"), promoting("staff"), []duelEnd{
		{200, 400, "canceled", 0, 0, 0},
		{200, 200, "canceled", 0, 0, 0},
	}},
	{"cancel, edit of the e-mail", pendingFor, act("owner", "cancel"), readdressing("staff"), []duelEnd{
		{200, 400, "canceled", 0, 0, 0},
		{200, 200, "canceled", 1, 0, 0},
	}},
	{"send, edit", pendingFor, act("owner", "send"), readdressing("staff"), []duelEnd{{200, 200, "pending", 2, 0, 0}}},
	{"edit, edit", pendingFor, promoting("staff"), readdressing("staff2"), []duelEnd{{200, 200, "pending", 1, 0, 0}}},
	{"edit, delete", pendingFor, readdressing("staff2"), act("staff", "delete"), []duelEnd{
		{200, 200, "", 1, 0, 0},
		{404, 200, "", 0, 0, 0},
	}},
	{"edit, destroy", pendingFor, promoting("staff2"), destroying("owner"), []duelEnd{
		{200, 204, "", 0, 0, 0},
		{404, 204, "", 0, 0, 0},
	}},
	{"accept, destroy", pendingFor, byGuest, destroying("owner"), []duelEnd{
		{200, 204, "", 0, 0, 1},
		{404, 204, "", 0, 0, 0},
	}},
	{"destroy, delete", pendingFor, destroying("owner"), act("staff", "delete"), []duelEnd{
		{204, 404, "", 0, 0, 0},
		{404, 200, "", 0, 0, 0},
	}},
	{"delete, delete", pendingFor, act("staff", "delete"), act("staff2", "delete"), []duelEnd{
		{200, 404, "", 0, 0, 0},
		{404, 200, "", 0, 0, 0},
	}},
}

func TestDuels(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(guests(len(duels) * rounds))
		for i, each := range duels {
			for round := range rounds {
				id := each.make(w, i*rounds+round)
				delivers, tells, holders := w.jobs(deliveries), w.jobs(notices), len(w.holders())

				answers := w.atOnce(each.left(w, id), each.right(w, id))
				end := duelEnd{
					left: answers[0].Status, right: answers[1].Status,
					delivers: w.jobs(deliveries) - delivers, tells: w.jobs(notices) - tells,
					newMember: len(w.holders()) - holders,
				}
				if seen := w.request("GET", at(id.String()), "staff", nil); seen.Status == http.StatusOK {
					var left server.Invitation
					seen.into(&left)
					end.state = left.State
				}
				require.Contains(w.t, each.ends, end, "%s: %s | %s", each.name, answers[0].Body, answers[1].Body)
			}
		}
	}, func(p *invitation.Policy) { p.OnlyStaffCanInvite = true })
}

// projects is a directory file with projects of Acme that nobody is in, with the uuids returned.
func projects(n int) (file string, ids []string) {
	file = "customers:\n  - name: Acme\n    uuid: " + acme + "\n    projects:\n"
	for i := range n {
		ids = append(ids, uuid.NewString())
		file += fmt.Sprintf("      - {name: Project %d, uuid: %s}\n", i, ids[i])
	}
	return file, ids
}

// inProject is draft for a project that is not in the world file.
func inProject(email, role, project string) map[string]any {
	return map[string]any{"email": email, "role": role, "scope": "https://anywhere.example/api/projects/" + project + "/"}
}

// Where a project can have one manager only, the second of two who accept at once is refused.
func TestOneManagerWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.raceForRoles(func(round int) []racer {
			return []racer{{guest(2 * round), manager}, {guest(2*round + 1), manager}}
		}, `400 ["Project already has an active project manager."]`)
	}, func(p *invitation.Policy) { p.OneProjectManager = true })
}

// Where a user can have one role only, the second of two that they accept at once is refused.
func TestOneRoleWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.raceForRoles(func(int) []racer {
			return []racer{{"invitee", admin}, {"invitee", manager}}
		}, `400 ["User already has role within this scope."]`)
	}, func(p *invitation.Policy) { p.DisableMultipleRoles = true })
}

// A racer is a user who accepts a role.
type racer struct{ user, role string }

func (w *world) raceForRoles(racers func(round int) []racer, loses string) {
	w.t.Helper()
	file, ids := projects(rounds)
	w.apply(file)
	w.apply(guests(2 * rounds))
	for round, project := range ids {
		var requests []*http.Request
		for i, each := range racers(round) {
			var made server.Invitation
			email := fmt.Sprintf("racer%d@example.org", i)
			w.request("POST", base, "owner", inProject(email, each.role, project)).is(http.StatusCreated, "").into(&made)
			requests = append(requests, w.accepting(made.UUID, each.user))
		}
		require.Equal(w.t, map[string]int{wasAccepted: 1, loses: 1}, tally(w.atOnce(requests...)))
		holders := 0
		for _, each := range w.holders() {
			if each.ScopeUUID.String() == project {
				holders++
			}
		}
		require.Equal(w.t, 1, holders)
	}
}

// Two invitations to the same role, in one project: who accepts both at once is a member once.
func TestOneMembershipOfTwoInvitations(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.raceForRoles(func(int) []racer {
			return []racer{{"invitee", admin}, {"invitee", admin}}
		}, `400 ["User has already the same role in this scope."]`)
	})
}

// Whatever many people do at once to a few invitations, nothing breaks: every answer is one of the contract's, none
// is a failure, and no more than one invitation stands open for each address.
func TestCrowdedInvitations(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(guests(3))
		var ids []uuid.UUID
		for i := range 3 {
			ids = append(ids, pendingFor(w, i))
		}
		var requests []*http.Request
		for i := range crowd {
			id := ids[i%len(ids)]
			switch i % 5 {
			case 0:
				requests = append(requests, act("owner", "cancel")(w, id))
			case 1:
				requests = append(requests, act("staff", "send")(w, id))
			case 2:
				requests = append(requests, again(w, id))
			case 3:
				requests = append(requests, w.newRequest("GET", base+"?state=pending&o=state", "owner", nil))
			default:
				requests = append(requests, act("owner", "details")(w, id))
				requests[i].Method = http.MethodGet
			}
		}
		for _, each := range w.atOnce(requests...) {
			require.Contains(w.t, []int{200, 201, 400}, each.Status, each.Body)
		}
		open, _ := w.list("staff", "state=pending&page_size=300")
		var emails []string
		for _, each := range open {
			emails = append(emails, each.Email)
		}
		slices.Sort(emails)
		require.Len(w.t, slices.Compact(slices.Clone(emails)), len(emails), emails)
	})
}

// An edit and the end of an invitation's time, at once: either it was edited and expired then, or it expired and was not.
func TestEditRacesExpiry(t *testing.T) {
	inEachWorld(t, func(w *world) {
		edited := 0
		for round := range 2 * rounds {
			made := w.create("owner", fmt.Sprintf("old%d@x.example", round), admin, apollo)
			w.clock.Advance(lifetime - time.Microsecond)
			request := w.newRequest("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": fmt.Sprintf("new%d@x.example", round)})
			var end sync.WaitGroup
			end.Go(func() {
				w.clock.Advance(time.Microsecond)
				w.sweep()
			})
			answer := w.atOnce(request)[0]
			end.Wait()
			w.sweep()

			seen := w.see(made.UUID)
			require.EqualValues(w.t, "expired", seen.State)
			require.Equal(w.t, invitation.Expired, w.stored(made.UUID).StoredState)
			happened := []string{}
			for _, each := range w.events(made.UUID) {
				happened = append(happened, string(*each.EventType))
			}
			if answer.Status == http.StatusOK {
				edited++
				require.Equal(w.t, fmt.Sprintf("new%d@x.example", round), seen.Email)
				require.Equal(w.t, []string{"created", "updated", "expired"}, happened)
			} else {
				answer.is(http.StatusBadRequest, refuseEdit)
				require.Equal(w.t, made.Email, seen.Email)
				require.Equal(w.t, []string{"created", "expired"}, happened)
			}
			w.chained(made.UUID)
		}
		w.t.Logf("%d of %d were edited", edited, 2*rounds)
	})
}
