package api_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/token"
)

// An invitation that waits for its project is never ended by what the directory says of the project: when the start date is
// taken away long after the invitation was made, its life begins and it is delivered.
func TestStartDateTakenAwayBeginsLife(t *testing.T) {
	onEachEngine(t, func(e *env) {
		planned := e.create("owner", "Invitee@University.example", admin, artemis)
		e.clock.Advance(3 * lifetime)
		e.applyReplaced("start_date: 2026-12-24", "start_date: null")
		seen := e.retrieve(planned.UUID)
		require.Equal(e.t, server.InvitationStateProject, seen.State)
		require.Equal(e.t, formatTime(e.clock.Now().Add(lifetime)), seen.Expires)
		require.Len(e.t, e.emails("invitee", "state=project"), 1)
		for hours, found := range map[time.Duration]int{lifetime: 0, lifetime + time.Microsecond: 1} {
			before := formatTime(e.clock.Now().Add(hours))
			require.Len(e.t, e.emails("owner", "expires_before="+before), found, before)
		}

		e.clock.Advance(time.Hour)
		e.sweep()
		started := e.retrieve(planned.UUID)
		require.Equal(e.t, server.InvitationStatePending, started.State)
		require.Equal(e.t, formatTime(e.clock.Now()), started.Created)
		require.Equal(e.t, formatTime(e.clock.Now().Add(lifetime)), started.Expires)
		require.Len(e.t, e.deliveryJobs(planned.UUID), 1)
		require.Empty(e.t, e.noticeJobsOf(invitation.NoticeExpired))
		e.do("invitee", planned.UUID, "accept").is(http.StatusOK, "")
	})
}

// Many projects start with one sweep, as a single one does.
func TestSweepStartsManyAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		first := e.create("owner", "a@x.example", admin, artemis)
		second := e.create("owner", "b@x.example", admin, artemis)
		other := e.create("owner", "c@x.example", admin, apollo)
		e.clock.Advance(60 * 24 * time.Hour)
		e.sweep()
		for _, each := range []server.Invitation{first, second} {
			require.Equal(e.t, formatTime(e.clock.Now()), e.retrieve(each.UUID).Created)
			require.Equal(e.t, "pending", e.state(each.UUID))
		}
		require.Equal(e.t, other.Created, e.retrieve(other.UUID).Created)
	})
}

// actor returns a user with what they hold now.
func (e *env) actor(username string) directory.Actor {
	e.t.Helper()
	found, err := directory.Authenticate(e.context(), e.db, username+"-key")
	require.NoError(e.t, err)
	return found
}

// A request ends as every other invitation does, and its creator is told. Sending it asks staff again, with links that work.
func TestRequestExpires(t *testing.T) {
	onEachEngine(t, func(e *env) {
		asked := e.create("owner", "guest@example.com", admin, apollo)
		first := e.sign(token.Approve, e.userID("staff"), asked.UUID)
		e.clock.Advance(lifetime - time.Microsecond)
		e.sweep()
		require.Equal(e.t, "requested", e.state(asked.UUID))
		require.Empty(e.t, e.noticeJobsOf(invitation.NoticeExpired))
		e.clock.Advance(time.Microsecond)
		require.Equal(e.t, "expired", e.state(asked.UUID), "it is expired before a sweep")
		require.Equal(e.t, []string{"guest@example.com"}, e.emails("staff", "state=expired"))
		require.Empty(e.t, e.emails("staff", "state=requested"))
		for _, role := range []string{admin, member} { // an expired request stands in nobody's way, and a second sweep does nothing
			e.create("owner", "other@example.com", role, apollo)
		}
		e.sweep()
		e.sweep()
		require.Len(e.t, e.noticeJobsOf(invitation.NoticeExpired), 1)
		require.Equal(e.t, e.userID("owner"), e.noticeJobsOf(invitation.NoticeExpired)[0].User)

		e.do("owner", asked.UUID, "send").is(http.StatusOK, "")
		require.Equal(e.t, "requested", e.state(asked.UUID))
		require.Equal(e.t, formatTime(e.clock.Now()), e.retrieve(asked.UUID).Created)
		jobs := e.noticeJobs(asked.UUID)
		require.Equal(e.t, invitation.NoticeRequested, jobs[len(jobs)-1].Notice)
		e.decide("approve", first).is(http.StatusBadRequest, "")
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), asked.UUID)).is(http.StatusOK, "")
		require.Equal(e.t, "pending", e.state(asked.UUID))
	}, onlyStaff)
}

// Another invitation for the same person takes the place of a request that has expired.
func TestExpiredRequestIsNoDuplicate(t *testing.T) {
	onEachEngine(t, func(e *env) {
		asked := e.create("owner", "guest@example.com", admin, apollo)
		e.clock.Advance(lifetime)
		e.create("owner", "guest@example.com", admin, apollo)
		require.Equal(e.t, "expired", e.state(asked.UUID))
	}, onlyStaff)
}

// Where no staff user can be mailed, a request says so, and the log warns. Approving it begins its delivery.
func TestRequestThatNobodyIsAsked(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.service.Logger = slog.New(slog.NewTextHandler(e.log, nil))
		e.exec("UPDATE users SET notifications_enabled = FALSE WHERE is_staff")
		asked := e.create("owner", "guest@example.com", admin, apollo)
		nobody := func() {
			e.t.Helper()
			seen := e.retrieve(asked.UUID)
			require.Equal(e.t, "requested", string(seen.State))
			require.Equal(e.t, "Erred", string(seen.ExecutionState))
			require.Contains(e.t, seen.ErrorMessage, "no staff user can be mailed")
			require.Contains(e.t, e.log.String(), "level=WARN")
			require.Contains(e.t, e.log.String(), "no staff user can be mailed")
		}
		nobody()
		require.Equal(e.t, "Erred", string(asked.ExecutionState))
		e.clock.Advance(lifetime)
		e.log.reset()
		e.do("owner", asked.UUID, "send").is(http.StatusOK, "")
		nobody()

		e.decide("approve", e.sign(token.Approve, e.userID("staff"), asked.UUID)).is(http.StatusOK, "")
		seen := e.retrieve(asked.UUID)
		require.Equal(e.t, "Scheduled", string(seen.ExecutionState))
		require.Empty(e.t, seen.ErrorMessage)
	}, onlyStaff)
}

// Whoever may manage an invitation sees it, also where the role that says so is held in the organization.
func TestWhoManagesSees(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(`
roles:
  - {name: CUSTOMER.PROJECTS, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION]}
  - {name: CUSTOMER.INVITER, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION]}
customers:
  - name: Acme
    members: [{user: rival, role: CUSTOMER.PROJECTS}, {user: stranger, role: CUSTOMER.INVITER}]
`)
		ofCall := e.create("stranger", "call@x.example", reviewer, call)
		ofProject := e.create("rival", "project@x.example", admin, apollo)
		for user, sees := range map[string][]string{
			"rival": {"project@x.example"}, "stranger": {"call@x.example", "project@x.example"}, "member": {}, "manager": {"project@x.example"},
		} {
			require.ElementsMatch(e.t, sees, e.emails(user, ""), user)
		}
		e.request("GET", at(ofProject.UUID.String()), "rival", nil).is(http.StatusOK, "")
		e.request("GET", at(ofCall.UUID.String()), "rival", nil).is(http.StatusNotFound, notFound)
		e.do("rival", ofCall.UUID, "cancel").is(http.StatusNotFound, notFound)
		e.do("rival", ofProject.UUID, "cancel").is(http.StatusOK, "")
	})
}

// Open invitations end with their scope: their creators are told, their invitees are not, and they are in no list of what
// waits from the moment that the scope is removed.
func TestRemovedScopeEndsInvitations(t *testing.T) {
	for name, remove := range map[string]string{
		"project": "{name: Acme, projects: [{name: Apollo, is_removed: true}, {name: Artemis, is_removed: true}]}",
		"owner":   "{name: Acme, is_removed: true}",
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				all := oneInEachState(e)
				all["invitee"] = e.create("staff", "Invitee@University.example", admin, apollo).UUID
				other := e.create("staff", "other@example.com", owner, globex)
				require.Len(e.t, e.emails("invitee", ""), 1)
				requests, err := e.service.Requests(e.context(), e.actor("staff"), 1, 10)
				require.NoError(e.t, err)
				require.Equal(e.t, 1, requests.Total)
				mails := e.countJobs(deliverKind)

				e.apply("customers: [" + remove + "]")
				require.Empty(e.t, e.emails("invitee", ""))
				requests, err = e.service.Requests(e.context(), e.actor("staff"), 1, 10)
				require.NoError(e.t, err)
				require.Zero(e.t, requests.Total)

				e.sweep()
				e.sweep()
				for state, id := range all {
					expected := state
					switch state {
					case "pending", "project", "requested", "invitee":
						expected = "canceled"
					}
					require.Equal(e.t, expected, e.state(id), state)
				}
				require.Equal(e.t, "pending", e.state(other.UUID))
				require.Equal(e.t, mails, e.countJobs(deliverKind))
				told := map[string]int{}
				for _, job := range e.noticeJobsOf(invitation.NoticeScopeRemoved) {
					told[job.Invitation.String()]++
					message, _, err := e.service.BeginNotice(e.context(), job)
					require.NoError(e.t, err)
					require.NotNil(e.t, message)
				}
				require.Equal(e.t, map[string]int{
					all["pending"].String(): 1, all["project"].String(): 1, all["requested"].String(): 1, all["invitee"].String(): 1,
				}, told)
			}, onlyStaff)
		})
	}
}
