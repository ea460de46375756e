package api_test

import (
	"fmt"
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
	crowdSize = 50 // requests at the same time
	rounds    = 8  // repetitions of two requests at the same time
)

// tally counts responses by status and body.
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

func (e *env) acceptRequest(id uuid.UUID, user string) *http.Request {
	e.t.Helper()
	return e.newRequest("POST", at(id.String(), "accept"), user, nil)
}

// Of concurrent accepts, by one user or by many, one succeeds and adds one membership.
func TestConcurrentAccepts(t *testing.T) {
	for name, policy := range map[string]func(*invitation.Policy){
		"no rule about members": func(*invitation.Policy) {}, "one role for a user": disableMultiple, "one manager": oneManager,
	} {
		t.Run(name, func(t *testing.T) { onEachEngine(t, concurrentAccepts, policy) })
	}
}

func concurrentAccepts(e *env) {
	e.t.Helper()
	e.apply(guests(crowdSize))
	for _, who := range []func(int) string{
		func(int) string { return "invitee" },
		guestName,
	} {
		made := e.create("owner", "somebody@example.org", admin, apollo)
		members := len(e.memberships())
		requests := make([]*http.Request, crowdSize)
		for i := range requests {
			requests[i] = e.acceptRequest(made.UUID, who(i))
		}
		require.Equal(e.t, map[string]int{wasAccepted: 1, wasNotFound: crowdSize - 1}, tally(e.sendAtOnce(requests...)))
		require.Len(e.t, e.memberships(), members+1)
		require.EqualValues(e.t, "accepted", e.retrieve(made.UUID).State)
	}
}

// Of concurrent creates with one address, in any case of letters, one succeeds and adds a row and a job.
func TestConcurrentCreates(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for round := range 4 {
			requests := make([]*http.Request, crowdSize)
			for i := range requests {
				email := fmt.Appendf(nil, "somebody%d@example.org", round)
				for j := range email {
					if email[j] >= 'a' && i>>(j%6)&1 == 1 {
						email[j] -= 'a' - 'A'
					}
				}
				requests[i] = e.newRequest("POST", base, "owner", draft(string(email), admin, apollo))
			}
			made := 0
			for _, each := range e.sendAtOnce(requests...) {
				if each.Status == http.StatusCreated {
					made++
					continue
				}
				each.is(http.StatusBadRequest, duplicateError)
			}
			require.Equal(e.t, 1, made)
			require.Equal(e.t, round+1, e.countInvitations())
			require.Equal(e.t, round+1, e.countJobs(deliverKind))
		}
	})
}

// A racePair is two concurrent requests about one invitation. Each of its possible ends is the end of one order of the
// two requests.
type racePair struct {
	name        string
	make        func(e *env, round int) uuid.UUID
	left, right func(e *env, id uuid.UUID) *http.Request
	ends        []raceEnd
}

// A raceEnd has the two statuses, the state of the invitation (empty: deleted), and the numbers of added jobs and
// memberships.
type raceEnd struct {
	left, right                      int
	state                            server.InvitationState
	deliveries, notices, memberships int
}

func actionRequest(user, name string) func(*env, uuid.UUID) *http.Request {
	return func(e *env, id uuid.UUID) *http.Request {
		return e.newRequest("POST", at(id.String(), name), user, nil)
	}
}

func bulkRequest(user, action string) func(*env, uuid.UUID) *http.Request {
	return func(e *env, id uuid.UUID) *http.Request {
		return e.newRequest("POST", bulkAction, user, map[string]any{"action": action, "uuids": []uuid.UUID{id}})
	}
}

func destroyRequest(user string) func(*env, uuid.UUID) *http.Request {
	return func(e *env, id uuid.UUID) *http.Request { return e.newRequest("DELETE", at(id.String()), user, nil) }
}

// newEmailRequest changes the e-mail of an invitation.
func newEmailRequest(user string) func(*env, uuid.UUID) *http.Request {
	return func(e *env, id uuid.UUID) *http.Request {
		return e.newRequest("PATCH", at(id.String()), user, map[string]string{"email": id.String() + "@acme.example"})
	}
}

// newRoleRequest changes the role of an invitation.
func newRoleRequest(user string) func(*env, uuid.UUID) *http.Request {
	return func(e *env, id uuid.UUID) *http.Request {
		return e.newRequest("PATCH", at(id.String()), user, map[string]string{"role": manager})
	}
}

func decisionRequest(path string, purpose token.Purpose) func(*env, uuid.UUID) *http.Request {
	return func(e *env, id uuid.UUID) *http.Request {
		return e.newRequest("POST", base+path+"/", "", map[string]string{"token": e.approvalToken(purpose, id.String())})
	}
}

func pendingFor(e *env, round int) uuid.UUID { return byStaff(apollo)(e, guestName(round)) }

func canceledFor(e *env, round int) uuid.UUID {
	return then(byStaff(apollo), cancelAction)(e, guestName(round))
}

func requestedFor(e *env, round int) uuid.UUID { return byOwner(e, guestName(round)) }

// createAgainRequest creates an invitation like an existing one.
func createAgainRequest(e *env, id uuid.UUID) *http.Request {
	return e.newRequest("POST", base, "staff", draft(e.stored(id).Email, admin, apollo))
}

// acceptAsGuest accepts an invitation as the guest to whom it is addressed.
func acceptAsGuest(e *env, id uuid.UUID) *http.Request {
	name, _, _ := strings.Cut(e.stored(id).Email, "@")
	return e.acceptRequest(id, name)
}

var racePairs = []racePair{
	{"accept, cancel", pendingFor, acceptAsGuest, actionRequest("owner", "cancel"), []raceEnd{
		{200, 400, "accepted", 0, 0, 1},
		{404, 200, "canceled", 0, 0, 0},
	}},
	{"accept, cancel in bulk", pendingFor, acceptAsGuest, bulkRequest("owner", "cancel"), []raceEnd{
		{200, 200, "accepted", 0, 0, 1},
		{404, 200, "canceled", 0, 0, 0},
	}},
	{"cancel in bulk, cancel in bulk", pendingFor, bulkRequest("owner", "cancel"), bulkRequest("staff", "cancel"), []raceEnd{
		{200, 200, "canceled", 0, 0, 0},
	}},
	{"send in bulk, send", pendingFor, bulkRequest("owner", "send"), actionRequest("staff", "send"), []raceEnd{
		{200, 200, "pending", 2, 0, 0},
	}},
	{"edit, delete in bulk", pendingFor, newEmailRequest("staff2"), bulkRequest("staff", "delete"), []raceEnd{
		{200, 200, "", 1, 0, 0},
		{404, 200, "", 0, 0, 0},
	}},
	{"accept, delete", pendingFor, acceptAsGuest, actionRequest("staff", "delete"), []raceEnd{
		{200, 200, "", 0, 0, 1},
		{404, 200, "", 0, 0, 0},
	}},
	{"accept, send", pendingFor, acceptAsGuest, actionRequest("owner", "send"), []raceEnd{
		{200, 400, "accepted", 0, 0, 1},
		{200, 200, "accepted", 1, 0, 1},
	}},
	{"approve, reject", requestedFor, decisionRequest("approve", token.Approve), decisionRequest("reject", token.Reject), []raceEnd{
		{200, 400, "pending", 1, 0, 0},
		{400, 200, "rejected", 0, 1, 0},
	}},
	{"approve, approve", requestedFor, decisionRequest("approve", token.Approve), decisionRequest("approve", token.Approve), []raceEnd{
		{200, 400, "pending", 1, 0, 0},
		{400, 200, "pending", 1, 0, 0},
	}},
	{"approve, delete", requestedFor, decisionRequest("approve", token.Approve), actionRequest("staff", "delete"), []raceEnd{
		{200, 200, "", 1, 0, 0},
		{400, 200, "", 0, 0, 0},
	}},
	{"send, send", pendingFor, actionRequest("owner", "send"), actionRequest("staff", "send"), []raceEnd{
		{200, 200, "pending", 2, 0, 0},
	}},
	{"send, send of a canceled one", canceledFor, actionRequest("owner", "send"), actionRequest("staff", "send"), []raceEnd{
		{200, 200, "pending", 2, 0, 0},
		{200, 400, "requested", 0, 1, 0},
	}},
	{"send of a canceled one, create of another", canceledFor, actionRequest("owner", "send"), createAgainRequest, []raceEnd{
		{200, 400, "requested", 0, 1, 0},
		{400, 201, "canceled", 1, 0, 0},
	}},
	{"cancel, send", pendingFor, actionRequest("owner", "cancel"), actionRequest("staff", "send"), []raceEnd{
		{200, 200, "pending", 1, 0, 0},
		{200, 200, "canceled", 1, 0, 0},
	}},
	{"cancel, cancel", pendingFor, actionRequest("owner", "cancel"), actionRequest("staff", "cancel"), []raceEnd{
		{200, 400, "canceled", 0, 0, 0},
		{400, 200, "canceled", 0, 0, 0},
	}},
	{"accept, edit", pendingFor, acceptAsGuest, newEmailRequest("staff"), []raceEnd{
		{200, 400, "accepted", 0, 0, 1},
		{404, 200, "pending", 1, 0, 0},
	}},
	{"accept, edit of the role", pendingFor, acceptAsGuest, newRoleRequest("staff"), []raceEnd{
		{200, 400, "accepted", 0, 0, 1},
		{200, 200, "accepted", 0, 0, 1},
	}},
	{"cancel, edit", pendingFor, actionRequest("owner", "cancel"), newRoleRequest("staff"), []raceEnd{
		{200, 400, "canceled", 0, 0, 0},
		{200, 200, "canceled", 0, 0, 0},
	}},
	{"cancel, edit of the e-mail", pendingFor, actionRequest("owner", "cancel"), newEmailRequest("staff"), []raceEnd{
		{200, 400, "canceled", 0, 0, 0},
		{200, 200, "canceled", 1, 0, 0},
	}},
	{"send, edit", pendingFor, actionRequest("owner", "send"), newEmailRequest("staff"), []raceEnd{{200, 200, "pending", 2, 0, 0}}},
	{"edit, edit", pendingFor, newRoleRequest("staff"), newEmailRequest("staff2"), []raceEnd{{200, 200, "pending", 1, 0, 0}}},
	{"edit, delete", pendingFor, newEmailRequest("staff2"), actionRequest("staff", "delete"), []raceEnd{
		{200, 200, "", 1, 0, 0},
		{404, 200, "", 0, 0, 0},
	}},
	{"edit, destroy", pendingFor, newRoleRequest("staff2"), destroyRequest("owner"), []raceEnd{
		{200, 204, "", 0, 0, 0},
		{404, 204, "", 0, 0, 0},
	}},
	{"accept, destroy", pendingFor, acceptAsGuest, destroyRequest("owner"), []raceEnd{
		{200, 204, "", 0, 0, 1},
		{404, 204, "", 0, 0, 0},
	}},
	{"destroy, delete", pendingFor, destroyRequest("owner"), actionRequest("staff", "delete"), []raceEnd{
		{204, 404, "", 0, 0, 0},
		{404, 200, "", 0, 0, 0},
	}},
	{"delete, delete", pendingFor, actionRequest("staff", "delete"), actionRequest("staff2", "delete"), []raceEnd{
		{200, 404, "", 0, 0, 0},
		{404, 200, "", 0, 0, 0},
	}},
}

func TestConcurrentPairs(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(guests(len(racePairs) * rounds))
		for i, each := range racePairs {
			for round := range rounds {
				id := each.make(e, i*rounds+round)
				deliveries, notices, memberships := e.countJobs(deliverKind), e.countJobs(notifyKind), len(e.memberships())

				answers := e.sendAtOnce(each.left(e, id), each.right(e, id))
				end := raceEnd{
					left: answers[0].Status, right: answers[1].Status,
					deliveries: e.countJobs(deliverKind) - deliveries, notices: e.countJobs(notifyKind) - notices,
					memberships: len(e.memberships()) - memberships,
				}
				if seen := e.request("GET", at(id.String()), "staff", nil); seen.Status == http.StatusOK {
					var left server.Invitation
					seen.decode(&left)
					end.state = left.State
				}
				require.Contains(e.t, each.ends, end, "%s: %s | %s", each.name, answers[0].Body, answers[1].Body)
			}
		}
	}, onlyStaff)
}

// projects returns a directory file with n projects of Acme without members, and their uuids.
func projects(n int) (file string, ids []string) {
	file = "customers:\n  - name: Acme\n    uuid: " + acme + "\n    projects:\n"
	for i := range n {
		ids = append(ids, uuid.NewString())
		file += fmt.Sprintf("      - {name: Project %d, uuid: %s}\n", i, ids[i])
	}
	return file, ids
}

// inProject is draft for a project that is not in directoryFile.
func inProject(email, role, project string) map[string]any {
	return map[string]any{"email": email, "role": role, "scope": "https://anywhere.example/api/projects/" + project + "/"}
}

// Where a project can have one manager only, one of two concurrent accepts succeeds.
func TestConcurrentAcceptsWithOneManager(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.raceForRoles(func(round int) []racer {
			return []racer{{guestName(2 * round), manager}, {guestName(2*round + 1), manager}}
		}, `400 ["Project already has an active project manager."]`)
	}, oneManager)
}

// Where a user can have one role in a scope only, one of two concurrent accepts succeeds.
func TestConcurrentAcceptsWithMultipleRolesDisabled(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.raceForRoles(func(int) []racer {
			return []racer{{"invitee", admin}, {"invitee", manager}}
		}, `400 ["User already has role within this scope."]`)
	}, disableMultiple)
}

// A racer is a user who accepts an invitation with a role.
type racer struct{ user, role string }

func (e *env) raceForRoles(racers func(round int) []racer, loses string) {
	e.t.Helper()
	file, ids := projects(rounds)
	e.apply(file)
	e.apply(guests(2 * rounds))
	for round, project := range ids {
		var requests []*http.Request
		for i, each := range racers(round) {
			var made server.Invitation
			email := fmt.Sprintf("racer%d@example.org", i)
			e.request("POST", base, "owner", inProject(email, each.role, project)).is(http.StatusCreated, "").decode(&made)
			requests = append(requests, e.acceptRequest(made.UUID, each.user))
		}
		require.Equal(e.t, map[string]int{wasAccepted: 1, loses: 1}, tally(e.sendAtOnce(requests...)))
		members := 0
		for _, each := range e.memberships() {
			if each.ScopeUUID.String() == project {
				members++
			}
		}
		require.Equal(e.t, 1, members)
	}
}

// A user who accepts two invitations with the same role at the same time gets one membership.
func TestConcurrentAcceptsOfSameRole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.raceForRoles(func(int) []racer {
			return []racer{{"invitee", admin}, {"invitee", admin}}
		}, `400 ["User has already the same role in this scope."]`)
	})
}

// Many concurrent actions on a few invitations cause no 5xx, and leave at most one open invitation for each address.
func TestManyConcurrentActions(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(guests(3))
		var ids []uuid.UUID
		for i := range 3 {
			ids = append(ids, pendingFor(e, i))
		}
		var requests []*http.Request
		for i := range crowdSize {
			id := ids[i%len(ids)]
			switch i % 5 {
			case 0:
				requests = append(requests, actionRequest("owner", "cancel")(e, id))
			case 1:
				requests = append(requests, actionRequest("staff", "send")(e, id))
			case 2:
				requests = append(requests, createAgainRequest(e, id))
			case 3:
				requests = append(requests, e.newRequest("GET", base+"?state=pending&o=state", "owner", nil))
			default:
				requests = append(requests, actionRequest("owner", "details")(e, id))
				requests[i].Method = http.MethodGet
			}
		}
		for _, each := range e.sendAtOnce(requests...) {
			require.Contains(e.t, []int{200, 201, 400}, each.Status, each.Body)
		}
		open, _ := e.list("staff", "state=pending&page_size=300")
		var emails []string
		for _, each := range open {
			emails = append(emails, each.Email)
		}
		slices.Sort(emails)
		require.Len(e.t, slices.Compact(slices.Clone(emails)), len(emails), emails)
	})
}

// An update at the time of expiry either happens before the expiry, or is rejected.
func TestConcurrentUpdateAndExpiry(t *testing.T) {
	onEachEngine(t, func(e *env) {
		edited := 0
		for round := range 2 * rounds {
			made := e.create("owner", fmt.Sprintf("old%d@x.example", round), admin, apollo)
			e.clock.Advance(lifetime - time.Microsecond)
			request := e.newRequest("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": fmt.Sprintf("new%d@x.example", round)})
			var end sync.WaitGroup
			end.Go(func() {
				e.clock.Advance(time.Microsecond)
				e.sweep()
			})
			answer := e.sendAtOnce(request)[0]
			end.Wait()
			e.sweep()

			seen := e.retrieve(made.UUID)
			require.EqualValues(e.t, "expired", seen.State)
			require.Equal(e.t, invitation.Expired, e.stored(made.UUID).StoredState)
			happened := []string{}
			for _, each := range e.events(made.UUID) {
				happened = append(happened, string(*each.EventType))
			}
			if answer.Status == http.StatusOK {
				edited++
				require.Equal(e.t, fmt.Sprintf("new%d@x.example", round), seen.Email)
				require.Equal(e.t, []string{"created", "updated", "expired"}, happened)
			} else {
				answer.is(http.StatusBadRequest, editError)
				require.Equal(e.t, made.Email, seen.Email)
				require.Equal(e.t, []string{"created", "expired"}, happened)
			}
			e.requireEventChain(made.UUID)
		}
		e.t.Logf("%d of %d were edited", edited, 2*rounds)
	})
}

// raceSize is the number of concurrent requests where each needs an invitation of its own.
const raceSize = 8

// countStatuses returns the number of responses with each status.
func countStatuses(all []response) map[int]int {
	statuses := map[int]int{}
	for _, each := range all {
		statuses[each.Status]++
	}
	return statuses
}

// A send of an expired invitation and creates with the same e-mail, role and scope: one succeeds.
func TestConcurrentSendAndCreateAfterExpiry(t *testing.T) {
	onEachEngine(t, func(e *env) {
		old := e.create("owner", "a@x.example", admin, apollo)
		e.clock.Advance(lifetime)
		requests := []*http.Request{e.newRequest("POST", at(old.UUID.String(), "send"), "owner", nil)}
		for range raceSize - 1 {
			requests = append(requests, e.newRequest("POST", base, "owner", draft("a@x.example", admin, apollo)))
		}
		answers := e.sendAtOnce(requests...)
		statuses := countStatuses(answers)
		require.Equal(e.t, raceSize-1, statuses[http.StatusBadRequest], statuses)
		require.Equal(e.t, 1, statuses[http.StatusCreated]+statuses[http.StatusOK], statuses)
		require.Len(e.t, e.emails("owner", "state=pending"), 1)
	})
}

func TestConcurrentReopenings(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var requests []*http.Request
		for range raceSize {
			made := e.create("owner", "a@x.example", admin, apollo)
			e.do("owner", made.UUID, "cancel").is(http.StatusOK, canceledBody)
			requests = append(requests, e.newRequest("POST", at(made.UUID.String(), "send"), "owner", nil))
		}
		require.Equal(e.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: raceSize - 1}, countStatuses(e.sendAtOnce(requests...)))
		require.Len(e.t, e.emails("owner", "state=pending"), 1)
	})
}
