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
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/mail"
	"invited/internal/store"
)

func TestDelivery(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		id := b.create("Ina@University.example")
		require.Equal(t, invitation.Scheduled, b.see(id).ExecutionState)
		// Rows of the queue live on for days: they name things and say nothing of them.
		waiting := b.jobs(deliveryKind)
		require.Len(t, waiting, 1)
		require.JSONEq(t, fmt.Sprintf(`{"invitation": %q, "delivery": 0}`, id), string(waiting[0].EncodedArgs))

		b.start()
		require.Empty(t, b.settled(id, invitation.OK).ErrorMessage)
		require.Equal(t, rivertype.JobStateCompleted, b.idle(deliveryKind)[0].State)
		mails := b.post.to("")
		require.Len(t, mails, 1)
		require.Equal(t, "Ina@University.example", mails[0].to)
		require.Equal(t, fmt.Sprintf("<%s.0@mail.example>", id), mails[0].id())
		require.Equal(t, "Invitation to Apollo project", mails[0].GetHeader("Subject"))
		require.Equal(t, id.String(), mails[0].link(t, "invitation"))
		require.Contains(t, mails[0].Text, "Olivia Owner")
		require.Contains(t, mails[0].Text, "System administrator")
	})
}

func TestMailServerThatIsDown(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.post.close()
		b.start()
		id := b.create("ina@university.example")
		require.Equal(t, "The mail server can't be reached. It is tried again by itself.", b.settled(id, invitation.Erred).ErrorMessage)
		failed := b.idle(deliveryKind)[0]
		require.Equal(t, rivertype.JobStateRetryable, failed.State)
		require.WithinRange(t, failed.ScheduledAt, time.Now(), time.Now().Add(13*time.Second))
		require.Equal(t, 1, strings.Count(b.post.log.String(), "tried again later"), "one line for each attempt")

		// The second pause is twice as long.
		b.again(failed)
		b.until("a second attempt", func() bool { return b.idle(deliveryKind)[0].Attempt == 2 })
		failed = b.idle(deliveryKind)[0]
		require.WithinRange(t, failed.ScheduledAt, time.Now().Add(15*time.Second), time.Now().Add(25*time.Second))
		require.Equal(t, invitation.Erred, b.see(id).ExecutionState)

		b.post.open()
		b.again(failed)
		require.Empty(t, b.settled(id, invitation.OK).ErrorMessage)
		mails := b.post.to("")
		require.Len(t, mails, 1)
		require.Equal(t, fmt.Sprintf("<%s.0@mail.example>", id), mails[0].id())
	})
}

func TestAddressThatIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.post.answers(func(to string) error {
			if to == "nobody@university.example" {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
			}
			return nil
		}, nil)
		b.start()
		refused, other := b.create("nobody@university.example"), b.create("ina@university.example")
		b.settled(other, invitation.OK)
		require.Equal(t, "The mail server refused the address (550 5.1.1: there is no such mailbox). "+
			"Invite them at another address, or send the invitation again once this one works.",
			b.settled(refused, invitation.Erred).ErrorMessage)
		jobs := b.idle(deliveryKind)
		require.Equal(t, rivertype.JobStateCancelled, jobs[0].State, "not tried again")
		require.Equal(t, 1, jobs[0].Attempt)
		require.Equal(t, rivertype.JobStateCompleted, jobs[1].State)

		// Until somebody sends it anew, which is another mail.
		b.post.answers(nil, nil)
		require.NoError(t, b.service.Send(t.Context(), b.user("olivia"), refused))
		require.Empty(t, b.settled(refused, invitation.OK).ErrorMessage)
		mails := b.post.to("nobody@university.example")
		require.Len(t, mails, 1)
		require.Equal(t, fmt.Sprintf("<%s.1@mail.example>", refused), mails[0].id())
	})
}

func TestMailThatIsPutOff(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		later := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
		b.post.answers(func(string) error { return later }, nil)
		b.start()
		id := b.create("ina@university.example")
		require.Equal(t, "The mail server does not take mail for this address now (451 4.7.1: its rules refuse it). "+
			"It is tried again by itself.",
			b.settled(id, invitation.Erred).ErrorMessage)

		b.post.answers(nil, func(letter) error { return later })
		b.again(b.idle(deliveryKind)[0])
		b.until("another reason", func() bool {
			return b.see(id).ErrorMessage == "The mail server asked to try again later (451). It is tried again by itself."
		})

		b.post.answers(nil, nil)
		b.again(b.idle(deliveryKind)[0])
		require.Empty(t, b.settled(id, invitation.OK).ErrorMessage)
		require.Len(t, b.post.to(""), 1)
	})
}

// What happened to an invitation before its delivery, and what its row says then.
func TestNothingIsSentOfWhatDoesNotWait(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		olivia, ina, sam := b.user("olivia"), b.user("ina"), b.user("sam")
		expired := b.create("expired@university.example")
		b.clock.Advance(lifetime)
		canceled, accepted := b.create("canceled@university.example"), b.create("accepted@university.example")
		deleted, again := b.create("deleted@university.example"), b.create("again@university.example")
		require.NoError(t, b.service.Cancel(t.Context(), olivia, canceled))
		require.NoError(t, b.service.Accept(t.Context(), ina, accepted))
		require.NoError(t, b.service.Delete(t.Context(), sam, deleted))
		for range 3 {
			require.NoError(t, b.service.Send(t.Context(), olivia, again))
		}

		b.start()
		for id, word := range map[uuid.UUID]string{expired: "expired", canceled: "canceled", accepted: "accepted"} {
			require.Equal(t, "Not sent: the invitation was "+word+" before it could be delivered.",
				b.settled(id, invitation.Erred).ErrorMessage)
		}
		b.settled(again, invitation.OK)
		for _, each := range b.idle(deliveryKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		for _, each := range []string{"expired", "canceled", "accepted", "deleted"} {
			require.Empty(t, b.post.to(each+"@university.example"))
		}
		mails := b.post.to("again@university.example")
		require.Len(t, mails, 1, "only the last that was asked for")
		require.Equal(t, fmt.Sprintf("<%s.3@mail.example>", again), mails[0].id())
	})
}

func TestScopeThatWasRemoved(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		id := b.create("ina@university.example")
		b.apply(removed)
		b.start()
		require.Equal(t, "Not sent: Apollo was removed. Invite into another scope.",
			b.settled(id, invitation.Erred).ErrorMessage)
		require.Equal(t, rivertype.JobStateCompleted, b.idle(deliveryKind)[0].State)
		require.Empty(t, b.post.to(""))
	})
}

// A send that comes while the mail server still thinks about an earlier delivery.
func TestNewerDeliveryWins(t *testing.T) {
	for name, verdict := range map[string]error{"slow": nil, "failed": &smtp.SMTPError{Code: 451, Message: "no"}} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bed) {
				id := b.create("ina@university.example")
				older := fmt.Sprintf("<%s.0@mail.example>", id)
				arrived, release := make(chan struct{}), make(chan struct{})
				b.post.answers(nil, func(l letter) error {
					if l.id() != older {
						return nil
					}
					close(arrived)
					<-release
					return verdict
				})
				b.start()
				<-arrived
				require.Equal(t, invitation.Processing, b.see(id).ExecutionState)
				require.NoError(t, b.service.Send(t.Context(), b.user("olivia"), id))
				require.Equal(t, 1, b.settled(id, invitation.OK).Delivery)
				require.Len(t, b.post.to(""), 1)

				close(release)
				jobs := b.idle(deliveryKind)
				b.post.answers(nil, nil)
				if verdict != nil {
					b.again(jobs[0])
					jobs = b.idle(deliveryKind)
				}
				require.Equal(t, rivertype.JobStateCompleted, jobs[0].State)
				found := b.see(id)
				require.Equal(t, invitation.OK, found.ExecutionState)
				require.Empty(t, found.ErrorMessage)
				mails := b.post.to("")
				if verdict != nil {
					require.Len(t, mails, 1, "the older one is not sent again")
				}
				require.Equal(t, fmt.Sprintf("<%s.1@mail.example>", id), mails[0].id())
			})
		})
	}
}

func TestMissingUserIsMadeWithTheDelivery(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.start()
		b.settled(b.create("New@University.example"), invitation.OK)
		b.settled(b.create("INA@university.example"), invitation.OK)
		var made []directory.User
		require.NoError(t, b.db.Read(t.Context(), func(tx *store.Tx) (err error) {
			made, err = tx.UsersAfter("", 100)
			return err
		}))
		require.Len(t, made, strings.Count(world, "username:")+1)
		require.Equal(t, "New@University.example", b.user("new@university.example").Email)
	}, func(p *invitation.Policy) { p.CreateMissingUser = true })
}

// rollingBack is a database where each commit fails.
type rollingBack struct{ invitation.Store }

var errCommit = errors.New("the commit failed")

func (r rollingBack) Write(ctx context.Context, f func(invitation.Tx) error) error {
	return r.Store.Write(ctx, func(tx invitation.Tx) error { return errors.Join(f(tx), errCommit) })
}

func TestRollBackTakesTheJobAlong(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.start()
		kept := b.create("kept@university.example")
		b.settled(kept, invitation.OK)

		failing := *b.service
		failing.Store = rollingBack{b.service.Store}
		_, err := failing.Create(t.Context(), b.user("olivia"), draft("lost@university.example"))
		require.ErrorIs(t, err, errCommit)
		require.ErrorIs(t, failing.Send(t.Context(), b.user("olivia"), kept), errCommit)

		page, err := b.service.List(t.Context(), b.user("sam"), invitation.Query{}, 1, 10)
		require.NoError(t, err)
		require.Equal(t, 1, page.Total)
		require.Zero(t, b.see(kept).Delivery)
		require.Len(t, b.idle(deliveryKind), 1)
		require.Len(t, b.post.to(""), 1)
	})
}

// Two processes on one database take each job once.
func TestManyWorkersSendEachMailOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		const many = 40
		ids := map[uuid.UUID]bool{}
		for i := range many / 2 {
			ids[b.create(fmt.Sprintf("user%d@university.example", i))] = true
		}
		b.start()
		b.start()
		for i := range many / 2 {
			ids[b.create(fmt.Sprintf("user%d@university.example", many/2+i))] = true
		}
		for id := range ids {
			b.settled(id, invitation.OK)
		}
		seen := map[string]bool{}
		for _, each := range b.post.to("") {
			require.False(t, seen[each.id()], each.id())
			seen[each.id()] = true
		}
		require.Len(t, seen, many)
		for _, each := range b.idle(deliveryKind) {
			require.Equal(t, 1, each.Attempt, "%s", json.RawMessage(each.EncodedArgs))
		}
		require.NotContains(t, b.post.log.String(), "database is locked")
	})
}

// What one recipient's server says against the sender is the operator's, and nobody else's mail waits for it.
func TestOneRecipientHoldsNobodyUp(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.post.answers(func(to string) error {
			if to == "nobody@outside.example" {
				return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in, nobody@outside.example"}
			}
			return nil
		}, nil)
		w := b.start()
		outside := b.create("nobody@outside.example")
		require.Contains(t, b.settled(outside, invitation.Erred).ErrorMessage, "refused the sender (530)")
		require.Contains(t, w.Troubles()["mail"], "refused the sender (530)")
		b.settled(b.create("ina@university.example"), invitation.OK)
		require.Empty(t, w.Troubles()["mail"])

		kept := b.idle(deliveryKind)[0]
		require.Equal(t, rivertype.JobStateRetryable, kept.State, "not given up")
		require.Equal(t, b.see(outside).ErrorMessage, kept.Errors[0].Error, "the queue keeps what anybody may read")
	})
}

// blocked is a transport that nothing gets past until somebody mends it.
type blocked struct {
	mail.Transport
	tried  *atomic.Int32
	mended *atomic.Bool
}

func (b blocked) Send(ctx context.Context, m mail.Message) error {
	if b.mended.Load() {
		return b.Transport.Send(ctx, m)
	}
	b.tried.Add(1)
	return &delivery.Failure{
		Reason: "The login was refused; the operator has to act.", Operator: true, Blocked: true, Err: errors.New("a\x00b"),
	}
}

// A login that is refused is not tried again for each of the letters that wait, and costs them no attempt.
func TestLettersThatAreHeld(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		var tried atomic.Int32
		var mended atomic.Bool
		var ids []uuid.UUID
		for i := range 30 {
			ids = append(ids, b.create(fmt.Sprintf("user%d@university.example", i)))
		}
		w := b.start(func(c *jobs.Config) { c.Transport = blocked{c.Transport, &tried, &mended} })
		for _, id := range ids {
			require.Equal(t, "The login was refused; the operator has to act. It is tried again by itself.",
				b.settled(id, invitation.Erred).ErrorMessage)
		}
		require.LessOrEqual(t, tried.Load(), int32(8), "no more than began at once")
		require.Contains(t, w.Troubles()["mail"], "refused")
		held := 0
		for _, each := range b.idle(deliveryKind) {
			if each.State == rivertype.JobStateScheduled {
				held++
				require.Zero(t, each.Attempt)
				require.Empty(t, each.Errors)
				require.WithinRange(t, each.ScheduledAt, time.Now().Add(5*time.Second), time.Now().Add(13*time.Second))
			}
		}
		require.Equal(t, 30-int(tried.Load()), held)
	})
}

// The job of a process that died is done again at once, whatever pauses its failures before had come to.
func TestRescueDoesNotPause(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		id := b.create("ina@university.example")
		_, err := b.service.BeginDelivery(t.Context(), invitation.Deliver{Invitation: id})
		require.NoError(t, err)
		require.NoError(t, b.db.Queue().GetExecutor().Exec(t.Context(),
			"UPDATE river_job SET state = 'running', attempt = 10, attempted_at = '2020-01-01 00:00:00'"))
		b.start()
		found := b.settled(id, invitation.OK)
		require.Empty(t, found.ErrorMessage)
		require.Equal(t, 11, b.jobs(deliveryKind)[0].Attempt)
	})
}
