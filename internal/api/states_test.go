package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/token"
)

// The kinds of the jobs that actions add.
var (
	deliverKind = invitation.Deliver{}.Kind()
	notifyKind  = invitation.Notify{}.Kind()
)

// A stateAction does something to an invitation as a user who may do it. guest is the invitee.
type stateAction struct {
	name string
	// changes is the action of invitation.Transitions that this is; empty: the table has none, because the action deletes
	// the invitation or changes nothing.
	changes invitation.Action
	do      func(e *env, id, guest string) response
}

var (
	acceptAction = stateAction{"accept", invitation.ActionAccept, func(e *env, id, guest string) response {
		return e.request("POST", at(id, "accept"), guest, nil)
	}}
	cancelAction = stateAction{"cancel", invitation.ActionCancel, func(e *env, id, _ string) response {
		return e.request("POST", at(id, "cancel"), "owner", nil)
	}}
	resendAction = stateAction{"send", invitation.ActionSend, func(e *env, id, _ string) response {
		return e.request("POST", at(id, "send"), "owner", nil)
	}}
	resendByStaffAction = stateAction{"send by staff", invitation.ActionSend, func(e *env, id, _ string) response {
		return e.request("POST", at(id, "send"), "staff", nil)
	}}
	// Only staff can edit, because only staff can invite in these tests.
	editAction = stateAction{"edit", invitation.ActionUpdate, func(e *env, id, guest string) response {
		return e.request("PATCH", at(id), "staff", map[string]string{"email": "new-" + guest + "@acme.example"})
	}}
	cancelInBulkAction = stateAction{"cancel in bulk", invitation.ActionCancel, func(e *env, id, _ string) response {
		return e.inBulk("cancel", "owner", id)
	}}
	resendInBulkAction = stateAction{"send in bulk", invitation.ActionSend, func(e *env, id, _ string) response {
		return e.inBulk("send", "owner", id)
	}}
	removeAction = stateAction{"delete", "", func(e *env, id, _ string) response {
		return e.request("POST", at(id, "delete"), "staff", nil)
	}}
	destroyAction = stateAction{"destroy", "", func(e *env, id, _ string) response {
		return e.request("DELETE", at(id), "owner", nil)
	}}
	checkAction = stateAction{"check", "", func(e *env, id, _ string) response {
		return e.request("POST", at(id, "check"), "", nil)
	}}
	detailsAction = stateAction{"details", "", func(e *env, id, guest string) response {
		return e.request("GET", at(id, "details"), guest, nil)
	}}
	approveAction = stateAction{"approve", invitation.ActionApprove, func(e *env, id, _ string) response {
		return e.request("POST", base+"approve/", "", map[string]string{"token": e.approvalToken(token.Approve, id)})
	}}
	rejectAction = stateAction{"reject", invitation.ActionReject, func(e *env, id, _ string) response {
		return e.request("POST", base+"reject/", "", map[string]string{"token": e.approvalToken(token.Reject, id)})
	}}
	approveSignedInAction = stateAction{"approve signed in", invitation.ActionApprove, func(e *env, id, _ string) response {
		return e.request("POST", at(id, "approve-request"), "staff", nil)
	}}
	rejectSignedInAction = stateAction{"reject signed in", invitation.ActionReject, func(e *env, id, _ string) response {
		return e.request("POST", at(id, "reject-request"), "staff", nil)
	}}
	declineAction = stateAction{"decline", invitation.ActionDecline, func(e *env, id, guest string) response {
		return e.request("POST", at(id, "decline"), guest, map[string]string{"reason": declineReason})
	}}
	undoAction = stateAction{"undo", invitation.ActionUndo, func(e *env, id, guest string) response {
		return e.request("POST", at(id, "undo-decline"), guest, nil)
	}}
	askAgainAction = stateAction{"ask again", "", func(e *env, id, guest string) response {
		return e.request("POST", at(id, "ask-again"), guest, nil)
	}}
	stateActions = []stateAction{
		acceptAction, cancelAction, cancelInBulkAction, resendAction, resendInBulkAction, resendByStaffAction, editAction, removeAction, destroyAction, checkAction, detailsAction, approveAction, rejectAction,
		approveSignedInAction, rejectSignedInAction, declineAction, undoAction, askAgainAction,
	}
)

const declineReason = "I have moved."

// Bodies of errors in the table.
var (
	reviewError    = `["Only requested invitations can be approved or rejected."]`
	cancelError    = `["Only pending or planned invitations can be canceled."]`
	editError      = `["Only pending invitations can be edited."]`
	sendError      = `["Only pending, expired and canceled invitations can be resent."]`
	tokenError     = `["Invalid invitation UUID."]`
	duplicateError = `{"email": ["Pending invitation already exists for this email and role."]}`
)

// An effect holds the changes of an allowed action. The zero value changes nothing.
type effect struct {
	to             server.InvitationState
	newLife        bool // created is now
	deleted        bool
	deliveries     int
	notices        int
	body           string // the body; empty: not checked
	noContent      bool   // 204
	newEmail       bool   // the e-mail is a new one
	declines       bool   // the invitation is declined; whatever else changes it makes it not declined
	addsMembership bool
}

var (
	noEffect    = effect{}
	isEdited    = effect{to: "pending", deliveries: 1, newEmail: true}
	isChanged   = effect{to: "project", newEmail: true}
	isDeleted   = effect{deleted: true, body: `{"detail": "Invitation has been successfully deleted."}`}
	isDestroyed = effect{deleted: true, noContent: true}
	isCanceled  = effect{to: "canceled", body: `{"detail": "Invitation has been successfully canceled."}`}
	isSent      = effect{
		to: "pending", deliveries: 1, body: `{"detail": "Invitation sending has been successfully scheduled."}`,
	}
	isAskedFor = effect{
		to: "requested", notices: 1, newLife: true,
		body: `{"detail": "Invitation sending has been successfully scheduled."}`,
	}
	isReopened = effect{
		to: "pending", deliveries: 1, newLife: true,
		body: `{"detail": "Invitation sending has been successfully scheduled."}`,
	}
	isDeclined   = effect{to: "canceled", declines: true, notices: 1, body: `{"detail": "Invitation has been declined."}`}
	isUndone     = effect{to: "pending", deliveries: 1, body: `{"detail": "Invitation is pending again."}`}
	isAskedAgain = effect{to: "expired", notices: 1, body: `{"detail": "The request for a new invitation has been sent."}`}
	isAccepted   = effect{
		to: "accepted", addsMembership: true, body: `{"detail": "Invitation has been successfully accepted."}`,
	}
	isApproved = effect{to: "pending", deliveries: 1, body: `{"detail": "Invitation has been approved."}`}
	isRejected = effect{to: "rejected", notices: 1, body: `{"detail": "Invitation has been rejected."}`}
)

// A stateRow is a state and how an invitation gets there. setUp runs on 2026-11-23 09:30, the actions run as much later as
// after says.
type stateRow struct {
	name  string
	shows server.InvitationState
	setUp func(e *env, guest string) uuid.UUID
	after time.Duration
	// undoable: the invitee has declined, and can undo that.
	undoable bool
}

// effects has the effect of each action in each state that allows the action.
var effects = map[string]map[server.InvitationState]effect{
	"approve":           {"requested": isApproved},
	"reject":            {"requested": isRejected},
	"accept":            {"pending": isAccepted},
	"approve signed in": {"requested": isApproved},
	"reject signed in":  {"requested": isRejected},
	"decline":           {"pending": isDeclined},
	"undo":              {"canceled": isUndone},
	// The inviter of each row may not invite without approval, and can send the invitation again all the same.
	"ask again": {"expired": isAskedAgain},
	"edit":      {"project": isChanged, "pending": isEdited},
	// Only staff can invite in these tests: what others reopen waits for approval.
	"send":          {"pending": isSent, "expired": isAskedFor, "canceled": isAskedFor},
	"send by staff": {"pending": isSent, "expired": isReopened, "canceled": isReopened},
	"cancel":        {"project": isCanceled, "pending": isCanceled},
	// One of many has the effect that it has by itself.
	"send in bulk":   {"pending": isSent, "expired": isAskedFor, "canceled": isAskedFor},
	"cancel in bulk": {"project": isCanceled, "pending": isCanceled},
	"delete":         inEachState(isDeleted),
	"destroy":        inEachState(isDestroyed),
	"check":          {"pending": noEffect},
	// The guest of an accepted invitation holds a role in the scope.
	"details": {"pending": noEffect, "expired": noEffect, "canceled": noEffect, "accepted": noEffect},
}

func inEachState(of effect) map[server.InvitationState]effect {
	all := map[server.InvitationState]effect{}
	for _, state := range invitation.States {
		all[server.InvitationState(state)] = of
	}
	return all
}

// possible returns the states that an action can lead to from a state, by invitation.Transitions; none: the action is
// refused in that state.
func (a stateAction) possible(from server.InvitationState) (to []invitation.State) {
	for _, transition := range invitation.Transitions {
		if transition.Action == a.changes && string(transition.From) == string(from) {
			to = append(to, transition.To...)
		}
	}
	return to
}

// allowed returns the effect of an action in a state, and whether the action is possible there: by invitation.Transitions
// where the action is one of that table. Of what is canceled, only a decline can be undone.
func (a stateAction) allowed(row stateRow) (effect, bool) {
	want, ok := effects[a.name][row.shows]
	if a.changes != "" {
		ok = len(a.possible(row.shows)) > 0
	}
	return want, ok && (a.changes != invitation.ActionUndo || row.undoable)
}

// Each action of invitation.Transitions that a user does is among the actions of this file, and has an effect in the
// states of the table and in no other. The effect leads to a state of the table. Each state has a row.
func TestEffectsAndTransitionsAgree(t *testing.T) {
	t.Parallel()
	others := []invitation.Action{invitation.ActionCreate, invitation.ActionStart, invitation.ActionEnd, invitation.ActionExpire}
	for _, transition := range invitation.Transitions {
		require.True(t, slices.Contains(others, transition.Action) ||
			slices.ContainsFunc(stateActions, func(a stateAction) bool { return a.changes == transition.Action }), "%v", transition)
	}
	for _, state := range invitation.States {
		shown := server.InvitationState(state)
		require.True(t, slices.ContainsFunc(stateTable, func(row stateRow) bool { return row.shows == shown }), "%s", state)
		for _, each := range stateActions {
			if each.changes == "" {
				continue
			}
			want, ok := effects[each.name][shown]
			to := each.possible(shown)
			require.Equal(t, len(to) > 0, ok, "%s in state %s", each.name, state)
			if ok {
				require.Contains(t, to, invitation.State(want.to), "%s in state %s", each.name, state)
			}
		}
	}
}

func byStaff(scope string) func(*env, string) uuid.UUID {
	return func(e *env, guest string) uuid.UUID {
		return e.create("staff", guest+"@acme.example", admin, scope).UUID
	}
}

func byOwner(e *env, guest string) uuid.UUID {
	return e.create("owner", guest+"@acme.example", admin, apollo).UUID
}

func then(setUp func(*env, string) uuid.UUID, next stateAction) func(*env, string) uuid.UUID {
	return func(e *env, guest string) uuid.UUID {
		id := setUp(e, guest)
		next.do(e, id.String(), guest).is(http.StatusOK, "")
		return id
	}
}

// storedExpired creates an invitation whose row says that it expired: the create of a second one stored that. The second
// one is deleted.
func storedExpired(e *env, guest string) uuid.UUID {
	id := byStaff(apollo)(e, guest)
	e.changeStored(id, func(i *invitation.Invitation) { i.Created = i.Created.Add(-lifetime) })
	removeAction.do(e, byStaff(apollo)(e, guest).String(), guest).is(http.StatusOK, "")
	require.Equal(e.t, invitation.Expired, e.stored(id).StoredState)
	return id
}

var artemisStarts = time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC).Sub(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))

var stateTable = []stateRow{
	{"project", "project", byStaff(artemis), 0, false},
	{"requested", "requested", byOwner, 0, false},
	{"rejected", "rejected", then(byOwner, rejectAction), 0, false},
	{"pending", "pending", byStaff(apollo), 0, false},
	{"pending, for a last microsecond", "pending", byStaff(apollo), lifetime - time.Microsecond, false},
	{"accepted", "accepted", then(byStaff(apollo), acceptAction), 0, false},
	{"canceled", "canceled", then(byStaff(apollo), cancelAction), 0, false},
	{"canceled, older than an invitation lives", "canceled", then(byStaff(apollo), cancelAction), 2 * lifetime, false},
	{"expired by time", "expired", byStaff(apollo), lifetime, false},
	{"expired and stored so", "expired", storedExpired, 0, false},
	{"declined", "canceled", then(byStaff(apollo), declineAction), 0, true},
	{"declined almost ten minutes ago", "canceled", then(byStaff(apollo), declineAction), 10*time.Minute - time.Microsecond, true},
}

// refusals has the status and the body of each action in a state that does not allow it.
var refusals = map[string]struct {
	status int
	body   string
}{
	"accept": {http.StatusNotFound, notFound}, "check": {http.StatusNotFound, notFound},
	"details": {http.StatusNotFound, notFound}, "cancel": {http.StatusBadRequest, cancelError},
	"edit": {http.StatusBadRequest, editError},
	"send": {http.StatusBadRequest, sendError}, "send by staff": {http.StatusBadRequest, sendError}, "approve": {http.StatusBadRequest, tokenError},
	"reject":            {http.StatusBadRequest, tokenError},
	"approve signed in": {http.StatusBadRequest, reviewError}, "reject signed in": {http.StatusBadRequest, reviewError},
	"cancel in bulk": {http.StatusBadRequest, cancelError}, "send in bulk": {http.StatusBadRequest, sendError},
	"decline": {http.StatusNotFound, notFound}, "undo": {http.StatusNotFound, notFound}, "ask again": {http.StatusNotFound, notFound},
}

// Every action runs in every state. An allowed action has its effect and no other; one that is not allowed changes
// nothing and adds no job.
func TestEveryActionInEveryState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(guests(len(stateTable) * len(stateActions)))
		for i, row := range stateTable {
			first := i * len(stateActions) // each invitation has its own guest
			ids := make([]string, len(stateActions))
			for j := range stateActions {
				ids[j] = row.setUp(e, guestName(first+j)).String()
			}
			e.clock.Advance(row.after)
			for j, each := range stateActions {
				e.tryAction(row, each, ids[j], guestName(first+j))
			}
			e.clock.Advance(-row.after)
		}
	}, onlyStaff)
}

// Only POST on an action's path does the action: a link scanner or a prefetching browser does not. The Allow header of a
// 405 has the methods of the path.
func TestOtherMethodsDoNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "Invitee@University.example", admin, apollo)
		id := made.UUID.String()
		group := e.group("owner", member, apollo).UUID.String()
		asked := e.submit("stranger", group).UUID.String()
		allow := map[string]string{
			base: "GET, HEAD, POST", at(id): "GET, PUT, PATCH, DELETE", at(id, "details"): "GET", at(id, "events"): "GET", at(id, "accept"): "POST",
			at(id, "cancel"): "POST",
			at(id, "check"):  "POST", at(id, "delete"): "POST", at(id, "send"): "POST", base + "approve/": "POST",
			base + "reject/": "POST", base + "check-duplicates/": "POST", feedPath: "GET", bulkAction: "POST",
			at(id, "decline"): "POST", at(id, "undo-decline"): "POST", at(id, "ask-again"): "POST", at(id, "approve-request"): "POST",
			at(id, "reject-request"): "POST", at(id, "link"): "GET", minePath: "GET, HEAD",
			bulks: "GET, HEAD, POST", bulkAt(id): "GET", bulkAt(id, "csv"): "GET", bulkAt(id, "cancel"): "POST",
			"/api/configuration/": "GET", "/api/identity-providers/": "GET", "/api/identity-providers/campus/": "GET",
			"/api-auth/campus/init/": "GET", "/api-auth/campus/complete/": "GET", "/api-auth/campus/": "POST", "/api-auth/token-exchange/": "POST",
			customersPath + acme + "/list_users/": "GET, HEAD", projectsPath + apollo + "/list_users/": "GET, HEAD",
			groups: "GET, HEAD, POST", groupAt(group): "GET, PUT, PATCH, DELETE", groupAt(group, "projects"): "GET", groupAt(group, "events"): "GET",
			groupAt(group, "cancel"): "POST", groupAt(group, "submit_request"): "POST", groupAt(group, "request"): "POST",
			permissionRequests: "GET, HEAD", requestAt(asked): "GET, DELETE", requestAt(asked, "approve"): "POST",
			requestAt(asked, "reject"): "POST", requestAt(asked, "cancel_request"): "POST",
			tokensPath: "GET, HEAD, POST", tokensPath + id + "/": "GET, DELETE", userTokenPath(made.UUID): "POST",
		}
		done := e.expectNoChange()
		for path, methods := range allow {
			// HEAD stands beside every GET.
			if methods == "GET" || strings.HasPrefix(methods, "GET, ") && !strings.Contains(methods, "HEAD") {
				methods = "GET, HEAD" + strings.TrimPrefix(methods, "GET")
			}
			for _, method := range []string{
				"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "PoSt",
			} {
				if slices.Contains(strings.Split(methods, ", "), method) {
					continue
				}
				for _, user := range []string{"staff", ""} {
					answer := e.request(method, path, user, nil)
					require.Equal(e.t, 405, answer.Status, "%s %s: %s", method, path, answer.Body)
					require.Equal(e.t, methods, answer.Header.Get("Allow"), "%s %s", method, path)
					if method != "HEAD" {
						answer.is(405, fmt.Sprintf(`{"detail": "Method \"%s\" not allowed."}`, method))
					}
				}
			}
			// A header or a parameter does not change the method.
			for _, query := range []string{"?_method=POST", "?token=" + e.approvalToken(token.Approve, id)} {
				r := e.newRequest("OPTIONS", path+query, "staff", nil)
				r.Header.Set("X-HTTP-Method-Override", "POST")
				require.Equal(e.t, 405, e.send(r).Status)
			}
		}
		for _, path := range []string{
			"/", "/api/", "/api", strings.TrimSuffix(base, "/"), at(id)[:len(at(id))-1], at(id, "accept")[:len(at(id, "accept"))-1],
			at(id, "Accept"), at(id, "update"), at(id, "accept") + "x", "/api/user-invitations//", "//api/user-invitations/",
			"/API/user-invitations/", base + "approve/" + id + "/", "/api/user-invitations/%2e%2e/",
		} {
			for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
				answer := e.request(method, path, "staff", nil)
				require.Contains(e.t, []int{404, 405, 308}, answer.Status, "%s %s: %s", method, path, answer.Body)
			}
		}
		done()
		require.EqualValues(e.t, "pending", e.seesRequest("staff", asked).State)
		require.Equal(e.t, "1", e.countRows("permission_requests"))
	})
}

func (e *env) tryAction(row stateRow, a stateAction, id, guest string) {
	e.t.Helper()
	name := row.name + ": " + a.name
	before := e.request("GET", at(id), "staff", nil).is(http.StatusOK, "")
	var was server.Invitation
	before.decode(&was)
	require.Equal(e.t, row.shows, was.State, name)
	rows, deliveries, notices, memberships := e.countInvitations(), e.countJobs(deliverKind), e.countJobs(notifyKind), len(e.memberships())
	stored, past := e.stored(was.UUID).StoredState, e.events(was.UUID)

	answer := a.do(e, id, guest)
	want, allowed := a.allowed(row)
	if !allowed {
		want = effect{}
		require.Equal(e.t, refusals[a.name].status, answer.Status, "%s: %s", name, answer.Body)
		require.JSONEq(e.t, refusals[a.name].body, answer.Body, name)
	} else {
		require.Equal(e.t, either(want.noContent, http.StatusNoContent, http.StatusOK), answer.Status, "%s: %s", name, answer.Body)
		if want.body != "" {
			require.JSONEq(e.t, want.body, answer.Body, name)
		}
	}

	happened := e.events(was.UUID)
	require.Equal(e.t, past, happened[:len(past)], name+": what has happened stays")
	require.Equal(e.t, wantEvents(row, a, want, stored, guest, answer), eventLines(happened[len(past):]), name+": events")
	require.Equal(e.t, deliveries+want.deliveries, e.countJobs(deliverKind), name+": deliveries")
	require.Equal(e.t, notices+want.notices, e.countJobs(notifyKind), name+": notices")
	if want.deleted {
		require.Equal(e.t, rows-1, e.countInvitations(), name)
		e.request("GET", at(id), "staff", nil).is(http.StatusNotFound, notFound)
		return
	}
	require.Equal(e.t, rows, e.countInvitations(), name)
	if want.addsMembership {
		memberships++
	}
	require.Len(e.t, e.memberships(), memberships, name)
	after := e.request("GET", at(id), "staff", nil).is(http.StatusOK, "")
	if want.to == "" {
		require.Equal(e.t, before.Body, after.Body, name+": the row changed")
		return
	}
	is := was
	is.State, is.DeclinedAt, is.DeclineReason = want.to, nil, ""
	if want.declines {
		is.DeclinedAt, is.DeclineReason = new(formatTime(e.clock.Now())), declineReason
	}
	if want.newEmail {
		is.Email = "new-" + guest + "@acme.example"
	}
	if want.newLife {
		is.Created = formatTime(e.clock.Now())
		is.Expires = formatTime(e.clock.Now().Add(lifetime))
	}
	var now server.Invitation
	after.decode(&now)
	require.Equal(e.t, is, now, name+": what the row became")
}

// guests returns a directory file with the users guest0, guest1 and so on, of acme.example.
func guests(n int) string {
	file := "users:\n"
	for i := range n {
		file += fmt.Sprintf("  - {username: %[1]s, email: %[1]s@acme.example, tokens: [%[1]s-key]}\n", guestName(i))
	}
	return file
}

func guestName(i int) string { return fmt.Sprintf("guest%d", i) }

// approvalToken returns a token of the user "staff" that is issued now.
func (e *env) approvalToken(purpose token.Purpose, id string) string {
	e.t.Helper()
	return e.service.Signer.Sign(token.Approval{
		Purpose: purpose, User: e.user("staff").UUID, Invitation: uuid.MustParse(id), Issued: e.clock.Now(),
	})
}

// user returns a user by username.
func (e *env) user(username string) directory.User {
	e.t.Helper()
	var found []directory.User
	require.NoError(e.t, e.db.FileStore().Read(e.context(), func(tx directory.FileTx) (err error) {
		found, err = tx.FindUsers(nil, []string{username})
		return err
	}))
	require.Len(e.t, found, 1)
	return found[0]
}

// memberships returns the active memberships in all customers.
func (e *env) memberships() []directory.Holder {
	e.t.Helper()
	var found []directory.Holder
	require.NoError(e.t, e.db.FileStore().Read(e.context(), func(tx directory.FileTx) (err error) {
		found, err = tx.HoldersIn([]uuid.UUID{uuid.MustParse(acme), uuid.MustParse(globex)})
		return err
	}))
	return found
}

// countInvitations returns the number of invitations.
func (e *env) countInvitations() int {
	e.t.Helper()
	_, answer := e.list("staff", "page_size=1")
	var count int
	_, err := fmt.Sscan(answer.Header.Get("X-Result-Count"), &count)
	require.NoError(e.t, err)
	return count
}

// stored returns the stored row of an invitation.
func (e *env) stored(id uuid.UUID) invitation.Invitation {
	e.t.Helper()
	var found invitation.Invitation
	require.NoError(e.t, e.db.Invitations().Read(e.context(), func(tx invitation.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	}))
	return found
}

// changeStored changes the stored row of an invitation. It applies no rules.
func (e *env) changeStored(id uuid.UUID, change func(*invitation.Invitation)) {
	e.t.Helper()
	require.NoError(e.t, e.db.Invitations().Change(context.Background(), func(tx invitation.Tx) ([]invitation.Change, error) {
		found, err := tx.FindForChange(id)
		changed := found
		change(&changed)
		return []invitation.Change{{Before: &found, After: &changed}}, err
	}))
}
