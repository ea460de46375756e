package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/token"
)

// obstacles can come into the way of an invitation, so that nobody can accept it. Each has what accept says then.
var obstacles = map[string]struct {
	raise, remove func(*env)
	refusal       string
}{
	"the role is off": {
		func(e *env) { e.applyReplaced(adminRole, adminRoleInactive) },
		func(e *env) { e.applyReplaced(adminRole, adminRole+", is_active: true") },
		string(invitation.RefusedRole),
	},
	"the address is not admitted": {
		func(e *env) { e.applyReplaced(apolloUUID, apolloPatterns) },
		func(e *env) { e.applyReplaced(apolloUUID, apolloUUID+"        user_email_patterns: []\n") },
		string(invitation.RefusedByProject),
	},
}

// inviteInvitee creates an invitation of the invitee as an administrator of Apollo.
func (e *env) inviteInvitee() uuid.UUID {
	return e.create("owner", "invitee@university.example", admin, apollo).UUID
}

// What accept would refuse is not sent again, and the refusal is that of accept.
func TestSendAsksWhatAcceptWouldRefuse(t *testing.T) {
	for name, obstacle := range obstacles {
		for _, state := range []string{"pending", "canceled", "expired"} {
			t.Run(name+", "+state, func(t *testing.T) {
				onEachEngine(t, func(e *env) {
					id := e.inviteInvitee()
					switch state {
					case "canceled":
						e.do("owner", id, "cancel").is(http.StatusOK, "")
					case "expired":
						e.clock.Advance(lifetime)
					}
					jobs := len(e.deliveryJobs(id))
					before := e.retrieve(id)
					obstacle.raise(e)
					if state == "pending" {
						e.do("invitee", id, "accept").is(http.StatusBadRequest, ruleError(obstacle.refusal))
					}
					e.do("owner", id, "send").is(http.StatusBadRequest, ruleError(obstacle.refusal))
					require.Equal(e.t, before, e.retrieve(id))
					require.Len(e.t, e.deliveryJobs(id), jobs)

					obstacle.remove(e)
					e.do("owner", id, "send").is(http.StatusOK, "")
				})
			})
		}
	}
}

// An invitation for a project's only manager is not sent again once the project has a manager.
func TestSendAsksForTheOneManager(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.applyReplaced("{user: manager, role: PROJECT.MANAGER}", "{user: manager, role: PROJECT.MANAGER, is_active: false}")
		id := e.create("owner", "invitee@university.example", manager, apollo).UUID
		e.apply(directoryFile)
		e.do("owner", id, "send").is(http.StatusBadRequest, ruleError(string(invitation.RefusedManager)))
		job := e.deliveryJobs(id)[0]
		message, err := e.service.BeginDelivery(e.context(), job)
		require.NoError(e.t, err)
		require.Nil(e.t, message)
		require.Contains(e.t, e.retrieve(id).ErrorMessage, string(invitation.RefusedManager))
	}, oneManager)
}

// Staff approve nothing that accept would refuse, neither by the link in the mail nor signed in, and can still reject it.
func TestApproveAsksWhatAcceptWouldRefuse(t *testing.T) {
	for name, obstacle := range obstacles {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				id := e.inviteInvitee()
				obstacle.raise(e)
				e.decide("approve", e.sign(token.Approve, e.userID("staff"), id)).is(http.StatusBadRequest, ruleError(obstacle.refusal))
				e.do("staff", id, "approve-request").is(http.StatusBadRequest, ruleError(obstacle.refusal))
				require.Equal(e.t, "requested", string(e.retrieve(id).State))
				require.Empty(e.t, e.deliveryJobs(id))
				e.decide("reject", e.sign(token.Reject, e.userID("staff"), id)).is(http.StatusOK, "")
			}, onlyStaff)
		})
	}
}

// What accept would refuse when the mail is about to go out is not mailed: the row says why, and the inviter is told. So it
// is also where the invitation goes out because its project has started, and where an earlier attempt has failed.
func TestDeliveryAsksWhatAcceptWouldRefuse(t *testing.T) {
	for name, obstacle := range obstacles {
		for _, execution := range []string{"Scheduled", "Erred", "activated"} {
			t.Run(name+", "+execution, func(t *testing.T) {
				onEachEngine(t, func(e *env) {
					var id uuid.UUID
					if execution == "activated" {
						e.applyReplaced(apolloUUID, apolloUUID+"        start_date: 2026-11-25\n")
					}
					id = e.inviteInvitee()
					if execution == "Erred" {
						job := e.deliveryJobs(id)[0]
						message, err := e.service.BeginDelivery(e.context(), job)
						require.NoError(e.t, err)
						require.NoError(e.t, e.service.FinishDelivery(e.context(), job, message,
							invitation.Outcome{Failed: true, Reason: "No answer." + invitation.RetryPromise}))
					}
					obstacle.raise(e)
					if execution == "activated" {
						e.clock.Advance(48 * time.Hour)
						e.sweep()
					}
					require.Len(e.t, e.deliveryJobs(id), 1)
					for range 2 { // the second time nothing is left to do
						message, err := e.service.BeginDelivery(e.context(), e.deliveryJobs(id)[0])
						require.NoError(e.t, err)
						require.Nil(e.t, message)
						seen := e.retrieve(id)
						require.Equal(e.t, "pending", string(seen.State))
						require.Equal(e.t, "Erred", string(seen.ExecutionState))
						require.Equal(e.t, "Not sent, because nobody could accept: "+obstacle.refusal, seen.ErrorMessage)
						require.Len(e.t, e.noticeJobsOf(invitation.NoticeUndeliverable), 1)
					}
					told, _, err := e.service.BeginNotice(e.context(), e.noticeJobsOf(invitation.NoticeUndeliverable)[0])
					require.NoError(e.t, err)
					require.Equal(e.t, "owner@acme.example", told.To)
					require.Contains(e.t, told.Reason, obstacle.refusal)

					obstacle.remove(e)
					e.do("owner", id, "send").is(http.StatusOK, "")
					require.Equal(e.t, "Scheduled", string(e.retrieve(id).ExecutionState))
				})
			})
		}
	}
}

// Nobody is reminded of what accept would refuse, nor of a role that they hold. The history says why.
func TestReminderAsksWhatAcceptWouldRefuse(t *testing.T) {
	reasons := map[string]struct {
		raise  func(*env)
		reason string
	}{
		"the role is held": {func(e *env) {
			e.applyReplaced("{user: member, role: PROJECT.MEMBER}", "{user: member, role: PROJECT.MEMBER}, {user: invitee, role: PROJECT.ADMIN}")
		}, "Not sent: the invitee holds the role already."},
		"nothing": {func(*env) {}, ""},
	}
	for name, each := range obstacles {
		reasons[name] = struct {
			raise  func(*env)
			reason string
		}{each.raise, "Not sent, because nobody could accept: " + each.refusal}
	}
	for name, each := range reasons {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				id := e.inviteInvitee()
				e.clock.Advance(lifetime - time.Hour)
				e.sweep()
				each.raise(e)
				job := e.noticeJobsOf(invitation.NoticeReminder)[0]
				message, _, err := e.service.BeginNotice(e.context(), job)
				require.NoError(e.t, err)
				require.Equal(e.t, each.reason, message.Withheld)
				if each.reason == "" {
					return
				}
				require.NoError(e.t, e.service.FinishNotice(e.context(), job, message,
					invitation.Outcome{Failed: true, Final: true, Reason: message.Withheld}))
				all := e.events(id)
				last := all[len(all)-1]
				require.Equal(e.t, server.InvitationEventTypeNotificationFailed, *last.EventType)
				require.Nil(e.t, last.Channel)
				require.Equal(e.t, each.reason, *last.ErrorMessage)
			})
		})
	}
}

// Where an invitation is good only while its inviter may manage it, nobody is mailed once they may not.
func TestDeliveryAsksForTheInviter(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.inviteInvitee()
		e.apply("users: [{username: owner, is_active: false}]")
		message, err := e.service.BeginDelivery(e.context(), e.deliveryJobs(id)[0])
		require.NoError(e.t, err)
		require.Nil(e.t, message)
		const refusal = "Whoever invited may not invite into this scope any more. Cancel the invitation and send it again, to invite in your own name."
		require.Equal(e.t, "Not sent, because nobody could accept: "+refusal, e.retrieve(id).ErrorMessage)
		e.do("staff", id, "send").is(http.StatusBadRequest, ruleError(refusal))
		e.do("staff", id, "cancel").is(http.StatusOK, "")
		e.do("staff", id, "send").is(http.StatusOK, "")
		message, err = e.service.BeginDelivery(e.context(), e.deliveryJobs(id)[1])
		require.NoError(e.t, err)
		require.NotNil(e.t, message)
	}, func(p *invitation.Policy) { p.RecheckInviter = true })
}
