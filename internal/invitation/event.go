package invitation

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// EventType names what happened to an invitation.
type EventType string

// The types of event, as the API names them.
const (
	EventCreated            EventType = "created"
	EventApproved           EventType = "approved"
	EventRejected           EventType = "rejected"
	EventAccepted           EventType = "accepted"
	EventCanceled           EventType = "canceled"
	EventSent               EventType = "sent"                // somebody asked for another delivery
	EventUpdated            EventType = "updated"             // somebody edited it
	EventDeleted            EventType = "deleted"             // and its row is gone
	EventExpired            EventType = "expired"             // its time is over, and the row says so
	EventActivated          EventType = "activated"           // its project started
	EventReminded           EventType = "reminded"            // a reminder was asked for
	EventDelivered          EventType = "delivered"           // it was handed over
	EventDeliveryFailed     EventType = "delivery_failed"     // it was not
	EventNotified           EventType = "notified"            // a notice was handed over
	EventNotificationFailed EventType = "notification_failed" // it was not
)

// Channel is a way out for what is sent.
type Channel string

// The channels, as the API names them.
const (
	ByMail    Channel = "mail"
	ByWebhook Channel = "webhook"
)

// Event is something that happened to an invitation. It outlives the invitation and who did it, and is never changed:
// who and what it names, it names as they were called then. It holds no token and no link.
type Event struct {
	ID             int64 `gorm:"primaryKey"` // in the order of writing
	InvitationUUID uuid.UUID
	Created        time.Time // the moment of the transaction: Tx sets it
	Type           EventType `gorm:"column:event_type"`
	UserUUID       *uuid.UUID
	UserUsername   string // empty, with the others: the server itself
	UserFullName   string

	// FromState and ToState are the states that stood in the row before and after it; empty where there was no row.
	FromState, ToState State
	// What the row said after it, or said at last.
	Email          string
	RoleUUID       uuid.UUID
	RoleName       string
	ExecutionState ExecutionState
	ErrorMessage   string // of EventNotificationFailed: why the notice failed

	Notice    Notice  // that was sent; empty: none
	Channel   Channel // empty: nothing was sent
	Recipient string  // the address that it was sent to
	RequestID string  // empty: no request asked for it; Tx sets it
}

// TableName is where events are kept.
func (Event) TableName() string { return "invitation_events" }

// cause is why an invitation changes: what its event says that its row does not.
type cause struct {
	what      EventType
	who       *directory.User // nil: the server itself
	notice    Notice
	channel   Channel
	recipient string
}

// by is something that a user does.
func by(user directory.User, what EventType) cause { return cause{what: what, who: &user} }

// itself is something that the server does.
func itself(what EventType) cause { return cause{what: what} }

// event is what is noted of a change that leaves an invitation as it is given.
func (c cause) event(i Invitation, from, to State) Event {
	e := Event{
		InvitationUUID: i.UUID,
		Type:           c.what,
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
	}
	if c.who != nil {
		e.UserUUID, e.UserUsername, e.UserFullName = &c.who.UUID, c.who.Username, c.who.FullName
	}
	return e
}

type requestIDKey struct{}

// WithRequestID returns a context whose events were asked for by the request of this id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id of the request that a context is of; empty where it is of none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// EventPage is a part of the events of an invitation.
type EventPage struct {
	Events []Event
	Total  int // over all pages
}

// Events returns the page'th page of size events, from 1, of an invitation that the caller sees in the list and may
// manage, the newest first; fault.KindNotFound otherwise, and for a page past the end. Staff read the events of any
// invitation, also of one that was deleted or whose scope was removed.
func (s *Service) Events(ctx context.Context, caller directory.User, id uuid.UUID, page, size int) (EventPage, error) {
	var out EventPage
	err := s.Store.Read(ctx, func(tx Tx) error {
		if !caller.IsStaff {
			view, actor, err := s.visible(tx, caller, id, tx.Find)
			if err != nil {
				return err
			}
			if !actor.MayManage(view.Scope) {
				return fault.NotFound()
			}
		}
		found, total, err := directory.Paginate(page, size, func(c directory.Window) ([]Event, int, error) { return tx.Events(id, c) })
		if err != nil {
			return err
		}
		if total == 0 && caller.IsStaff {
			// One that was made before events were kept may have none; one that never was has none.
			if _, err := tx.Find(id); err != nil {
				return err
			}
		}
		out = EventPage{found, total}
		return nil
	})
	return out, err
}
