package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/mail"
)

func TestDelivery(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("Ina@University.example")
		require.Equal(t, invitation.Scheduled, env.find(id).ExecutionState)
		// Rows of the queue are kept for days: they hold ids and no personal data.
		rows := env.jobs(deliveryKind)
		require.Len(t, rows, 1)
		require.JSONEq(t, fmt.Sprintf(`{"invitation": %q, "delivery": 0}`, id), string(rows[0].EncodedArgs))

		env.startWorkers()
		require.Empty(t, env.waitForState(id, invitation.OK).ErrorMessage)
		require.Equal(t, rivertype.JobStateCompleted, env.waitUntilIdle(deliveryKind)[0].State)
		mails := env.smtp.mailsTo("")
		require.Len(t, mails, 1)
		require.Equal(t, "Ina@University.example", mails[0].to)
		require.Equal(t, fmt.Sprintf("<%s.0@mail.example>", id), mails[0].id())
		require.Equal(t, "Invitation to Apollo project", mails[0].GetHeader("Subject"))
		require.Equal(t, id.String(), mails[0].link(t, "invitation"))
		require.Contains(t, mails[0].Text, "Olivia Owner")
		require.Contains(t, mails[0].Text, "System administrator")
	})
}

func TestMailServerThatClosesConnections(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.smtp.stop()
		env.startWorkers()
		id := env.invite("ina@university.example")
		require.Equal(t, "The conversation with the mail server broke off. It is tried again by itself.", env.waitForState(id, invitation.Erred).ErrorMessage)
		failed := env.waitUntilIdle(deliveryKind)[0]
		require.Equal(t, rivertype.JobStateRetryable, failed.State)
		require.WithinRange(t, failed.ScheduledAt, time.Now(), time.Now().Add(13*time.Second))
		require.Equal(t, 1, strings.Count(env.log.String(), "tried again later"), "one log line for each attempt")

		// The second delay is twice as long.
		env.retry(failed)
		env.waitFor("a second attempt", func() bool { return env.waitUntilIdle(deliveryKind)[0].Attempt == 2 })
		failed = env.waitUntilIdle(deliveryKind)[0]
		require.WithinRange(t, failed.ScheduledAt, time.Now().Add(15*time.Second), time.Now().Add(25*time.Second))
		require.Equal(t, invitation.Erred, env.find(id).ExecutionState)

		env.smtp.start()
		env.retry(failed)
		require.Empty(t, env.waitForState(id, invitation.OK).ErrorMessage)
		mails := env.smtp.mailsTo("")
		require.Len(t, mails, 1)
		require.Equal(t, fmt.Sprintf("<%s.0@mail.example>", id), mails[0].id())
	})
}

func TestRefusedAddress(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.smtp.respond(func(to string) error {
			if to == "nobody@university.example" {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
			}
			return nil
		}, nil)
		env.startWorkers()
		refused, other := env.invite("nobody@university.example"), env.invite("ina@university.example")
		env.waitForState(other, invitation.OK)
		require.Equal(t, "The mail server refused the address (550 5.1.1: there is no such mailbox). "+
			"Invite them at another address, or send the invitation again once this one works.",
			env.waitForState(refused, invitation.Erred).ErrorMessage)
		rows := env.waitUntilIdle(deliveryKind)
		require.Equal(t, rivertype.JobStateCancelled, rows[0].State, "not tried again")
		require.Equal(t, 1, rows[0].Attempt)
		require.Equal(t, rivertype.JobStateCompleted, rows[1].State)

		// Somebody sends the invitation again, which is another mail.
		env.smtp.respond(nil, nil)
		require.NoError(t, env.service.Send(t.Context(), env.user("olivia"), refused))
		require.Empty(t, env.waitForState(refused, invitation.OK).ErrorMessage)
		mails := env.smtp.mailsTo("nobody@university.example")
		require.Len(t, mails, 1)
		require.Equal(t, fmt.Sprintf("<%s.1@mail.example>", refused), mails[0].id())
	})
}

func TestTemporaryRefusal(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		later := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
		env.smtp.respond(func(string) error { return later }, nil)
		env.startWorkers()
		id := env.invite("ina@university.example")
		require.Equal(t, "The mail server does not take mail for this address now (451 4.7.1: its rules refuse it). "+
			"It is tried again by itself.",
			env.waitForState(id, invitation.Erred).ErrorMessage)

		env.smtp.respond(nil, func(receivedMail) error { return later })
		env.retry(env.waitUntilIdle(deliveryKind)[0])
		env.waitFor("another reason", func() bool {
			return env.find(id).ErrorMessage == "The mail server asked to try again later (451). It is tried again by itself."
		})

		env.smtp.respond(nil, nil)
		env.retry(env.waitUntilIdle(deliveryKind)[0])
		require.Empty(t, env.waitForState(id, invitation.OK).ErrorMessage)
		require.Len(t, env.smtp.mailsTo(""), 1)
	})
}

// An invitation that is no longer pending when its job runs is not sent, and its row says why.
func TestObsoleteDeliveries(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		olivia, ina, sam := env.user("olivia"), env.user("ina"), env.user("sam")
		expired := env.invite("expired@university.example")
		env.clock.Advance(lifetime)
		canceled, accepted := env.invite("canceled@university.example"), env.invite("accepted@university.example")
		deleted, again := env.invite("deleted@university.example"), env.invite("again@university.example")
		require.NoError(t, env.service.Cancel(t.Context(), olivia, canceled))
		require.NoError(t, env.service.Accept(t.Context(), ina, accepted))
		require.NoError(t, env.service.Delete(t.Context(), sam, deleted))
		for range 3 {
			require.NoError(t, env.service.Send(t.Context(), olivia, again))
		}

		env.startWorkers()
		for id, word := range map[uuid.UUID]string{expired: "expired", canceled: "canceled", accepted: "accepted"} {
			require.Equal(t, "Not sent: the invitation was "+word+" before it could be delivered.",
				env.waitForState(id, invitation.Erred).ErrorMessage)
		}
		env.waitForState(again, invitation.OK)
		for _, each := range env.waitUntilIdle(deliveryKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		for _, each := range []string{"expired", "canceled", "accepted", "deleted"} {
			require.Empty(t, env.smtp.mailsTo(each+"@university.example"))
		}
		mails := env.smtp.mailsTo("again@university.example")
		require.Len(t, mails, 1, "only the last delivery is made")
		require.Equal(t, fmt.Sprintf("<%s.3@mail.example>", again), mails[0].id())
	})
}

func TestDeliveryIntoARemovedScope(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("ina@university.example")
		env.applyDirectory(apolloRemovedYAML)
		env.startWorkers()
		require.Equal(t, "Not sent: Apollo was removed. Invite into another scope.",
			env.waitForState(id, invitation.Erred).ErrorMessage)
		require.Equal(t, rivertype.JobStateCompleted, env.waitUntilIdle(deliveryKind)[0].State)
		require.Empty(t, env.smtp.mailsTo("ina@university.example")) // a sweep ends the invitation, and its inviter is told
	})
}

// An invitation is sent again while the mail server still works on an earlier delivery.
func TestNewerDeliveryWins(t *testing.T) {
	for name, response := range map[string]error{"slow": nil, "failed": &smtp.SMTPError{Code: 451, Message: "no"}} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(t *testing.T, env *testEnv) {
				id := env.invite("ina@university.example")
				older := fmt.Sprintf("<%s.0@mail.example>", id)
				arrived, release := make(chan struct{}, 8), make(chan struct{})
				env.smtp.respond(nil, func(m receivedMail) error {
					if m.id() != older {
						return nil
					}
					arrived <- struct{}{}
					env.smtp.block(release)
					return response
				})
				env.startWorkers()
				receive(env, arrived, "the older mail")
				require.Equal(t, invitation.Processing, env.find(id).ExecutionState)
				require.NoError(t, env.service.Send(t.Context(), env.user("olivia"), id))
				require.Equal(t, 1, env.waitForState(id, invitation.OK).Delivery)
				require.Len(t, env.smtp.mailsTo(""), 1)

				close(release)
				rows := env.waitUntilIdle(deliveryKind)
				env.smtp.respond(nil, nil)
				if response != nil {
					env.retry(rows[0])
					rows = env.waitUntilIdle(deliveryKind)
				}
				require.Equal(t, rivertype.JobStateCompleted, rows[0].State)
				found := env.find(id)
				require.Equal(t, invitation.OK, found.ExecutionState)
				require.Empty(t, found.ErrorMessage)
				mails := env.smtp.mailsTo("")
				if response != nil {
					require.Len(t, mails, 1, "the older delivery is not made again")
				}
				require.Equal(t, fmt.Sprintf("<%s.1@mail.example>", id), mails[0].id())
			})
		})
	}
}

func TestDeliveryCreatesAMissingUser(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		env.waitForState(env.invite("New@University.example"), invitation.OK)
		env.waitForState(env.invite("INA@university.example"), invitation.OK)
		require.Len(t, env.users(), strings.Count(directoryYAML, "username:")+1)
		require.Equal(t, "New@University.example", env.user("new@university.example").Email)
	}, func(p *invitation.Policy) { p.CreateMissingUser = true })
}

func TestRollbackRemovesTheJob(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		stored := env.invite("stored@university.example")
		env.waitForState(stored, invitation.OK)

		failing := *env.service
		failing.Store = rollbackStore{env.service.Store}
		_, err := failing.Create(t.Context(), env.user("olivia"), draft("lost@university.example"))
		require.ErrorIs(t, err, errCommit)
		require.ErrorIs(t, failing.Send(t.Context(), env.user("olivia"), stored), errCommit)

		page, err := env.service.List(t.Context(), env.user("sam"), invitation.Query{}, 1, 10)
		require.NoError(t, err)
		require.Equal(t, 1, page.Total)
		require.Zero(t, env.find(stored).Delivery)
		require.Len(t, env.waitUntilIdle(deliveryKind), 1)
		require.Len(t, env.smtp.mailsTo(""), 1)
	})
}

// Two processes on one database run each job once.
func TestTwoProcessesSendEachMailOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		const many = 40
		ids := map[uuid.UUID]bool{}
		for i := range many / 2 {
			ids[env.invite(fmt.Sprintf("user%d@university.example", i))] = true
		}
		env.startWorkers()
		env.startWorkers()
		for i := range many / 2 {
			ids[env.invite(fmt.Sprintf("user%d@university.example", many/2+i))] = true
		}
		for id := range ids {
			env.waitForState(id, invitation.OK)
		}
		seen := map[string]bool{}
		for _, each := range env.smtp.mailsTo("") {
			require.False(t, seen[each.id()], each.id())
			seen[each.id()] = true
		}
		require.Len(t, seen, many)
		for _, each := range env.waitUntilIdle(deliveryKind) {
			require.Equal(t, 1, each.Attempt, "%s", json.RawMessage(each.EncodedArgs))
		}
		require.NotContains(t, env.log.String(), "database is locked")
	})
}

// When one recipient's server refuses the sender, the operator has to act, but no other mail waits for that.
func TestOneRecipientBlocksNoOther(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.smtp.respond(func(to string) error {
			if to == "nobody@outside.example" {
				return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in, nobody@outside.example"}
			}
			return nil
		}, nil)
		w := env.startWorkers()
		outside := env.invite("nobody@outside.example")
		require.Contains(t, env.waitForState(outside, invitation.Erred).ErrorMessage, "refused the sender (530)")
		require.Contains(t, w.Troubles()["mail"], "refused the sender (530)")
		env.waitForState(env.invite("ina@university.example"), invitation.OK)
		require.Empty(t, w.Troubles()["mail"])

		row := env.waitUntilIdle(deliveryKind)[0]
		require.Equal(t, rivertype.JobStateRetryable, row.State, "not given up")
		require.Equal(t, env.find(outside).ErrorMessage, row.Errors[0].Error, "the queue stores the reason for users")
	})
}

// blockedTransport refuses every mail as a mail server does that refuses the login.
type blockedTransport struct {
	mail.Transport
	attempts *atomic.Int32
}

func (b blockedTransport) Send(context.Context, mail.Message) error {
	b.attempts.Add(1)
	return &delivery.Failure{
		Reason: "The login was refused; the operator has to act.", Operator: true, Blocked: true, Err: errors.New("a\x00b"),
	}
}

// After a refused login, the messages that wait are not tried, and lose no attempt.
func TestOpenCircuit(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		var attempts atomic.Int32
		var ids []uuid.UUID
		for i := range 30 {
			ids = append(ids, env.invite(fmt.Sprintf("user%d@university.example", i)))
		}
		w := env.startWorkers(func(c *jobs.Config) { c.Transport = blockedTransport{c.Transport, &attempts} })
		for _, id := range ids {
			require.Equal(t, "The login was refused; the operator has to act. It is tried again by itself.",
				env.waitForState(id, invitation.Erred).ErrorMessage)
		}
		require.LessOrEqual(t, attempts.Load(), int32(8), "only the jobs that began at once")
		require.Contains(t, w.Troubles()["mail"], "refused")
		snoozed := 0
		for _, each := range env.waitUntilIdle(deliveryKind) {
			if each.State == rivertype.JobStateScheduled {
				snoozed++
				require.Zero(t, each.Attempt)
				require.Empty(t, each.Errors)
				require.WithinRange(t, each.ScheduledAt, time.Now().Add(5*time.Second), time.Now().Add(13*time.Second))
			}
		}
		require.Equal(t, 30-int(attempts.Load()), snoozed)
	})
}

// The job of a process that died is run again at once, however long the delay after its last failure would be.
func TestRescueWithoutDelay(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("ina@university.example")
		_, err := env.service.BeginDelivery(t.Context(), invitation.Deliver{Invitation: id})
		require.NoError(t, err)
		env.exec("UPDATE river_job SET state = 'running', attempt = 10, attempted_at = '2020-01-01 00:00:00'")
		env.startWorkers()
		found := env.waitForState(id, invitation.OK)
		require.Empty(t, found.ErrorMessage)
		require.Equal(t, 11, env.jobs(deliveryKind)[0].Attempt)
	})
}

// Invitations that are not sent any more take no turn on a slow route.
func TestCanceledInvitationsTakeNoTurn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		for n := range 10 {
			id := env.invite(fmt.Sprintf("canceled%d@university.example", n))
			require.NoError(t, env.service.Cancel(t.Context(), env.user("olivia"), id))
		}
		live := env.invite("ina@university.example")
		env.startWorkers(func(c *jobs.Config) { c.MailInterval = time.Hour })
		env.waitForState(live, invitation.OK)
		require.Len(t, env.smtp.mailsTo(""), 1)
	})
}
