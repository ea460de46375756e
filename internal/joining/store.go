package joining

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// Store is the database as the use cases need it.
type Store interface {
	// Read runs f. Each method of Tx sees what was committed when the method was called.
	Read(ctx context.Context, f func(Tx) error) error
	// ReadList is Read for what costs more the more rows there are. ReadList lets the lists of one caller wait for each
	// other where they would keep other callers waiting, and returns fault.KindUnavailable where one takes too long.
	ReadList(ctx context.Context, caller uuid.UUID, f func(Tx) error) error
	// Change runs decide in a transaction and writes the changes that decide returns, in their order, in the same
	// transaction. Change is the only way to write. Nothing is written where decide returns an error. Where a row was
	// changed by somebody else while decide ran, Change runs decide again, with the rows locked as they are read: decide
	// must set again whatever it sets outside of itself.
	Change(ctx context.Context, decide func(Tx) ([]Change, error)) error
}

// Change is one change with everything that is written with it. The zero Change writes nothing.
type Change struct {
	Before *GroupInvitation // what the row has to be still; nil: there is no row yet
	After  *GroupInvitation // what the row becomes; nil: the row is deleted, with its requests. Both nil: no row changes
	// RequestBefore and RequestAfter are the same for a permission request, whose row is compared by its state.
	RequestBefore, RequestAfter *Request
	Project                     *directory.Scope      // made, before Member is; nil: none
	Member                      *directory.Membership // nil: none
	Event                       *Event                // nil: none
	Jobs                        []Job                 // run once the transaction has committed, never otherwise
	// Mail is a mail to an approver that is begun, and DoneNotices need not be sent any more.
	Mail        *invitation.RequestMail
	DoneNotices []invitation.RequestNotice
}

// ErrPending means that another request of the same user is pending in the scope. Nothing was written.
var ErrPending = errors.New("joining: another request of the user is pending in the scope")

// Tx reads the database within one Read or Change. Methods that find one row return fault.KindNotFound where the row is
// missing.
type Tx interface {
	// GatherTx has Now, the time of the transaction by the database's clock, in UTC and whole microseconds.
	invitation.GatherTx

	// FindActor returns a user with the grants that they hold now.
	FindActor(user uuid.UUID) (directory.Actor, error)
	FindRole(id uuid.UUID) (directory.Role, error)
	// FindTarget returns a scope that is not removed, with its customer and the e-mail patterns of both, and a role
	// without its permissions. A scope or role that is missing has no UUID.
	FindTarget(kind directory.ScopeType, scope, role uuid.UUID) (directory.Scope, directory.Role, error)
	// HasMember reports whether any user holds a role of this name in the scope.
	HasMember(scope uuid.UUID, roleName string) (bool, error)

	// LockUser returns a user, and makes other transactions wait that lock the same user, until this transaction ends.
	LockUser(id uuid.UUID) (directory.User, error)
	// LockScope makes other transactions wait that lock the same scope, until this transaction ends: what this transaction
	// reads about the scope's members afterwards stays true.
	LockScope(id uuid.UUID) error
	// ListStaffToNotify returns the active staff users who have an address and notifications on.
	ListStaffToNotify() ([]directory.User, error)
	// ListApprovers returns users with their grants in the scope and the customer of a group invitation. Among the users are
	// all, beside staff, who decide about its requests, see them and want to be told of them.
	ListApprovers(g GroupInvitation) ([]directory.Actor, error)
	// IssuersOf returns the URLs of the issuers by which a user has signed in.
	IssuersOf(user uuid.UUID) ([]string, error)
	// FindProject returns a project of a customer that has this name, case aside, and is not removed, with its own e-mail patterns
	// and those of the customer. Of several, one that was made for the user is the first; then one of exactly this name that was
	// made for nobody; then any other that an approval made.
	FindProject(customer uuid.UUID, name string, madeFor *uuid.UUID) (directory.Scope, error)

	// FindRequest returns a permission request with its group invitation, requester and reviewer.
	FindRequest(id uuid.UUID) (Request, error)
	// FindRequestForChange is FindRequest with the e-mail patterns of scope and customer. The row is locked where Change runs
	// a second time.
	FindRequestForChange(id uuid.UUID) (Request, error)
	// ListPermissionRequests returns the permission requests of the query's window and the number of them on all pages.
	ListPermissionRequests(RequestQuery) ([]Request, int, error)
	CountPermissionRequests(RequestQuery) (int, error)
	// ListRequestsToTell returns the pending requests that a user has had no mail about: that of the notice first, the others
	// as they were made, at most limit. It also returns the number of all of them.
	ListRequestsToTell(n invitation.RequestNotice, limit int) ([]Request, int, error)
	// MailedTime returns when the nth newest mail about requests that wait was handed over to an address, counted from 1, since
	// a time; the zero time where there are fewer.
	MailedTime(address string, since time.Time, n int) (time.Time, error)
	// HasRequest reports whether a request of a user in a scope is pending, or was approved and the membership that it made is
	// in force.
	HasRequest(user, scope uuid.UUID) (bool, error)

	// HasRequests reports whether there is any request by a group invitation.
	HasRequests(group uuid.UUID) (bool, error)

	// FindGroup returns a group invitation with its roles, scope, customer and creator. Roles have no permissions.
	FindGroup(id uuid.UUID) (GroupInvitation, error)
	// FindGroupForChange is FindGroup, and makes other transactions wait that change the group invitation or take it up, until
	// this transaction ends.
	FindGroupForChange(id uuid.UUID) (GroupInvitation, error)
	// FindGroupToTakeUp is FindGroup with the e-mail patterns of scope and customer, and makes other transactions wait that
	// change the group invitation, until this transaction ends. Any number of transactions may take it up at once.
	FindGroupToTakeUp(id uuid.UUID) (GroupInvitation, error)
	// LockGroupsOfRemoved returns and locks group invitations, at most limit, that are not canceled or expired and whose scope,
	// or its customer, was removed. It skips those that another transaction has locked.
	LockGroupsOfRemoved(limit int) ([]GroupInvitation, error)
	// ListGroups returns the group invitations of the query's window and the number of them on all pages.
	ListGroups(Query) ([]GroupInvitation, int, error)
	CountGroups(Query) (int, error)
	// ListProjects returns the projects of a customer that are not removed, by name, with UUIDs only, and their number.
	ListProjects(customer uuid.UUID, w directory.Window) ([]uuid.UUID, int, error)
	// ListGroupEvents returns events of a group invitation and of its requests, the newest first, and their number. requester:
	// of requests, only those of this user; nil: all.
	ListGroupEvents(id uuid.UUID, requester *uuid.UUID, w directory.Window) ([]Event, int, error)
	// MadeTime returns when the user made the nth newest group invitation or request, counted from 1; the zero time where
	// there are fewer. With a group invitation, it counts the requests by that one.
	MadeTime(user uuid.UUID, group *uuid.UUID, n int) (time.Time, error)
}

// Query asks for group invitations. Empty texts and nil filter nothing.
type Query struct {
	Visible Visibility
	Now     time.Time // the present time; see GroupInvitation.IsActiveAt

	Overseen  bool       // of OverseenBy, and not of VisibleTo
	Customer  *uuid.UUID // project scopes of the customer included
	IsActive  *bool
	IsPublic  *bool
	Role      *uuid.UUID
	RoleName  string
	Scope     *invitation.ScopeRef
	ScopeType string

	Order []directory.Order // none: the newest first; ties are broken by uuid
	directory.Window
}

func (q Query) visibleTo(caller directory.Actor) Visibility {
	if q.Overseen {
		return OverseenBy(caller)
	}
	return VisibleTo(caller)
}

// RequestQuery asks for permission requests. Nil filters nothing.
type RequestQuery struct {
	Visible RequestVisibility

	CreatedBy  *uuid.UUID
	Customer   *uuid.UUID
	Invitation *uuid.UUID
	Scope      *invitation.ScopeRef
	States     []State // any of these; none: all

	Order []directory.Order // none: the newest first; ties are broken by uuid
	directory.Window
}

// ByState is a key that permission requests can be ordered by, beside directory.ByCreated.
const ByState directory.OrderBy = "state"
