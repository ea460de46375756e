package invitation

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// EventType names what happened to an invitation.
type EventType string

// The types of event, as the API names them.
const (
	EventCreated            EventType = "created"
	EventApproved           EventType = "approved"
	EventRejected           EventType = "rejected"
	EventAccepted           EventType = "accepted"
	EventRefused            EventType = "refused" // the invitee could not accept: the inviter may not invite any more
	EventCanceled           EventType = "canceled"
	EventDeclined           EventType = "declined"            // the invitee does not want the role
	EventDeclineUndone      EventType = "decline_undone"      // the invitee took the decline back
	EventRenewalAsked       EventType = "renewal_asked"       // the invitee of an expired invitation asked for a new one
	EventSent               EventType = "sent"                // a user asked for another delivery
	EventUpdated            EventType = "updated"             // a user edited the invitation
	EventDeleted            EventType = "deleted"             // the row is gone
	EventExpired            EventType = "expired"             // the row says that the invitation is expired
	EventErased             EventType = "erased"              // what was kept of the invitee was erased
	EventActivated          EventType = "activated"           // the project started
	EventReminded           EventType = "reminded"            // a reminder was asked for
	EventDelivered          EventType = "delivered"           // the invitation was handed over
	EventDeliveryFailed     EventType = "delivery_failed"     // the invitation was not handed over
	EventNotified           EventType = "notified"            // a notice was handed over
	EventNotificationFailed EventType = "notification_failed" // a notice was not handed over
)

// Channel is the way by which something is sent.
type Channel string

// The channels, as the API names them.
const (
	ByMail    Channel = "mail"
	ByWebhook Channel = "webhook"
)

// Event records something that happened to an invitation. Events outlive the invitation and the user, and never change, unless
// a person is erased: names in an event are the names of that time. Events hold no token and no link.
type Event struct {
	ID             int64 `gorm:"primaryKey;autoIncrement:false;<-:false"` // in the order of writing; the database sets it
	InvitationUUID uuid.UUID
	Created        time.Time // time of the transaction; the store sets it
	Type           EventType `gorm:"column:event_type"`
	UserUUID       *uuid.UUID
	UserUsername   string // empty, with the other two: the server itself
	UserFullName   string

	// FromState and ToState are the stored states before and after the change; empty where there was no row.
	FromState, ToState State
	// The row after the change, or the last row of a deleted invitation.
	Email          string
	RoleUUID       uuid.UUID
	RoleName       string
	ExecutionState ExecutionState
	ErrorMessage   string // of an EventNotificationFailed: why the notice failed
	Reason         string // what the user gave as their reason; empty: none

	Notice    Notice  // the notice that was sent; empty: none
	Channel   Channel // empty: nothing was sent
	Recipient string  // the address that the message was sent to
	RequestID string  // of the request that caused the change; empty: none. The store sets it

	ScopeUUID, CustomerUUID *uuid.UUID // nil: the invitation was deleted before events had them
	// Position is the event's place in the feed; nil: the event has none yet. Package lifecycle gives it.
	Position *int64 `gorm:"<-:false"`

	// MailTo is the folded address of the invitee whom the change mails, at once or when the project starts; nil: the
	// change mails no invitee. Limits count these events.
	MailTo *string
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "invitation_events" }

// cause holds the parts of an event that the row of the invitation does not have.
type cause struct {
	event     EventType
	user      *directory.User // nil: the server itself
	notice    Notice
	channel   Channel
	recipient string
	reason    string
	// newAddress: an EventUpdated gives the invitation another address.
	newAddress bool
}

// mailsInvitee reports whether a change to a stored state mails the invitee, at once or when the project starts.
func (c cause) mailsInvitee(to State) bool {
	switch c.event {
	case EventCreated, EventApproved, EventSent, EventActivated, EventReminded:
		return to.awaitsInvitee()
	case EventUpdated:
		return c.newAddress
	default:
		return false
	}
}

// byUser is the cause of a change that a user makes.
func byUser(user directory.User, event EventType) cause { return cause{event: event, user: &user} }

// because returns the cause with the reason that the user gave; empty: none.
func (c cause) because(reason string) cause {
	c.reason = reason
	return c
}

// byServer is the cause of a change that the server makes by itself.
func byServer(event EventType) cause { return cause{event: event} }

// record returns the event of a change between two stored states after which the invitation is i.
func (c cause) record(i Invitation, from, to State) *Event {
	e := &Event{
		InvitationUUID: i.UUID,
		Type:           c.event,
		FromState:      from,
		ToState:        to,
		Email:          i.Email,
		RoleUUID:       i.RoleUUID,
		RoleName:       i.Role.Name,
		ExecutionState: i.ExecutionState,
		ErrorMessage:   i.ErrorMessage,
		Notice:         c.notice,
		Channel:        c.channel,
		Recipient:      c.recipient,
		Reason:         c.reason,
		ScopeUUID:      &i.ScopeUUID,
		CustomerUUID:   &i.CustomerUUID,
	}
	if c.user != nil {
		e.UserUUID, e.UserUsername, e.UserFullName = &c.user.UUID, c.user.Username, c.user.FullName
	}
	if c.mailsInvitee(to) {
		e.MailTo = new(directory.FoldEmail(i.Email)) // a sweep reads no EmailFolded
	}
	return e
}

type requestIDKey struct{}

// WithRequestID returns a context whose events have the id of the request that caused them.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of the request that a context belongs to; empty: none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
