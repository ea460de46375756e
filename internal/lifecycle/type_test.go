package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

func TestTypeOf(t *testing.T) {
	t.Parallel()
	const pending, requested, expired = invitation.Pending, invitation.Requested, invitation.Expired
	for _, row := range []struct {
		kind     invitation.EventType
		from, to invitation.State
		notice   invitation.Notice
		want     Type
	}{
		{invitation.EventCreated, "", pending, "", Created},
		{invitation.EventCreated, "", invitation.Project, "", Created},
		{invitation.EventCreated, "", requested, "", Requested},
		{invitation.EventApproved, requested, pending, "", Approved},
		{invitation.EventRejected, requested, invitation.Rejected, "", Rejected},
		{invitation.EventAccepted, pending, invitation.Accepted, "", Accepted},
		{invitation.EventRefused, pending, pending, "", ""},
		{invitation.EventCanceled, pending, invitation.Canceled, "", Canceled},
		{invitation.EventDeclined, pending, invitation.Canceled, "", Declined},
		{invitation.EventDeclineUndone, invitation.Canceled, pending, "", Updated},
		{invitation.EventRenewalAsked, expired, expired, "", ""},
		{invitation.EventSent, pending, pending, "", Updated},
		{invitation.EventSent, expired, pending, "", Updated},
		{invitation.EventSent, expired, requested, "", Requested},
		{invitation.EventUpdated, pending, pending, "", Updated},
		{invitation.EventUpdated, requested, requested, "", Updated},
		{invitation.EventDeleted, pending, "", "", Deleted},
		{invitation.EventExpired, pending, expired, "", Expired},
		{invitation.EventErased, expired, expired, "", Erased},
		{invitation.EventActivated, invitation.Project, pending, "", Updated},
		{invitation.EventReminded, pending, pending, "", ""},
		{invitation.EventDelivered, pending, pending, "", Sent},
		{invitation.EventDelivered, "", "", "", Sent}, // deleted meanwhile
		{invitation.EventDeliveryFailed, pending, pending, "", DeliveryFailed},
		{invitation.EventNotified, pending, pending, invitation.NoticeReminder, Reminded},
		{invitation.EventNotified, requested, requested, invitation.NoticeRequested, ""},
		{invitation.EventNotified, expired, expired, invitation.NoticeExpired, ""},
		{invitation.EventNotificationFailed, pending, pending, invitation.NoticeReminder, ""},
		{"of a later version", pending, pending, "", ""},
	} {
		got := TypeOf(invitation.Event{Type: row.kind, FromState: row.from, ToState: row.to, Notice: row.notice})
		require.Equal(t, row.want, got, "%+v", row)
	}
}

// A delivery is given up by the first attempt that fails three days after the first failure, and not before.
func TestDeliveryIsGivenUp(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	d := Delivery{State: Pending}
	for n, after := range []time.Duration{0, time.Hour, GiveUpAfter - time.Second} {
		d = fail(d, start.Add(after))
		require.Equal(t, Delivery{State: Pending, Failures: n + 1, FirstFailed: &start}, d)
	}
	end := start.Add(GiveUpAfter)
	require.Equal(t, Delivery{State: GivenUp, Failures: 4, FirstFailed: &start, Ended: &end}, fail(d, end))
	require.Equal(t, Delivery{State: Delivered, Failures: 3, FirstFailed: &start, Ended: &end}, succeed(d, end))
}
