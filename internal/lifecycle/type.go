package lifecycle

import "invited/internal/invitation"

// Type is the type of an event as other programs see it.
type Type string

// The types, as the webhook and the feed name them. Two words cross: the event_type "delivered" of an invitation's
// delivery has the type Sent, and "sent", by which a user sends an invitation again, has Updated or Requested.
const (
	Created        Type = "invitation.created"
	Sent           Type = "invitation.sent" // handed over to the mail server or the webhook of invitations
	DeliveryFailed Type = "invitation.delivery_failed"
	Reminded       Type = "invitation.reminded" // the reminder was handed over
	Accepted       Type = "invitation.accepted"
	Declined       Type = "invitation.declined"
	Canceled       Type = "invitation.canceled"
	Expired        Type = "invitation.expired"
	Requested      Type = "invitation.requested" // waits for approval, in place of Created or Updated
	Approved       Type = "invitation.approved"
	Rejected       Type = "invitation.rejected"
	Updated        Type = "invitation.updated" // edited, or open again, or its project started
	Deleted        Type = "invitation.deleted"
	Erased         Type = "invitation.erased" // what was kept of the invitee was erased
)

// TypeOf returns the type of an event; empty: other programs are not told of the event by itself.
func TypeOf(e invitation.Event) Type {
	switch e.Type {
	case invitation.EventCreated:
		if e.ToState == invitation.Requested {
			return Requested
		}
		return Created
	case invitation.EventSent:
		if e.ToState == invitation.Requested && e.FromState != invitation.Requested {
			return Requested
		}
		return Updated
	case invitation.EventUpdated, invitation.EventDeclineUndone, invitation.EventActivated:
		return Updated
	case invitation.EventDelivered:
		return Sent
	case invitation.EventDeliveryFailed:
		return DeliveryFailed
	case invitation.EventNotified:
		if e.Notice == invitation.NoticeReminder {
			return Reminded
		}
	case invitation.EventAccepted:
		return Accepted
	case invitation.EventDeclined:
		return Declined
	case invitation.EventCanceled:
		return Canceled
	case invitation.EventExpired:
		return Expired
	case invitation.EventApproved:
		return Approved
	case invitation.EventRejected:
		return Rejected
	case invitation.EventDeleted:
		return Deleted
	case invitation.EventErased:
		return Erased
	case invitation.EventRefused, invitation.EventRenewalAsked, invitation.EventReminded, invitation.EventNotificationFailed:
		// The invitation stays as it is, and so does what its invitee got.
	}
	return ""
}
