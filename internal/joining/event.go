package joining

import (
	"fmt"
	"strings"
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

	EventSubmitted          EventType = "submitted"           // a user asked to take it up
	EventApproved           EventType = "approved"            // a request was approved
	EventRejected           EventType = "rejected"            // a request was rejected
	EventRequestCanceled    EventType = "request_canceled"    // a request was taken back
	EventRequestDeleted     EventType = "request_deleted"     // the row of a request is gone
	EventNotified           EventType = "notified"            // a mail about a request was handed over
	EventNotificationFailed EventType = "notification_failed" // a mail about a request was not handed over
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

// recordRequest returns the event of a change of a request by a user from a state, after which the request is r.
func recordRequest(event EventType, r Request, from State, user directory.User) *Event {
	return recordOf(event, r, from, &user, fmt.Sprintf("Permission request of %s for %s has been %s by %s.",
		r.CreatedBy.Username, r.Group.Scope.Name, strings.TrimPrefix(string(event), "request_"), user.Username))
}

// recordMail returns the event of a mail about a request that the server has sent, or has not.
func recordMail(event EventType, r Request) *Event {
	verb := "was"
	if event == EventNotificationFailed {
		verb = "was not"
	}
	return recordOf(event, r, r.State, nil, fmt.Sprintf("A mail about the permission request of %s for %s %s sent.",
		r.CreatedBy.Username, r.Group.Scope.Name, verb))
}

// recordOf returns an event about a request.
func recordOf(event EventType, r Request, from State, user *directory.User, message string) *Event {
	e := record(event, r.Group, user, message)
	e.PermissionRequestUUID, e.FromState, e.ToState, e.Comment = &r.UUID, from, r.State, r.ReviewComment
	return e
}

// recordApproval returns the event of the approval of a request, after which the request is r. Its role and scope are those of
// the grant: a project-making group invitation has others.
func recordApproval(r Request, from State, g grant, reviewer directory.User) *Event {
	e := recordRequest(EventApproved, r, from, reviewer)
	e.ScopeUUID, e.ScopeName, e.RoleUUID, e.RoleName = g.scope.UUID, g.scope.Name, g.role.UUID, g.role.Name
	e.Message = fmt.Sprintf("%s: %s in %s.", strings.TrimSuffix(e.Message, "."), g.role.Name, g.scope.Name)
	return e
}

// recordGroup returns the event of a change by a user after which the group invitation is g.
func recordGroup(event EventType, g GroupInvitation, user directory.User) *Event {
	return record(event, g, &user, fmt.Sprintf("Group invitation for %s has been %s by %s.", g.Scope.Name, event, user.Username))
}

// record returns an event about a group invitation or one of its requests. user is nil where the server does it.
func record(event EventType, g GroupInvitation, user *directory.User, message string) *Event {
	e := &Event{
		GroupInvitationUUID: g.UUID, Type: event, Message: message,
		ScopeUUID: g.ScopeUUID, ScopeName: g.Scope.Name, RoleUUID: g.RoleUUID, RoleName: g.Role.Name,
	}
	if user != nil {
		e.UserUUID, e.UserUsername, e.UserFullName = &user.UUID, user.Username, user.FullName
	}
	return e
}
