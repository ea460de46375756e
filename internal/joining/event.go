package joining

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// EventType names what happened to a group invitation.
type EventType string

// The types of event, as the API names them.
const (
	EventCreated  EventType = "created"
	EventUpdated  EventType = "updated"
	EventCanceled EventType = "canceled"
	EventDeleted  EventType = "deleted"
)

// Event records something that happened to a group invitation. Events outlive the group invitation and the users, and
// never change: names in an event are the names of that time.
type Event struct {
	ID                    int64 `gorm:"primaryKey;autoIncrement:false;<-:false"` // in the order of writing; the database sets it
	GroupInvitationUUID   uuid.UUID
	PermissionRequestUUID *uuid.UUID // nil: about the group invitation itself
	Created               time.Time  // time of the transaction; the store sets it
	Type                  EventType  `gorm:"column:event_type"`
	UserUUID              *uuid.UUID
	UserUsername          string // empty, with the other two: the server itself
	UserFullName          string
	FromState, ToState    State // of the request; empty: there was none
	ScopeUUID             uuid.UUID
	ScopeName             string
	RoleUUID              uuid.UUID
	RoleName              string
	Message               string // one sentence for people
	Comment               string // of the reviewer; empty: none
	Recipient             string // the address that a mail was sent to; empty: none
	ErrorMessage          string // why a mail failed; empty: none did
	RequestID             string // of the HTTP request that caused the change; empty: none. The store sets it
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "group_invitation_events" }

// did has the verb of each event about a group invitation.
var did = map[EventType]string{
	EventCreated: "created", EventUpdated: "updated", EventCanceled: "canceled", EventDeleted: "deleted",
}

// record returns the event of a change after which the group invitation is g.
func record(event EventType, g GroupInvitation, user *directory.User) *Event {
	e := &Event{
		GroupInvitationUUID: g.UUID, Type: event,
		ScopeUUID: g.ScopeUUID, ScopeName: g.Scope.Name, RoleUUID: g.RoleUUID, RoleName: g.Role.Name,
	}
	if user != nil {
		e.UserUUID, e.UserUsername, e.UserFullName = &user.UUID, user.Username, user.FullName
		e.Message = fmt.Sprintf("Group invitation for %s has been %s by %s.", g.Scope.Name, did[event], user.Username)
	}
	return e
}
