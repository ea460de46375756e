package jobs_test

import (
	"context"
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
	"invited/internal/store"
)

func onlyStaffInvites(p *invitation.Policy) { p.OnlyStaffCanInvite = true }

// recipients lists who got mail.
func (b *bed) recipients() []string {
	found := []string{}
	for _, each := range b.post.to("") {
		found = append(found, each.to)
	}
	slices.Sort(found)
	return found
}

// mailed waits for the one mail to an address.
func (b *bed) mailed(to string) letter {
	b.t.Helper()
	b.until("a mail to "+to, func() bool { return len(b.post.to(to)) > 0 })
	found := b.post.to(to)
	require.Len(b.t, found, 1)
	return found[0]
}

func TestStaffAreAsked(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.start()
		first, second := b.create("first@university.example"), b.create("second@university.example")
		var both []letter
		b.until("two mails to sam", func() bool { both = b.post.to("sam@staff.example"); return len(both) == 2 })
		for _, each := range b.idle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
			require.NotContains(t, string(each.EncodedArgs), "@", "the queue names people by uuid")
		}
		// Each active staff user with an address who wants mail; not those who have no say, nor the invitee.
		require.Equal(t, []string{"sam@staff.example", "sam@staff.example", "sue@staff.example", "sue@staff.example"},
			b.recipients())
		require.Empty(t, b.jobs(deliveryKind))
		about := func(id uuid.UUID, mails []letter) letter {
			i := slices.IndexFunc(mails, func(l letter) bool { return strings.Contains(l.id(), id.String()) })
			require.GreaterOrEqual(t, i, 0)
			return mails[i]
		}

		// Each link does what it says, for its own invitation, and nothing else.
		asked := about(first, both)
		approve, reject := asked.link(t, "invitation_approve"), asked.link(t, "invitation_reject")
		require.True(t, fault.Is(b.service.Approve(t.Context(), reject), fault.KindRejected))
		require.True(t, fault.Is(b.service.Reject(t.Context(), approve), fault.KindRejected))
		require.NoError(t, b.service.Approve(t.Context(), approve))
		require.Equal(t, invitation.Pending, b.settled(first, invitation.OK).StoredState)
		require.Equal(t, first.String(), b.mailed("first@university.example").link(t, "invitation"))
		other := about(first, b.post.to("sue@staff.example"))
		require.NotEqual(t, approve, other.link(t, "invitation_approve"))
		require.True(t, fault.Is(b.service.Reject(t.Context(), other.link(t, "invitation_reject")), fault.KindRejected), "decided")

		require.NoError(t, b.service.Reject(t.Context(), about(second, both).link(t, "invitation_reject")))
		require.Equal(t, invitation.Rejected, b.see(second).StoredState)
		told := b.mailed("olivia@acme.example")
		require.Contains(t, told.Text, "second@university.example")
		require.Equal(t, apollo.String(), told.link(t, "projects"))
		b.idle(noticeKind)
		require.Empty(t, b.post.to("second@university.example"))
		require.NotContains(t, b.post.log.String(), approve, "a link in the log is a link for who reads the log")
	}, onlyStaffInvites)
}

func TestNoticesThatFail(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.post.answers(func(to string) error {
			switch to {
			case "sam@staff.example":
				return &smtp.SMTPError{Code: 550, Message: "no such user"}
			case "sue@staff.example":
				return &smtp.SMTPError{Code: 450, Message: "later"}
			}
			return nil
		}, nil)
		b.start()
		id := b.create("ina@university.example")
		var states []rivertype.JobState
		var put *rivertype.JobRow
		b.until("both have failed", func() bool {
			states = nil
			for _, each := range b.idle(noticeKind) {
				states = append(states, each.State)
				if each.State == rivertype.JobStateRetryable {
					put = each
				}
			}
			slices.Sort(states)
			return slices.Equal(states, []rivertype.JobState{rivertype.JobStateCancelled, rivertype.JobStateRetryable})
		})
		b.post.answers(nil, nil)
		b.again(put)
		require.NoError(t, b.service.Approve(t.Context(), b.mailed("sue@staff.example").link(t, "invitation_approve")))
		b.settled(id, invitation.OK)
		require.Empty(t, b.post.to("sam@staff.example"))
	}, onlyStaffInvites)
}

// Between asking for a notice and sending it, there may be nobody left to tell, or nothing.
func TestNoticesThatAreTooLate(t *testing.T) {
	for name, change := range map[string]func(b *bed, id uuid.UUID){
		"the invitation was deleted": func(b *bed, id uuid.UUID) {
			require.NoError(b.t, b.service.Delete(b.t.Context(), b.user("sam"), id))
		},
		"the scope was removed": func(b *bed, _ uuid.UUID) { b.apply(removed) },
		"nobody is staff any more": func(b *bed, _ uuid.UUID) {
			b.apply("users: [{username: sam, email: sam@staff.example}, " +
				"{username: sue, email: sue@staff.example, is_staff: true, is_active: false}]")
		},
		"the staff users are gone": func(b *bed, _ uuid.UUID) {
			require.NoError(b.t, b.db.Queue().GetExecutor().Exec(b.t.Context(), "DELETE FROM users WHERE is_staff"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bed) {
				id := b.create("ina@university.example")
				change(b, id)
				b.start()
				for _, each := range b.idle(noticeKind) {
					require.Equal(t, rivertype.JobStateCompleted, each.State)
				}
				require.Empty(t, b.post.to(""))
			}, onlyStaffInvites)
		})
	}
}

// What time makes due is mailed once, however many workers look.
func TestTimeIsUp(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		soon := func(c *jobs.Config) { c.Sweep = 100 * time.Millisecond }
		b.create("first@university.example")
		b.clock.Advance(lifetime - time.Hour)
		b.start(soon)
		b.start(soon)
		b.mailed("first@university.example") // late, not a reminder
		reminded := func() bool { return len(b.post.to("first@university.example")) == 2 }
		b.until("a reminder", reminded)
		require.Equal(t, "REMINDER: Invitation to Apollo project",
			b.post.to("first@university.example")[1].GetHeader("Subject"))

		b.clock.Advance(2 * time.Hour)
		told := b.mailed("olivia@acme.example")
		require.Equal(t, "Invitation of first@university.example has expired", told.GetHeader("Subject"))
		done := len(b.jobs(invitation.Sweep{}.Kind()))
		b.until("three more sweeps", func() bool { return len(b.jobs(invitation.Sweep{}.Kind())) >= done+3 })
		b.idle(noticeKind)
		require.True(t, reminded())
		b.mailed("olivia@acme.example")
	})
}

func TestCreatorWhoIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		id := b.create("ina@university.example")
		require.NoError(t, b.db.Queue().GetExecutor().Exec(t.Context(), "DELETE FROM users WHERE username = 'olivia'"))
		b.start()
		b.settled(id, invitation.OK)
		mail := b.mailed("ina@university.example")
		require.Contains(t, mail.Text, "You are invited")
		require.NotContains(t, mail.Text, "Olivia")
	})
}

func TestCreatorWhoIsNotThereToBeTold(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		asked := b.create("ina@university.example")
		w := b.workers()
		require.NoError(t, w.Start(t.Context()))
		reject := b.mailed("sam@staff.example").link(t, "invitation_reject")
		require.NoError(t, w.Stop(t.Context()))

		require.NoError(t, b.service.Reject(t.Context(), reject))
		b.apply("users: [{username: olivia, email: olivia@acme.example, is_active: false}]")
		b.start()
		for _, each := range b.idle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		require.Empty(t, b.post.to("olivia@acme.example"))
		require.Equal(t, invitation.Rejected, b.see(asked).StoredState)
	}, onlyStaffInvites)
}

// held is a store with nothing due, in which a sweep goes on until it is let end.
type held struct {
	invitation.Store
	begun, let chan struct{}
}

func (h held) Write(ctx context.Context, f func(invitation.Tx) error) error {
	var swept bool
	err := h.Store.Write(ctx, func(tx invitation.Tx) error { return f(nothingDue{tx, &swept}) })
	if swept {
		select {
		case h.begun <- struct{}{}:
		case <-h.let:
		}
		<-h.let
	}
	return err
}

type nothingDue struct {
	invitation.Tx
	swept *bool
}

func (n nothingDue) Due(invitation.Due, time.Time, time.Time, int) ([]invitation.Invitation, error) {
	*n.swept = true
	return nil, nil
}

// What a sweep asks for is mailed when it is over, and invitations all the while.
func TestNoticesLetASweepGoFirst(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		id := b.create("first@university.example")
		b.clock.Advance(lifetime)
		notice := invitation.Notify{Notice: invitation.NoticeExpired, Invitation: id, User: *b.see(id).CreatedByUUID}
		sweep := held{b.service.Store, make(chan struct{}), make(chan struct{})}
		b.service.Store = sweep
		b.start()
		<-sweep.begun
		require.NoError(t, b.db.Write(t.Context(), func(tx *store.Tx) error { return tx.Enqueue(notice) }))
		b.until("the notice waits", func() bool { return b.jobs(noticeKind)[0].State == rivertype.JobStateRunning })
		b.create("second@university.example")
		b.mailed("second@university.example")
		require.Empty(t, b.post.to("olivia@acme.example"))
		close(sweep.let)
		b.mailed("olivia@acme.example")
	})
}
