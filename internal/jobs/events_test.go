package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
)

// sent says of each event about something that was sent what came of it, the oldest first.
func (b *bed) sent(id uuid.UUID) (all []string) {
	b.t.Helper()
	require.NoError(b.t, b.db.Read(b.t.Context(), func(tx *store.Tx) error {
		found, total, err := tx.Events(id, directory.Window{Limit: 1000})
		require.Len(b.t, found, total)
		for _, e := range slices.Backward(found) {
			if e.Channel != "" {
				require.Nil(b.t, e.UserUUID)
				require.Empty(b.t, e.RequestID)
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s: %s", e.Type, e.Notice, e.Channel, e.Recipient, e.ErrorMessage)))
			}
		}
		return err
	}))
	return all
}

// attempted waits until a job of a kind has failed once more, and returns it.
func (b *bed) attempted(kind string, times int) (job *rivertype.JobRow) {
	b.t.Helper()
	b.until(fmt.Sprintf("attempt %d", times), func() bool {
		for _, job = range b.idle(kind) {
			if job.State == rivertype.JobStateRetryable && job.Attempt == times {
				return true
			}
		}
		return false
	})
	return job
}

// An attempt that fails as the one before it did is no event of its own; there can be one an hour for weeks.
func TestEventsOfDelivery(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.post.close()
		b.start()
		id := b.create("Ina@University.example")
		b.again(b.attempted(deliveryKind, 1))
		b.again(b.attempted(deliveryKind, 2))
		down := "delivery_failed  mail Ina@University.example: The mail server can't be reached. It is tried again by itself."
		failed := b.attempted(deliveryKind, 3)
		require.Equal(t, []string{down}, b.sent(id))
		b.post.open()
		b.again(failed)
		b.settled(id, invitation.OK)
		require.Equal(t, []string{down, "delivered  mail Ina@University.example:"}, b.sent(id))
	})
}

func TestEventsOfNotices(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.post.answers(func(to string) error {
			switch to {
			case "sam@staff.example":
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
			case "sue@staff.example":
				return &smtp.SMTPError{Code: 450, Message: "later"}
			}
			return nil
		}, nil)
		b.start()
		id := b.create("ina@university.example")
		b.again(b.attempted(noticeKind, 1))
		failed := b.attempted(noticeKind, 2)
		b.post.answers(nil, nil)
		b.again(failed)
		reject := b.mailed("sue@staff.example").link(t, "invitation_reject")
		b.idle(noticeKind)
		about := func(who string) (all []string) {
			for _, each := range b.sent(id) {
				if strings.Contains(each, who) {
					all = append(all, each)
				}
			}
			return all
		}
		require.Len(t, b.sent(id), 3)
		refused := about("sam@staff.example")
		require.Len(t, refused, 1)
		require.Regexp(t, `^notification_failed requested mail sam@staff\.example: .*550 5\.1\.1`, refused[0])
		later := about("sue@staff.example")
		require.Regexp(t, `^notification_failed requested mail sue@staff\.example: .*450.*tried again by itself\.$`, later[0])
		require.Equal(t, "notified requested mail sue@staff.example:", later[1])

		require.NoError(t, b.service.Reject(t.Context(), reject))
		b.mailed("olivia@acme.example")
		b.idle(noticeKind)
		require.Equal(t, []string{"notified rejected mail olivia@acme.example:"}, about("olivia"))
	}, onlyStaffInvites)
}
