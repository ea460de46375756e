package jobs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/jobs"
)

func onlyStaffInvites(p *invitation.Policy) { p.OnlyStaffCanInvite = true }

func TestStaffApproveByLinks(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		first := env.invite("first@university.example")
		env.waitForMail("sam@staff.example")
		env.waitForMail("sue@staff.example")
		second := env.invite("second@university.example")
		env.nextMinute()
		var both []receivedMail
		env.waitFor("two mails to sam", func() bool { both = env.smtp.mailsTo("sam@staff.example"); return len(both) == 2 })
		for _, each := range env.waitUntilIdle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
			require.NotContains(t, string(each.EncodedArgs), "@", "the queue stores the uuids of people, not their addresses")
		}
		// Every active staff user with an address and with notifications enabled gets a mail; support users and the invitee
		// get none.
		require.Equal(t, []string{"sam@staff.example", "sam@staff.example", "sue@staff.example", "sue@staff.example"},
			env.smtp.recipients())
		require.Empty(t, env.jobs(deliveryKind))
		about := func(id uuid.UUID, mails []receivedMail) receivedMail {
			i := slices.IndexFunc(mails, func(m receivedMail) bool { return strings.Contains(m.id(), id.String()) })
			require.GreaterOrEqual(t, i, 0)
			return mails[i]
		}

		// A link serves one invitation and one purpose.
		asked := about(first, both)
		approve, reject := asked.link(t, "invitation_approve"), asked.link(t, "invitation_reject")
		require.True(t, fault.Is(env.service.Approve(t.Context(), reject), fault.KindRejected))
		require.True(t, fault.Is(env.service.Reject(t.Context(), approve, ""), fault.KindRejected))
		require.NoError(t, env.service.Approve(t.Context(), approve))
		require.Equal(t, invitation.Pending, env.waitForState(first, invitation.OK).StoredState)
		require.Equal(t, first.String(), env.waitForMail("first@university.example").link(t, "invitation"))
		other := about(first, env.smtp.mailsTo("sue@staff.example"))
		require.NotEqual(t, approve, other.link(t, "invitation_approve"))
		require.True(t, fault.Is(env.service.Reject(t.Context(), other.link(t, "invitation_reject"), ""), fault.KindRejected), "the request was approved")

		require.NoError(t, env.service.Reject(t.Context(), about(second, both).link(t, "invitation_reject"), ""))
		require.Equal(t, invitation.Rejected, env.find(second).StoredState)
		notice := env.waitForMail("olivia@acme.example")
		require.Contains(t, notice.Text, "second@university.example")
		require.Equal(t, apollo.String(), notice.link(t, "projects"))
		env.waitUntilIdle(noticeKind)
		require.Empty(t, env.smtp.mailsTo("second@university.example"))
		require.NotContains(t, env.log.String(), approve, "whoever reads the log could use a link in it")
	}, onlyStaffInvites)
}

func TestNoticesThatFail(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.smtp.respond(func(to string) error {
			switch to {
			case "sam@staff.example":
				return &smtp.SMTPError{Code: 550, Message: "no such user"}
			case "sue@staff.example":
				return &smtp.SMTPError{Code: 450, Message: "later"}
			}
			return nil
		}, nil)
		env.startWorkers()
		id := env.invite("ina@university.example")
		var states []rivertype.JobState
		var deferred *rivertype.JobRow
		env.waitFor("both notices to fail", func() bool {
			states = nil
			for _, each := range env.waitUntilIdle(noticeKind) {
				states = append(states, each.State)
				if each.State == rivertype.JobStateRetryable {
					deferred = each
				}
			}
			slices.Sort(states)
			return slices.Equal(states, []rivertype.JobState{rivertype.JobStateCancelled, rivertype.JobStateRetryable})
		})
		env.smtp.respond(nil, nil)
		env.clock.Advance(time.Minute)
		env.retry(deferred)
		require.NoError(t, env.service.Approve(t.Context(), env.waitForMail("sue@staff.example").link(t, "invitation_approve")))
		env.waitForState(id, invitation.OK)
		require.Empty(t, env.smtp.mailsTo("sam@staff.example"))
	}, onlyStaffInvites)
}

// A notice is not sent when its invitation or its recipient is gone by then.
func TestObsoleteNotices(t *testing.T) {
	for name, change := range map[string]func(env *testEnv, id uuid.UUID){
		"the invitation was deleted": func(env *testEnv, id uuid.UUID) {
			require.NoError(env.t, env.service.Delete(env.t.Context(), env.user("sam"), id))
		},
		"the scope was removed": func(env *testEnv, _ uuid.UUID) { env.applyDirectory(apolloRemovedYAML) },
		"nobody is active staff": func(env *testEnv, _ uuid.UUID) {
			env.applyDirectory("users: [{username: sam, email: sam@staff.example, is_staff: false}, " +
				"{username: sue, email: sue@staff.example, is_staff: true, is_active: false}]")
		},
		"the staff users were deleted": func(env *testEnv, _ uuid.UUID) {
			env.exec("DELETE FROM users WHERE is_staff")
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(t *testing.T, env *testEnv) {
				id := env.invite("ina@university.example")
				change(env, id)
				env.startWorkers()
				for _, each := range env.waitUntilIdle(noticeKind) {
					require.Equal(t, rivertype.JobStateCompleted, each.State)
				}
				// A sweep may have told Olivia meanwhile that the scope was removed.
				for _, mail := range env.smtp.mailsTo("") {
					require.Equal(t, "olivia@acme.example", mail.to)
					require.Equal(t, "the scope was removed", name)
				}
			}, onlyStaffInvites)
		})
	}
}

// A reminder and an expiry are mailed once, however many workers sweep.
func TestRemindersAndExpiry(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		soon := func(c *jobs.Config) { c.Sweep = 100 * time.Millisecond }
		env.invite("first@university.example")
		env.clock.Advance(lifetime - time.Hour)
		env.startWorkers(soon)
		env.startWorkers(soon)
		env.waitForMail("first@university.example") // the invitation itself, sent late
		reminded := func() bool { return len(env.smtp.mailsTo("first@university.example")) == 2 }
		env.waitFor("a reminder", reminded)
		require.Equal(t, "REMINDER: Invitation to Apollo project",
			env.smtp.mailsTo("first@university.example")[1].GetHeader("Subject"))

		env.clock.Advance(2 * time.Hour)
		notice := env.waitForMail("olivia@acme.example")
		require.Equal(t, "Invitation of first@university.example has expired", notice.GetHeader("Subject"))
		sweeps := len(env.jobs(invitation.Sweep{}.Kind()))
		env.waitFor("three more sweeps", func() bool { return len(env.jobs(invitation.Sweep{}.Kind())) >= sweeps+3 })
		env.waitUntilIdle(noticeKind)
		require.True(t, reminded())
		env.waitForMail("olivia@acme.example")
	})
}

func TestDeliveryWithoutCreator(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("ina@university.example")
		env.exec("DELETE FROM users WHERE username = 'olivia'")
		env.startWorkers()
		env.waitForState(id, invitation.OK)
		received := env.waitForMail("ina@university.example")
		require.Contains(t, received.Text, "You are invited")
		require.NotContains(t, received.Text, "Olivia")
	})
}

func TestNoticeToAnInactiveCreator(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("ina@university.example")
		w := env.startWorkers()
		reject := env.waitForMail("sam@staff.example").link(t, "invitation_reject")
		env.waitUntilIdle(noticeKind) // a notice that is cut off waits for the next ones before it is found to be obsolete
		env.stopWorkers(w, maxWait)

		require.NoError(t, env.service.Reject(t.Context(), reject, ""))
		env.applyDirectory("users: [{username: olivia, email: olivia@acme.example, is_active: false}]")
		env.startWorkers()
		for _, each := range env.waitUntilIdle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		require.Empty(t, env.smtp.mailsTo("olivia@acme.example"))
		require.Equal(t, invitation.Rejected, env.find(id).StoredState)
	}, onlyStaffInvites)
}

// The notices of a sweep are mailed after the sweep; invitations are mailed while it runs.
func TestNoticesWaitForASweep(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("first@university.example")
		env.clock.Advance(lifetime)
		notice := invitation.Notify{Notice: invitation.NoticeExpired, Invitation: id, User: *env.find(id).CreatedByUUID}
		sweep := slowSweepStore{env.service.Store, make(chan struct{}), make(chan struct{})}
		env.service.Store = sweep
		env.startWorkers()
		receive(env, sweep.begun, "a sweep")
		env.enqueue(notice)
		env.waitFor("the notice to wait", func() bool { return env.jobs(noticeKind)[0].State == rivertype.JobStateRunning })
		env.invite("second@university.example")
		env.waitForMail("second@university.example")
		require.Empty(t, env.smtp.mailsTo("olivia@acme.example"))
		close(sweep.finish)
		env.waitForMail("olivia@acme.example")
	})
}

// A decline is told after ten minutes, once, and not where it was undone.
func TestDeclinesAreToldLater(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id, other := env.invite("ina@university.example"), env.invite("sue@staff.example")
		ina, sue := env.user("ina"), env.user("sue")
		decline := func(reason string) { require.NoError(t, env.service.Decline(t.Context(), ina, id, reason)) }
		pass := func(d time.Duration) {
			env.waitUntilIdle(noticeKind)
			env.clock.Advance(d)
			env.exec("UPDATE river_job SET state = 'available', scheduled_at = created_at WHERE kind = '" + noticeKind + "' AND state = 'scheduled'")
		}
		decline("A mistake.")
		require.NoError(t, env.service.Decline(t.Context(), sue, other, ""))
		require.NoError(t, env.service.UndoDecline(t.Context(), sue, other))
		env.startWorkers()
		pass(time.Minute)
		require.NoError(t, env.service.UndoDecline(t.Context(), ina, id))
		decline("No <time>.\nSorry.")
		pass(invitation.UndoPeriod - 30*time.Second)
		require.Empty(t, env.smtp.mailsTo("olivia@acme.example"))
		pass(30 * time.Second)
		told := env.waitForMail("olivia@acme.example")
		require.Equal(t, "Invitation of ina@university.example was declined", told.GetHeader("Subject"))
		require.Contains(t, told.Text, "> No <time>.\r\n> Sorry.")
		require.Contains(t, told.HTML, "No &lt;time&gt;.<br>Sorry.")
		for _, each := range env.waitUntilIdle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		env.waitForMail("olivia@acme.example") // one, and none about the decline that was undone
	})
}

// The reason of a rejection is in the mail to the inviter.
func TestRejectionIsToldWithItsReason(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("ina@university.example")
		require.NoError(t, env.service.RejectRequest(t.Context(), env.user("sam"), id, "No room & no <b>time</b>."))
		env.startWorkers()
		told := env.waitForMail("olivia@acme.example")
		require.Contains(t, told.Text, "The reason:\r\n\r\n> No room & no <b>time</b>.")
		require.Contains(t, told.HTML, "No room &amp; no &lt;b&gt;time&lt;/b&gt;.")
	}, onlyStaffInvites)
}

// Who asks for a new invitation is told of to the inviter or, where the inviter is gone, to staff; and to nobody where the
// invitation was sent again before.
func TestRenewalIsAsked(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		ask := func() uuid.UUID {
			id := env.invite("ina@university.example")
			env.clock.Advance(lifetime)
			require.NoError(t, env.service.AskAgain(t.Context(), env.user("ina"), id))
			return id
		}
		sentAgain := ask()
		require.NoError(t, env.service.Send(t.Context(), env.user("olivia"), sentAgain))
		require.NoError(t, env.service.Cancel(t.Context(), env.user("olivia"), sentAgain))
		env.startWorkers()
		env.waitUntilIdle(noticeKind)
		require.Empty(t, env.smtp.mailsTo("olivia@acme.example"))
		ask()
		told := env.waitForMail("olivia@acme.example")
		require.Equal(t, "ina asks for a new invitation to Apollo", told.GetHeader("Subject"))
		require.Contains(t, told.Text, "ina (ina@university.example) asks for a new invitation to the project Apollo")
		require.Contains(t, told.Text, "Your invitation of ina@university.example expired on ")
		require.Equal(t, "<ina@university.example>", told.GetHeader("Reply-To"))
		require.Empty(t, env.smtp.mailsTo("sam@staff.example"))

		env.exec("DELETE FROM invitations")
		id := env.invite("ina@university.example")
		env.applyDirectory("users: [{username: olivia, email: olivia@acme.example, is_active: false}]")
		env.clock.Advance(lifetime)
		require.NoError(t, env.service.AskAgain(t.Context(), env.user("ina"), id))
		for _, staff := range []string{"sam@staff.example", "sue@staff.example"} {
			told := env.waitForMail(staff)
			require.Contains(t, told.Text, "Olivia Owner, who made the invitation, can’t send it again.")
			require.Equal(t, "<ina@university.example>", told.GetHeader("Reply-To"))
		}
		env.waitUntilIdle(noticeKind)
		require.Empty(t, env.smtp.mailsTo("silent@staff.example"))
		env.waitForMail("olivia@acme.example") // none but the one before
	})
}
