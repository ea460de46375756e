package jobs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/jobs"
)

func notifyAccepted(p *invitation.Policy) { p.NotifyAccepted = true }

// refuseMailsTo has the mail server refuse one address for good.
func (env *testEnv) refuseMailsTo(address string) {
	env.smtp.respond(func(to string) error {
		if to == address {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}
		return nil
	}, nil)
}

// The inviter is told at once, and once, that an address is refused for good; and again where the invitation is sent again.
func TestInviterIsToldOfARefusedAddress(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.refuseMailsTo("nobody@university.example")
		env.startWorkers()
		id := env.invite("nobody@university.example")
		told := env.waitForMail("olivia@acme.example")
		require.Equal(t, "Invitation of nobody@university.example could not be delivered", told.GetHeader("Subject"))
		for _, fact := range []string{"Apollo", "System administrator", "refused the address (550 5.1.1: there is no such mailbox)", "is not tried again"} {
			require.Contains(t, told.Text, fact)
			require.Contains(t, told.HTML, fact)
		}
		require.Equal(t, apollo.String(), told.link(t, "projects"))

		require.NoError(t, env.service.Send(t.Context(), env.user("olivia"), id))
		env.waitFor("another mail to the inviter", func() bool { return len(env.smtp.mailsTo("olivia@acme.example")) == 2 })
		env.waitUntilIdle(noticeKind)
		require.Len(t, env.smtp.mailsTo("olivia@acme.example"), 2)
		require.Empty(t, env.smtp.mailsTo("nobody@university.example"))
	})
}

// Nobody is told that an invitation was not delivered where that is not so any more when the mail is about to go out, or
// where it is tried again by itself.
func TestObsoleteUndeliverable(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		olivia := env.user("olivia")
		canceled, sent := env.invite("canceled@university.example"), env.invite("sent@university.example")
		for _, id := range []struct{ notice invitation.Notify }{
			{invitation.Notify{Notice: invitation.NoticeUndeliverable, Invitation: canceled, User: olivia.UUID}},
			{invitation.Notify{Notice: invitation.NoticeUndeliverable, Invitation: sent, User: olivia.UUID}},
		} {
			env.enqueue(id.notice)
		}
		require.NoError(t, env.service.Cancel(t.Context(), olivia, canceled))
		require.NoError(t, env.service.Send(t.Context(), olivia, sent))
		env.smtp.respond(func(string) error { return &smtp.SMTPError{Code: 451, Message: "later"} }, nil)
		env.startWorkers()
		env.waitForState(sent, invitation.Erred)
		for _, each := range env.waitUntilIdle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		require.Empty(t, env.smtp.mailsTo("olivia@acme.example"))
	})
}

// The notice of expiry says that the invitation never arrived, and why.
func TestExpiryOfWhatNeverArrived(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.refuseMailsTo("nobody@university.example")
		w := env.startWorkers()
		refused, edited, arrived := env.invite("nobody@university.example"), env.invite("first@university.example"), env.invite("ina@university.example")
		env.waitForState(refused, invitation.Erred)
		env.waitForState(edited, invitation.OK)
		env.waitForState(arrived, invitation.OK)
		env.waitUntilIdle(noticeKind)
		env.stopWorkers(w, maxWait)

		// The first address got the invitation, the second one did not. Sending again to somebody who has it fails.
		down := errors.New("down")
		env.smtp.respond(func(string) error { return down }, nil)
		second := "second@university.example"
		_, err := env.service.Update(t.Context(), env.user("olivia"), edited, invitation.Edit{Email: &second})
		require.NoError(t, err)
		require.NoError(t, env.service.Send(t.Context(), env.user("olivia"), arrived))
		w = env.startWorkers()
		env.waitForState(edited, invitation.Erred)
		env.waitForState(arrived, invitation.Erred)
		env.stopWorkers(w, maxWait)

		env.smtp.respond(nil, nil)
		env.clock.Advance(lifetime)
		env.startWorkers(func(c *jobs.Config) { c.Sweep = 100 * time.Millisecond })
		texts := map[string]string{}
		env.waitFor("three notices of expiry", func() bool {
			for _, each := range env.smtp.mailsTo("olivia@acme.example") {
				texts[each.GetHeader("Subject")] = each.Text
			}
			return len(texts) == 4
		})
		const never = "the mail could not be delivered."
		require.Contains(t, texts["Invitation of nobody@university.example has expired"], never)
		require.Contains(t, texts["Invitation of nobody@university.example has expired"], "refused the address (550 5.1.1")
		require.Contains(t, texts["Invitation of second@university.example has expired"], never)
		require.NotContains(t, texts["Invitation of second@university.example has expired"], "tried again by itself")
		require.NotEmpty(t, texts["Invitation of ina@university.example has expired"])
		require.NotContains(t, texts["Invitation of ina@university.example has expired"], "never reached")
	})
}

// Where the operator says so, the inviter is told who accepted, unless they accepted themselves.
func TestInviterIsToldOfAnAcceptance(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		own, id := env.invite("olivia@acme.example"), env.invite("ina@university.example")
		env.waitForState(own, invitation.OK)
		require.NoError(t, env.service.Accept(t.Context(), env.user("olivia"), own))
		require.NoError(t, env.service.Accept(t.Context(), env.user("ina"), id))
		subject := "Invitation of ina@university.example was accepted"
		env.waitFor("a mail about the acceptance", func() bool {
			mails := env.smtp.mailsTo("olivia@acme.example")
			return len(mails) == 2 && mails[1].GetHeader("Subject") == subject
		})
		told := env.smtp.mailsTo("olivia@acme.example")[1]
		require.Contains(t, told.Text, "ina has accepted your invitation of ina@university.example")
		require.Len(t, env.waitUntilIdle(noticeKind), 1)
	}, notifyAccepted)
}

func TestAcceptanceIsToldOnlyWhereTheOperatorSaysSo(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		require.NoError(t, env.service.Accept(t.Context(), env.user("ina"), env.invite("ina@university.example")))
		require.Empty(t, env.jobs(noticeKind))
	})
}

// Nobody is reminded of a role that they hold by now.
func TestNoReminderOfAHeldRole(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		w := env.startWorkers()
		holder, other := env.invite("ina@university.example"), env.invite("other@university.example")
		env.waitForState(holder, invitation.OK)
		env.waitForState(other, invitation.OK)
		env.stopWorkers(w, maxWait)

		env.applyDirectory("customers: [{name: Acme, uuid: 10000000-0000-4000-8000-000000000001, projects: [" +
			"{name: Apollo, uuid: 20000000-0000-4000-8000-000000000001, members: [{user: ina, role: PROJECT.ADMIN}]}]}]")
		env.clock.Advance(lifetime - time.Hour)
		env.startWorkers(func(c *jobs.Config) { c.Sweep = 100 * time.Millisecond })
		env.waitFor("a reminder", func() bool { return len(env.smtp.mailsTo("other@university.example")) == 2 })
		env.waitFor("the end of both notices", func() bool {
			found := env.waitUntilIdle(noticeKind)
			return len(found) == 2 && found[0].State == rivertype.JobStateCompleted && found[1].State == rivertype.JobStateCompleted
		})
		require.Len(t, env.smtp.mailsTo("ina@university.example"), 1)
	})
}
