package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// The errors that mean that a row in the database stands in the way of a Change. Nothing was written.
var (
	// ErrDuplicate means that another invitation is open for the same address, role and scope.
	ErrDuplicate = errors.New("invitation: another one is open for the same e-mail, role and scope")
	// ErrAlreadyMember means that the user of a Change's Member holds the role in the scope.
	ErrAlreadyMember = errors.New("invitation: the user holds the role in the scope already")
	// ErrConflict means that an invitation is no longer what a Change's Before says. Store.Change handles it; callers
	// see fault.KindUnavailable where an invitation was changed each time that decide ran.
	ErrConflict = errors.New("invitation: the invitation was changed meanwhile")
)

// Store is the database as the use cases need it.
type Store interface {
	// Read runs f. Each method of Tx sees what was committed when the method was called.
	Read(ctx context.Context, f func(Tx) error) error
	// ReadList is Read for what costs more the more rows there are. ReadList lets the lists of one caller wait for each
	// other where they would keep other callers waiting, and returns fault.KindUnavailable where one takes too long.
	// ReadList may run f again: f must set again whatever it sets outside of itself.
	ReadList(ctx context.Context, caller uuid.UUID, f func(Tx) error) error
	// Change runs decide in a transaction and writes the changes that decide returns, in their order, in the same
	// transaction. Use cases write by Change alone. Nothing is written where decide returns an error. Where an
	// invitation was changed by somebody else while decide ran, Change runs decide again, with the rows locked as
	// they are read: decide must set again whatever it sets outside of itself. Change returns ErrDuplicate or
	// ErrAlreadyMember where a row stands in the way, and fault.KindUnavailable where the database is out of reach or
	// busy.
	Change(ctx context.Context, decide func(Tx) ([]Change, error)) error
	// RepairCounts compares the numbers of invitations in each state, which the store keeps beside the rows, with the rows, and
	// corrects them. They are wrong where rows were written without Change: by an import from Waldur, by a replica of the version
	// before migration 29, or by hand. RepairCounts returns fault.KindUnavailable where the database is out of reach or busy.
	RepairCounts(ctx context.Context) error
}

// Change is one change of an invitation with everything that is written with it. The zero Change writes nothing. Of several
// Changes that a sweep makes at once, the row's states and its count of deliveries are compared with Before, and no more:
// LockDue has locked the rows.
type Change struct {
	Before      *Invitation // what the row has to be still; nil: there is no row yet
	After       *Invitation // what the row becomes; nil: the row is deleted. Both nil: no row changes
	Event       *Event      // nil: none
	Jobs        []Job       // run once the transaction has committed, never otherwise
	Member      *directory.Membership
	User        *directory.User // a new user; nothing is written where the username is taken
	Mail        *RequestMail    // a mail about requests that is begun
	DoneNotices []RequestNotice // that need not be sent any more
}

// Tx reads the database within one Read or Change. Methods that find one row return fault.KindNotFound where the row is
// missing.
type Tx interface {
	// GatherTx has Now, the time of the transaction by the database's clock, in UTC and whole microseconds.
	GatherTx

	// FindActor returns a user with the grants that they hold now.
	FindActor(user uuid.UUID) (directory.Actor, error)
	// FindStaff returns a user who is active staff now.
	FindStaff(user uuid.UUID) (directory.User, error)
	// ListStaffToNotify returns the active staff users who have an address and notifications on.
	ListStaffToNotify() ([]directory.User, error)
	// HasUser reports whether a user has the address (folded).
	HasUser(email string) (bool, error)
	FindRole(id uuid.UUID) (directory.Role, error)
	// FindTarget returns a scope that is not removed, with its customer and the e-mail patterns of both, and a role
	// without its permissions. A scope or role that is missing has no UUID.
	FindTarget(kind directory.ScopeType, scope, role uuid.UUID) (directory.Scope, directory.Role, error)
	// LockScope makes other transactions wait that lock the same scope, until this transaction ends: what this
	// transaction reads about the scope's members afterwards stays true.
	LockScope(id uuid.UUID) error
	// HasMember reports whether any user holds a role of this name in the scope.
	HasMember(scope uuid.UUID, roleName string) (bool, error)

	// Find returns an invitation with its role, scope, customer and creator, without e-mail patterns.
	Find(id uuid.UUID) (Invitation, error)
	// FindForChange is Find with the e-mail patterns of scope and customer. The row is locked where Change runs a
	// second time.
	FindForChange(id uuid.UUID) (Invitation, error)
	// FindForCheck is Find with the columns that Check reads: the state, the times, the address, the civil number, the
	// link, and whether scope and customer are removed.
	FindForCheck(id uuid.UUID) (Invitation, error)
	// FindByLink returns the UUID of the invitation with this LinkUUID.
	FindByLink(link uuid.UUID) (uuid.UUID, error)
	// FindOpen returns the invitation whose stored state is open for an address (folded), role and scope.
	FindOpen(email string, role, scope uuid.UUID) (Invitation, error)
	// FindOpenAll returns the invitations whose stored state is open for a scope and any of these pairs (folded),
	// without the rows of other tables.
	FindOpenAll(scope uuid.UUID, pairs []Pair) ([]Invitation, error)
	// RolesByEmail returns the roles that active users with one of the addresses (folded) hold in a scope, by address. Of
	// each role it has uuid, name and description.
	RolesByEmail(scope uuid.UUID, emails []string) (map[string][]directory.Role, error)
	// LockDue returns and locks the first invitations, at most limit, for which something is due and whose Due.key is from or
	// later, in the order of their keys. It skips those that another transaction has locked. Of other
	// tables they have the name of the role and the type of the scope.
	LockDue(what Due, cutoff, from time.Time, limit int) ([]Invitation, error)
	// List returns the invitations of the query's window and the number of invitations on all pages; the number is 0
	// for a window past the end, but not for one behind a position. The invitations have FirstCreated.
	List(Query) ([]Invitation, int, error)
	// Count returns the number of invitations on all pages.
	Count(Query) (int, error)
	// ListEvents returns events of an invitation, which may be deleted, the newest first, and the number of its events;
	// the number is 0 for a window past the end.
	ListEvents(id uuid.UUID, window directory.Window) ([]Event, int, error)
	// FindEvent returns the oldest event of an invitation that has one of the types and was written at since or later.
	FindEvent(id uuid.UUID, since time.Time, types ...EventType) (Event, error)
	// ListRequests returns the requests that a user has had no mail about, without those into a removed scope: that of the
	// notice first, the others as they were made, at most limit. It also returns the number of all of them.
	ListRequests(n RequestNotice, limit int) ([]Invitation, int, error)
	// QuotaTimes returns, for each quota, the time of the Count-th newest event that it counts; the zero time where there
	// are fewer.
	QuotaTimes(quotas []Quota) ([]time.Time, error)
}

// Query asks for invitations. Empty texts filter nothing.
type Query struct {
	Visible directory.Visibility
	// Invitee asks for the invitations of Service.Mine, in place of Visible; nil: not.
	Invitee *Invitee
	// Cutoff is the present time less the lifetime. An invitation without a fixed end is expired where its creation and the
	// start of its project are not after Cutoff.
	Cutoff time.Time
	// ExpiryCutoff is the earlier of the ends that ExpiresBefore and ExpiresWithin ask for, less the lifetime; nil: neither
	// filters.
	ExpiryCutoff *time.Time

	CivilNumber      string
	Created          directory.Period // both ends included
	CreatedBy        *uuid.UUID
	Customer         *uuid.UUID
	Email            string           // substring, case-insensitive
	EmailExact       string           // case-insensitive
	ExecutionStates  []ExecutionState // any of these; none: all
	ExpiresBefore    *time.Time       // whatever the state is; nil: no filter
	ExpiresWithin    time.Duration    // from the present time, or earlier; zero: no filter
	RoleName         string
	Role             *uuid.UUID
	Scope            *ScopeRef
	ScopeDescription string // substring, case-insensitive
	ScopeName        string // substring, case-insensitive
	ScopeType        string
	States           []State // any of these; none: all
	Text             Text
	WithoutRemoved   bool // without those whose scope, or its customer, was removed

	Order []directory.Order // none: the newest first; ties are broken by uuid
	// Behind asks for the invitations behind a position, in the order of ByFirstCreated, which has to be the only key of Order;
	// nil: from the start.
	Behind *Position
	directory.Window
}

// Position is a place in the order of ByFirstCreated, which no change of an invitation changes.
type Position struct {
	FirstCreated time.Time
	UUID         uuid.UUID
}

// Text is a filter by a part of the address, the name of the scope, or a name of the invitee, case-insensitive.
type Text struct {
	Part string // empty: no filter
	// HasFullName and HasNativeName say which of the invitee's names are looked at. Service sets them by the policy.
	HasFullName, HasNativeName bool
}

// ScopeRef names a scope.
type ScopeRef struct {
	Type directory.ScopeType
	UUID uuid.UUID
}

// The keys that a list can be ordered by. Creators are ordered by their full name, else their username.
const (
	ByCreated                     = directory.ByCreated
	ByCreatedBy directory.OrderBy = "created_by"
	// ByFirstCreated is the order in which invitations were created, whatever began their present lives. Ties are in the order of
	// UUIDs, descending where the key is.
	ByFirstCreated directory.OrderBy = "first_created"
	ByEmail                          = directory.ByEmail
	ByState        directory.OrderBy = "state"
)

// Due is something that becomes due by time.
type Due int

// What a sweep looks for.
const (
	DueRemoval       Due = iota // the invitation is open, and its scope or the scope's customer was removed
	DueExpiry                   // the policy's lifetime has ended the invitation, and its row does not say so yet
	DueActivation               // the invitation waits for a project that has started
	DueReminder                 // the policy's lifetime ends the invitation within ReminderPeriod, and its invitee was not reminded
	DueFixedExpiry              // a fixed end has ended the invitation, and its row does not say so yet
	DueFixedReminder            // a fixed end ends the invitation within ReminderPeriod, and its invitee was not reminded
)

// String returns what a sweep does: removed, expired, started or reminded.
func (d Due) String() string {
	switch d {
	case DueRemoval:
		return "removed"
	case DueExpiry, DueFixedExpiry:
		return "expired"
	case DueActivation:
		return "started"
	default:
		return "reminded"
	}
}

// key returns the time by which the invitations for which something is due are ordered: what an index of theirs has.
func (d Due) key(i Invitation) time.Time {
	if d == DueFixedExpiry || d == DueFixedReminder {
		return *i.fixedEnd()
	}
	return i.Created
}
