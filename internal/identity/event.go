package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// EventType names what happened.
type EventType string

// The types of events.
const (
	EventSignedIn       EventType = "signed_in"
	EventSignedOut      EventType = "signed_out"
	EventRefused        EventType = "sign_in_refused" // Detail: why
	EventUserCreated    EventType = "user_created"
	EventIdentityLinked EventType = "identity_linked" // the user had no identity of this issuer before
	EventTokenCreated   EventType = "token_created"   // Detail: the API token's id, name and scopes, and who asked for it
	EventErased         EventType = "erased"          // Detail: how much of what was kept of a person was erased
	EventTokenRevoked   EventType = "token_revoked"   // Detail: the API token's id and name
)

// Event is something that happened to a user's sign-ins. No event has a secret. It is kept for EventsKept.
type Event struct {
	ID        int64 `gorm:"primaryKey;autoIncrement:false;<-:false"` // in the order of writing; the database sets it
	Created   time.Time
	Type      EventType  `gorm:"column:event_type"`
	UserUUID  *uuid.UUID // nil: the person has no user
	Username  string     // as the user was called then
	Issuer    string     // who vouched for the person; "": nobody, as with a code by mail
	Subject   string     // who the person is to the issuer
	Client    string     // the address that the request came from; "": the operator's command
	Detail    string     // for people
	RequestID string     // the store sets it
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "sign_in_events" }

// EventsKept is for how long events are kept.
const EventsKept = 365 * 24 * time.Hour

// newEvent returns an event about a user.
func newEvent(kind EventType, user directory.User, client, detail string) Event {
	return Event{Type: kind, UserUUID: &user.UUID, Username: user.Username, Client: client, Detail: detail}
}

// of returns the event of a person.
func (e Event) of(p Person) Event {
	e.Issuer, e.Subject = p.Issuer, p.Subject
	return e
}

// recordRefusal writes why a person was not signed in, behind the event's own detail. Other errors than refusals are no
// events. The error is returned as it is, because the person is to see it.
func (s *Service) recordRefusal(ctx context.Context, e Event, err error) error {
	if !fault.Is(err, fault.KindForbidden) && !fault.Is(err, fault.KindUnauthenticated) {
		return err
	}
	e.Type, e.Detail = EventRefused, e.Detail+err.Error()
	if failed := s.Store.Write(ctx, func(tx Tx) error { return tx.SaveSignInEvent(e) }); failed != nil {
		return failed
	}
	return err
}

// Events returns the newest events of a user, or of everybody where user is nil, the newest first.
func (s *Service) Events(ctx context.Context, user *uuid.UUID, limit int) (found []Event, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, err = tx.ListSignInEvents(user, limit)
		return err
	})
	return found, err
}

// EventsOf returns the newest events of the user with a username, or of everybody where the username is "", the newest
// first. It returns an error that names the reason where there is no such user.
func (s *Service) EventsOf(ctx context.Context, username string, limit int) (found []Event, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		var user *uuid.UUID
		if username != "" {
			named, err := findByUsername(tx, username)
			if err != nil {
				return err
			}
			user = &named.UUID
		}
		found, err = tx.ListSignInEvents(user, limit)
		return err
	})
	return found, err
}

// findByUsername returns the user with a username, or an error that says that there is none.
func findByUsername(tx Tx, username string) (directory.User, error) {
	users, err := tx.FindUsers(nil, []string{username})
	if err == nil && len(users) == 0 {
		err = fmt.Errorf("there is no user %s", directory.Excerpt(username))
	}
	if err != nil {
		return directory.User{}, err
	}
	return users[0], nil
}
