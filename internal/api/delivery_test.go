package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/token"
)

func (e *env) usersWith(email string) []directory.User {
	e.t.Helper()
	var found []directory.User
	require.NoError(e.t, e.db.FileStore().Read(e.context(), func(tx directory.FileTx) error {
		all, err := tx.UsersAfter("", 1000)
		for _, each := range all {
			if each.EmailFolded == directory.FoldEmail(email) {
				found = append(found, each)
			}
		}
		return err
	}))
	return found
}

// An unknown invitee gets a user record before the mail is sent, and not earlier. A known user is not changed.
func TestDeliveryCreatesMissingUser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		unknown := e.create("owner", "New.Person@Example.org", admin, apollo, "full_name", "New Person")
		known := e.create("owner", "INVITEE@university.example", admin, apollo)
		require.Empty(e.t, e.usersWith("new.person@example.org"))
		for _, each := range []invitation.Deliver{{Invitation: unknown.UUID}, {Invitation: known.UUID}} {
			for range 2 { // a second attempt creates no second user
				message, err := e.service.BeginDelivery(e.context(), each)
				require.NoError(e.t, err)
				require.NotNil(e.t, message)
			}
		}
		made := e.usersWith("new.person@example.org")
		require.Len(e.t, made, 1)
		require.Equal(e.t, []any{"new.person@example.org", "New.Person@Example.org", "New Person", true, false, false}, []any{
			made[0].Username, made[0].Email, made[0].FullName, made[0].IsActive, made[0].IsStaff, made[0].IsSupport,
		})
		require.Len(e.t, e.usersWith("invitee@university.example"), 1)
	}, func(p *invitation.Policy) { p.CreateMissingUser = true })
}

func TestDeliveryCreatesNoUserByDefault(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "new@example.org", admin, apollo)
		_, err := e.service.BeginDelivery(e.context(), invitation.Deliver{Invitation: made.UUID})
		require.NoError(e.t, err)
		require.Empty(e.t, e.usersWith("new@example.org"))
	})
}

// The server stopped while it sent a mail, and the invitation was canceled before the job ran again. Nobody knows
// whether the mail arrived, and the error message says so.
func TestInterruptedDelivery(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		job := invitation.Deliver{Invitation: made.UUID}
		message, err := e.service.BeginDelivery(e.context(), job)
		require.NoError(e.t, err)
		require.NotNil(e.t, message)
		e.request("POST", at(made.UUID.String(), "cancel"), "owner", nil).is(http.StatusOK, "")
		message, err = e.service.BeginDelivery(e.context(), job)
		require.NoError(e.t, err)
		require.Nil(e.t, message)
		seen := e.retrieve(made.UUID)
		require.Equal(e.t, "Erred", string(seen.ExecutionState))
		require.Contains(e.t, seen.ErrorMessage, "may have arrived or not")
	})
}

// Staff get no request for approval in a removed scope, but the creator is notified of the rejection.
func TestNoticesInRemovedScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		asked := e.noticeJobsOf(invitation.NoticeRequested)[0]
		e.applyReplaced(apolloUUID, apolloRemoved)
		message, _, err := e.service.BeginNotice(e.context(), asked)
		require.NoError(e.t, err)
		require.Nil(e.t, message)
		e.decide("reject", e.sign(token.Reject, e.userID("staff"), made.UUID)).is(http.StatusOK, "")
		message, _, err = e.service.BeginNotice(e.context(), e.noticeJobsOf(invitation.NoticeRejected)[0])
		require.NoError(e.t, err)
		require.NotNil(e.t, message)
		require.Equal(e.t, "owner@acme.example", message.To)
	}, onlyStaff)
}

// The row of an invitation that is over does not say that its delivery is tried again.
func TestClosedInvitationsAreNotTriedAgain(t *testing.T) {
	const down = "The mail server can't be reached."
	for name, end := range map[string]func(e *env, id string){
		"pending":  func(*env, string) {},
		"canceled": func(e *env, id string) { e.request("POST", at(id, "cancel"), "owner", nil).is(http.StatusOK, "") },
		"accepted": func(e *env, id string) { e.request("POST", at(id, "accept"), "invitee", nil).is(http.StatusOK, "") },
		"declined": func(e *env, id string) { e.request("POST", at(id, "decline"), "invitee", nil).is(http.StatusOK, "") },
		"expired":  func(e *env, _ string) { e.clock.Advance(lifetime) },
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				made := e.create("owner", "invitee@university.example", admin, apollo)
				job := invitation.Deliver{Invitation: made.UUID}
				message, err := e.service.BeginDelivery(e.context(), job)
				require.NoError(e.t, err)
				require.NoError(e.t, e.service.FinishDelivery(e.context(), job, message,
					invitation.Outcome{Failed: true, Reason: down + invitation.RetryPromise}))
				end(e, made.UUID.String())
				want := down
				if name == "pending" {
					want = down + " It is tried again by itself."
				}
				seen := e.retrieve(made.UUID)
				require.Equal(e.t, want, seen.ErrorMessage)
				require.Equal(e.t, "Erred", string(seen.ExecutionState))
				var details server.VisibleInvitationDetails
				e.request("GET", at(made.UUID.String(), "details"), "staff", nil).decode(&details)
				require.Equal(e.t, want, details.ErrorMessage)
			})
		})
	}
}
