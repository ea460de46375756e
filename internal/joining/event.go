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

// said has what happened in each event about a request, before the name of its scope.
var said = map[EventType]string{
	EventSubmitted: "submitted", EventApproved: "approved", EventRejected: "rejected", EventRequestCanceled: "canceled",
	EventRequestDeleted: "deleted",
}

// recordRequest returns the event of a change of a request from a state, after which the request is r. user is nil where the
// server does it.
func recordRequest(event EventType, r Request, from State, user *directory.User) *Event {
	e := record(event, r.Group, user)
	e.PermissionRequestUUID, e.FromState, e.ToState, e.Comment = &r.UUID, from, r.State, r.ReviewComment
	if user == nil {
		e.Message = fmt.Sprintf("A mail about the permission request of %s for %s was sent.", r.CreatedBy.Username, r.Group.Scope.Name)
		if event == EventNotificationFailed {
			e.Message = fmt.Sprintf("A mail about the permission request of %s for %s was not sent.", r.CreatedBy.Username, r.Group.Scope.Name)
		}
		return e
	}
	e.Message = fmt.Sprintf("Permission request of %s for %s has been %s by %s.",
		r.CreatedBy.Username, r.Group.Scope.Name, said[event], user.Username)
	return e
}

// recordApproval returns the event of the approval of a request, after which the request is r. Its role and scope are those of
// the grant: a project-making group invitation has others.
func recordApproval(r Request, from State, g grant, reviewer *directory.User) *Event {
	e := recordRequest(EventApproved, r, from, reviewer)
	e.ScopeUUID, e.ScopeName, e.RoleUUID, e.RoleName = g.scope.UUID, g.scope.Name, g.role.UUID, g.role.Name
	e.Message = fmt.Sprintf("%s: %s in %s.", strings.TrimSuffix(e.Message, "."), g.role.Name, g.scope.Name)
	return e
}

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
