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

// The kinds of job that an action can ask for.
var (
	deliveries = invitation.Deliver{}.Kind()
	notices    = invitation.Notify{}.Kind()
)

// An action is done to an invitation by somebody who may; guest is the user whom it is meant for.
type action struct {
	name string
	do   func(w *world, id, guest string) response
}

var (
	accept = action{"accept", func(w *world, id, guest string) response {
		return w.request("POST", at(id, "accept"), guest, nil)
	}}
	cancel = action{"cancel", func(w *world, id, _ string) response {
		return w.request("POST", at(id, "cancel"), "owner", nil)
	}}
	resend = action{"send", func(w *world, id, _ string) response {
		return w.request("POST", at(id, "send"), "owner", nil)
	}}
	remove = action{"delete", func(w *world, id, _ string) response {
		return w.request("POST", at(id, "delete"), "staff", nil)
	}}
	// By staff, for only they may invite in these worlds.
	edit = action{"edit", func(w *world, id, guest string) response {
		return w.request("PATCH", at(id), "staff", map[string]string{"email": "new-" + guest + "@acme.example"})
	}}
	destroy = action{"destroy", func(w *world, id, _ string) response {
		return w.request("DELETE", at(id), "owner", nil)
	}}
	check = action{"check", func(w *world, id, _ string) response {
		return w.request("POST", at(id, "check"), "", nil)
	}}
	look = action{"details", func(w *world, id, guest string) response {
		return w.request("GET", at(id, "details"), guest, nil)
	}}
	approve = action{"approve", func(w *world, id, _ string) response {
		return w.request("POST", base+"approve/", "", map[string]string{"token": w.approval(token.Approve, id)})
	}}
	reject = action{"reject", func(w *world, id, _ string) response {
		return w.request("POST", base+"reject/", "", map[string]string{"token": w.approval(token.Reject, id)})
	}}
	actions = []action{accept, cancel, resend, edit, remove, destroy, check, look, approve, reject}
)

// The refusals of the table.
var (
	refuseCancel = `["Only pending or planned invitations can be canceled."]`
	refuseEdit   = `["Only pending invitations can be edited."]`
	refuseSend   = `["Only pending, expired and canceled invitations can be resent."]`
	refuseToken  = `["Invalid invitation UUID."]`
	twice        = `{"email": ["Pending invitation already exists for this email and role."]}`
)

// An allowed action leads to a state, or, where that is empty, changes nothing; and it asks for jobs.
type allowed struct {
	to          server.InvitationState
	fresh       bool // a full new life: created is now
	gone        bool
	delivers    int
	tells       int
	says        string // the body, where it says something
	silent      bool   // 204
	readdressed bool   // its e-mail is another one
	holdsRoleIn bool
}

var (
	staysAsItIs = allowed{}
	isEdited    = allowed{to: "pending", delivers: 1, readdressed: true}
	isChanged   = allowed{to: "project", readdressed: true}
	isDeleted   = allowed{gone: true, says: `{"detail": "Invitation has been successfully deleted."}`}
	isDestroyed = allowed{gone: true, silent: true}
	isCanceled  = allowed{to: "canceled", says: `{"detail": "Invitation has been successfully canceled."}`}
	isSent      = allowed{
		to: "pending", delivers: 1, says: `{"detail": "Invitation sending has been successfully scheduled."}`,
	}
	isReopened = allowed{
		to: "pending", delivers: 1, fresh: true,
		says: `{"detail": "Invitation sending has been successfully scheduled."}`,
	}
	isAccepted = allowed{
		to: "accepted", holdsRoleIn: true, says: `{"detail": "Invitation has been successfully accepted."}`,
	}
	isApproved = allowed{to: "pending", delivers: 1, says: `{"detail": "Invitation has been approved."}`}
	isRejected = allowed{to: "rejected", tells: 1, says: `{"detail": "Invitation has been rejected."}`}
)

// A state of the table: how an invitation for somebody gets there, and what may be done to it then. It is set up
// on 2026-11-23 09:30; what is done to it is done later, by as much as "after" says.
type stateRow struct {
	name    string
	shows   server.InvitationState
	setUp   func(w *world, guest string) uuid.UUID
	after   time.Duration
	allowed map[string]allowed
}

func byStaff(scope string) func(*world, string) uuid.UUID {
	return func(w *world, guest string) uuid.UUID {
		return w.create("staff", guest+"@acme.example", admin, scope).UUID
	}
}

func byOwner(w *world, guest string) uuid.UUID {
	return w.create("owner", guest+"@acme.example", admin, apollo).UUID
}

func then(first func(*world, string) uuid.UUID, next action) func(*world, string) uuid.UUID {
	return func(w *world, guest string) uuid.UUID {
		id := first(w, guest)
		next.do(w, id.String(), guest).is(http.StatusOK, "")
		return id
	}
}

// storedExpired makes an invitation whose row says that it expired: another was made in its place, and deleted.
func storedExpired(w *world, guest string) uuid.UUID {
	id := byStaff(apollo)(w, guest)
	w.store(id, func(i *invitation.Invitation) { i.Created = i.Created.Add(-lifetime) })
	remove.do(w, byStaff(apollo)(w, guest).String(), guest).is(http.StatusOK, "")
	require.Equal(w.t, invitation.Expired, w.stored(id).StoredState)
	return id
}

var artemisStarts = time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC).Sub(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))

var stateTable = []stateRow{
	{"project", "project", byStaff(artemis), 0, map[string]allowed{
		"cancel": isCanceled, "edit": isChanged, "delete": isDeleted, "destroy": isDestroyed,
	}},
	{"requested", "requested", byOwner, 0, map[string]allowed{
		"delete": isDeleted, "destroy": isDestroyed, "approve": isApproved, "reject": isRejected,
	}},
	{"rejected", "rejected", then(byOwner, reject), 0, map[string]allowed{"delete": isDeleted, "destroy": isDestroyed}},
	{"pending", "pending", byStaff(apollo), 0, map[string]allowed{
		"accept": isAccepted, "cancel": isCanceled, "send": isSent, "edit": isEdited, "delete": isDeleted, "destroy": isDestroyed,
		"check": staysAsItIs, "details": staysAsItIs,
	}},
	{"pending, for a last microsecond", "pending", byStaff(apollo), lifetime - time.Microsecond, map[string]allowed{
		"accept": isAccepted, "cancel": isCanceled, "send": isSent, "edit": isEdited, "delete": isDeleted, "destroy": isDestroyed,
		"check": staysAsItIs, "details": staysAsItIs,
	}},
	{"accepted", "accepted", then(byStaff(apollo), accept), 0, map[string]allowed{
		"delete": isDeleted, "destroy": isDestroyed, "details": staysAsItIs, // who accepted holds a role there
	}},
	{"canceled", "canceled", then(byStaff(apollo), cancel), 0, map[string]allowed{
		"send": isReopened, "delete": isDeleted, "destroy": isDestroyed, "details": staysAsItIs,
	}},
	{
		"canceled, older than an invitation lives", "canceled", then(byStaff(apollo), cancel), 2 * lifetime,
		map[string]allowed{"send": isReopened, "delete": isDeleted, "destroy": isDestroyed, "details": staysAsItIs},
	},
	{"expired by time", "expired", byStaff(apollo), lifetime, map[string]allowed{
		"send": isReopened, "delete": isDeleted, "destroy": isDestroyed, "details": staysAsItIs,
	}},
	{
		"expired by time, before its project started", "expired", byStaff(artemis), artemisStarts + lifetime,
		map[string]allowed{"send": isReopened, "delete": isDeleted, "destroy": isDestroyed, "details": staysAsItIs},
	},
	{"expired and stored so", "expired", storedExpired, 0, map[string]allowed{
		"send": isReopened, "delete": isDeleted, "destroy": isDestroyed, "details": staysAsItIs,
	}},
}

// What each action is refused with where the state does not allow it.
var refusals = map[string]struct {
	status int
	body   string
}{
	"accept": {http.StatusNotFound, notFound}, "check": {http.StatusNotFound, notFound},
	"details": {http.StatusNotFound, notFound}, "cancel": {http.StatusBadRequest, refuseCancel},
	"edit": {http.StatusBadRequest, refuseEdit},
	"send": {http.StatusBadRequest, refuseSend}, "approve": {http.StatusBadRequest, refuseToken},
	"reject": {http.StatusBadRequest, refuseToken},
}

// Every action in every state: what the table of behaviour allows does what it says, and nothing else; what it does
// not allow changes nothing and sends nothing.
func TestEveryActionInEveryState(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(guests(len(stateTable) * len(actions)))
		for i, row := range stateTable {
			first := i * len(actions) // each invitation is for a guest of its own
			ids := make([]string, len(actions))
			for j := range actions {
				ids[j] = row.setUp(w, guest(first+j)).String()
			}
			w.clock.Advance(row.after)
			for j, each := range actions {
				w.tryAction(row, each, ids[j], guest(first+j))
			}
			w.clock.Advance(-row.after)
		}
	}, func(p *invitation.Policy) { p.OnlyStaffCanInvite = true })
}

// Only what waits for its invitee, or for its project, expires.
func TestARequestDoesNotExpire(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(guests(1))
		id := byOwner(w, guest(0))
		w.clock.Advance(10 * lifetime)
		require.EqualValues(w.t, "requested", w.see(id).State)
		w.request("POST", base, "owner", draft(guest(0)+"@acme.example", admin, apollo)).is(http.StatusBadRequest, twice)
		reject.do(w, id.String(), guest(0)).is(http.StatusOK, isRejected.says)
	}, func(p *invitation.Policy) { p.OnlyStaffCanInvite = true })
}

// A link scanner, a browser that looks ahead, a method that is not meant: nothing but POST on an action does it, and
// each path says which methods it has.
func TestOtherMethodsDoNothing(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "Invitee@University.example", admin, apollo)
		id := made.UUID.String()
		allow := map[string]string{
			base: "GET, HEAD, POST", at(id): "GET, PUT, PATCH, DELETE", at(id, "details"): "GET", at(id, "events"): "GET", at(id, "accept"): "POST",
			at(id, "cancel"): "POST",
			at(id, "check"):  "POST", at(id, "delete"): "POST", at(id, "send"): "POST", base + "approve/": "POST",
			base + "reject/": "POST", base + "check-duplicates/": "POST",
		}
		done := w.untouched()
		for path, methods := range allow {
			for _, method := range []string{
				"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "PoSt",
			} {
				if slices.Contains(strings.Split(methods, ", "), method) {
					continue
				}
				for _, user := range []string{"staff", ""} {
					answer := w.request(method, path, user, nil)
					require.Equal(w.t, 405, answer.Status, "%s %s: %s", method, path, answer.Body)
					require.Equal(w.t, methods, answer.Header.Get("Allow"), "%s %s", method, path)
					if method != "HEAD" {
						answer.is(405, fmt.Sprintf(`{"detail": "Method \"%s\" not allowed."}`, method))
					}
				}
			}
			// Nor does a header, or a parameter, make another method of one.
			for _, query := range []string{"?_method=POST", "?token=" + w.approval(token.Approve, id)} {
				r := w.newRequest("OPTIONS", path+query, "staff", nil)
				r.Header.Set("X-HTTP-Method-Override", "POST")
				require.Equal(w.t, 405, w.send(r).Status)
			}
		}
		for _, path := range []string{
			"/", "/api/", "/api", strings.TrimSuffix(base, "/"), at(id)[:len(at(id))-1], at(id, "accept")[:len(at(id, "accept"))-1],
			at(id, "Accept"), at(id, "update"), at(id, "accept") + "x", "/api/user-invitations//", "//api/user-invitations/",
			"/API/user-invitations/", base + "approve/" + id + "/", "/api/user-invitations/%2e%2e/",
		} {
			for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
				answer := w.request(method, path, "staff", nil)
				require.Contains(w.t, []int{404, 405}, answer.Status, "%s %s: %s", method, path, answer.Body)
			}
		}
		done()
	})
}

func (w *world) tryAction(row stateRow, a action, id, guest string) {
	w.t.Helper()
	name := row.name + ": " + a.name
	before := w.request("GET", at(id), "staff", nil).is(http.StatusOK, "")
	var was server.Invitation
	before.into(&was)
	require.Equal(w.t, row.shows, was.State, name)
	rows, delivers, tells, holders := w.rows(), w.jobs(deliveries), w.jobs(notices), len(w.holders())
	stored, past := w.stored(was.UUID).StoredState, w.events(was.UUID)

	answer := a.do(w, id, guest)
	want, may := row.allowed[a.name]
	if !may {
		require.Equal(w.t, refusals[a.name].status, answer.Status, "%s: %s", name, answer.Body)
		require.JSONEq(w.t, refusals[a.name].body, answer.Body, name)
	} else {
		require.Equal(w.t, first(want.silent, http.StatusNoContent, http.StatusOK), answer.Status, "%s: %s", name, answer.Body)
		if want.says != "" {
			require.JSONEq(w.t, want.says, answer.Body, name)
		}
	}

	happened := w.events(was.UUID)
	require.Equal(w.t, past, happened[:len(past)], name+": what has happened stays")
	require.Equal(w.t, eventsOf(row, a, want, stored, guest, answer), told(happened[len(past):]), name+": events")
	require.Equal(w.t, delivers+want.delivers, w.jobs(deliveries), name+": deliveries")
	require.Equal(w.t, tells+want.tells, w.jobs(notices), name+": notices")
	if want.gone {
		require.Equal(w.t, rows-1, w.rows(), name)
		w.request("GET", at(id), "staff", nil).is(http.StatusNotFound, notFound)
		return
	}
	require.Equal(w.t, rows, w.rows(), name)
	if want.holdsRoleIn {
		holders++
	}
	require.Len(w.t, w.holders(), holders, name)
	after := w.request("GET", at(id), "staff", nil).is(http.StatusOK, "")
	if want.to == "" {
		require.Equal(w.t, before.Body, after.Body, name+": the row changed")
		return
	}
	is := was
	is.State = want.to
	if want.readdressed {
		is.Email = "new-" + guest + "@acme.example"
	}
	if want.fresh {
		is.Created = w.clock.Now().Format("2006-01-02T15:04:05.000000Z")
		is.Expires = w.clock.Now().Add(lifetime).Format("2006-01-02T15:04:05.000000Z")
	}
	var now server.Invitation
	after.into(&now)
	require.Equal(w.t, is, now, name+": what the row became")
}

// guests is a directory file with users called guest0, guest1 and so on, of acme.example.
func guests(n int) string {
	file := "users:\n"
	for i := range n {
		file += fmt.Sprintf("  - {username: %[1]s, email: %[1]s@acme.example, tokens: [%[1]s-key]}\n", guest(i))
	}
	return file
}

func guest(i int) string { return fmt.Sprintf("guest%d", i) }

// approval is a token that the user "staff" could have been mailed just now.
func (w *world) approval(purpose token.Purpose, id string) string {
	w.t.Helper()
	return w.service.Signer.Sign(token.Approval{
		Purpose: purpose, User: w.user("staff").UUID, Invitation: uuid.MustParse(id), Issued: w.clock.Now(),
	})
}

// user is a user of the world.
func (w *world) user(username string) directory.User {
	w.t.Helper()
	var found []directory.User
	require.NoError(w.t, w.db.Directory().Read(w.t.Context(), func(tx directory.FileTx) (err error) {
		found, err = tx.FindUsers(nil, []string{username})
		return err
	}))
	require.Len(w.t, found, 1)
	return found[0]
}

// holders are the memberships in force of all customers.
func (w *world) holders() []directory.Holder {
	w.t.Helper()
	var found []directory.Holder
	require.NoError(w.t, w.db.Directory().Read(w.t.Context(), func(tx directory.FileTx) (err error) {
		found, err = tx.HoldersIn([]uuid.UUID{uuid.MustParse(acme), uuid.MustParse(globex)})
		return err
	}))
	return found
}

// rows counts the invitations that there are.
func (w *world) rows() int {
	w.t.Helper()
	_, answer := w.list("staff", "page_size=1")
	var count int
	_, err := fmt.Sscan(answer.Header.Get("X-Result-Count"), &count)
	require.NoError(w.t, err)
	return count
}

// stored is an invitation as it is stored.
func (w *world) stored(id uuid.UUID) invitation.Invitation {
	w.t.Helper()
	var found invitation.Invitation
	require.NoError(w.t, w.db.Invitations().Read(w.t.Context(), func(tx invitation.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	}))
	return found
}

// store changes an invitation as it is stored, by no rule.
func (w *world) store(id uuid.UUID, change func(*invitation.Invitation)) {
	w.t.Helper()
	require.NoError(w.t, w.db.Invitations().Write(context.Background(), func(tx invitation.Tx) error {
		found, err := tx.Lock(id)
		if err != nil {
			return err
		}
		changed := found
		change(&changed)
		return tx.Replace(found, changed, invitation.Event{})
	}))
}
