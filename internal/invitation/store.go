package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// What stands against a write of Tx. The method returns it, or Store.Write once its function has returned nil: writes
// may be sent together with the end of the transaction. Nothing is left of the transaction then.
var (
	// ErrTwice is of Insert and Replace: another open invitation stands for the same e-mail, role and scope.
	ErrTwice = errors.New("invitation: another one is open for the same e-mail, role and scope")
	// ErrHeld is of Admit: the row of a membership in force, or of one whose own time is over, is in the way.
	ErrHeld = errors.New("invitation: the user holds the role in the scope already")
	// ErrChanged is of Replace, ReplaceAll and Admit: a row is not what it was, which cannot be of one that is locked.
	ErrChanged = errors.New("invitation: it was changed meanwhile")
)

// Store is what the use cases need of a database.
type Store interface {
	// Read runs f, which must not write; each method of Tx sees what was committed when it was called.
	Read(ctx context.Context, f func(Tx) error) error
	// Write runs f in one transaction and commits where it returns nil. Nothing is left of it otherwise. It returns ErrTwice,
	// ErrHeld or ErrChanged where one of them stands against what f wrote.
	Write(ctx context.Context, f func(Tx) error) error
}

// Tx is the database within one transaction. Methods that look for one thing return fault.KindNotFound where it is
// not there.
type Tx interface {
	// Now is the moment of the transaction, by the database's clock, in UTC and whole microseconds.
	Now() time.Time

	// Actor is the user with what they hold now.
	Actor(directory.User) (directory.Actor, error)
	// Staff is a user who is active staff now.
	Staff(id uuid.UUID) (directory.User, error)
	// StaffToNotify lists the active staff users with an e-mail address who want mail.
	StaffToNotify() ([]directory.User, error)
	// EnsureUser makes a user for an address that nobody has; it does nothing where somebody has it.
	EnsureUser(email, fullName string) error
	// Role is a role.
	Role(id uuid.UUID) (directory.Role, error)
	// Subject is a scope that was not removed, with its customer and the e-mail patterns of both, and a role without its
	// permissions; each has no uuid where it is not there.
	Subject(kind directory.ScopeType, scope, role uuid.UUID) (directory.Scope, directory.Role, error)
	// LockScope makes other transactions wait that would lock the same scope, until this one ends: what is
	// found out about its members after it stays true.
	LockScope(id uuid.UUID) error
	// HasMember tells whether anybody holds a role of this name in the scope.
	HasMember(scope uuid.UUID, roleName string) (bool, error)
	// Admit is Replace, and makes a user a member; ErrHeld where they are, or were and it was not retired.
	Admit(old, accepted Invitation, e Event, m directory.Membership) error
	// Retire closes the row of a membership like this whose own time is over, if there is one.
	Retire(directory.Membership) error

	// Find is one invitation with its role, scope, customer and creator, but without e-mail patterns.
	Find(id uuid.UUID) (Invitation, error)
	// FindWithPatterns is Find with the patterns.
	FindWithPatterns(id uuid.UUID) (Invitation, error)
	// Lock is FindWithPatterns, and makes other transactions wait that would lock or change the same invitation.
	Lock(id uuid.UUID) (Invitation, error)
	// FindOffer is Find for who asks whether an invitation is open and to whom: of scope and customer it has what State and
	// Removed go by, and nothing of role, creator and texts.
	FindOffer(id uuid.UUID) (Invitation, error)
	// Linked is the uuid of the invitation whose LinkUUID this is.
	Linked(link uuid.UUID) (uuid.UUID, error)
	// Rival is the invitation whose stored state is open for an e-mail (folded), role and scope; there is one at most.
	Rival(email string, role, scope uuid.UUID) (Invitation, error)
	// Open lists the invitations whose stored state is open for a scope and any of these pairs of e-mail (folded) and
	// role, without what belongs to other tables.
	Open(scope uuid.UUID, pairs []Pair) ([]Invitation, error)
	// Due lists the first up to limit invitations by creation, locked, for which this is due and that were created at or
	// after from; those that another transaction has locked are left out. Of what belongs to other tables they have the name
	// of the role and the type of the scope.
	Due(what Due, cutoff, from time.Time, limit int) ([]Invitation, error)
	// List is a page of the invitations that a query shows, and how many it shows in all; a page past the end does not
	// say how many.
	List(Query) ([]Invitation, int, error)
	// Count is how many invitations a query shows.
	Count(Query) (int, error)
	// Insert writes a new invitation and its first event; ErrTwice where another is open.
	Insert(Invitation, Event) error
	// Replace writes what can change of an invitation over the row that is still as old is, and the event of it; ErrChanged
	// where there is none, ErrTwice where the new state is open and another is.
	Replace(old, changed Invitation, e Event) error
	// ReplaceAll is Replace for what time changes, the state and Reminded, of many invitations, in a number of statements
	// that does not grow with them.
	ReplaceAll([]Change) error
	// Mark writes how the present delivery of an invitation goes, over the row that is still as old is: that an
	// attempt is being made, or failed as the one before it did. It is the one change without an event.
	Mark(old Invitation, to ExecutionState) error
	// Delete removes an invitation for good, and writes its last event; nothing where it is gone.
	Delete(id uuid.UUID, e Event) error
	// Record writes an event that changes no row.
	Record(Event) error
	// Events is a part of the events of an invitation, which need not be there any more, the newest first, and how many
	// there are in all; a page past the end does not say how many.
	Events(id uuid.UUID, c directory.Window) ([]Event, int, error)

	// Enqueue asks for a job to be run once the transaction has committed, and never if it has not.
	Enqueue(Job) error
}

// Change is an invitation as it was and as it is to be, and the event of it.
type Change struct {
	Old, Changed Invitation
	Event        Event
}

// Query asks for a page of a list of invitations. Texts are compared as they are; empty ones filter nothing.
type Query struct {
	Visible directory.Visibility
	// Cutoff is now less the lifetime: what was created, and whose project started, no later than this is
	// expired.
	Cutoff time.Time

	CivilNumber      string
	Customer         *uuid.UUID
	Email            string // contained, case aside
	EmailExact       string // case aside
	RoleName         string
	Role             *uuid.UUID
	Scope            *ScopeRef
	ScopeDescription string // contained, case aside
	ScopeName        string // contained, case aside
	ScopeType        string
	States           []State // any of these; none: all

	Order []directory.Order // none: the newest first; ties fall to the uuid
	directory.Window
}

// ScopeRef names a scope.
type ScopeRef struct {
	Type directory.ScopeType
	UUID uuid.UUID
}

// Due is something that time makes due.
type Due int

// What the sweep looks for.
const (
	DueExpiry     Due = iota // its time is over, and its row does not say so
	DueActivation            // it waits for a project that has started
	DueReminder              // it ends within ReminderPeriod, and its invitee was not reminded
)

// The keys that a list can be ordered by. Creators are ordered by the name shown of them.
const (
	ByCreated                     = directory.ByCreated
	ByCreatedBy directory.OrderBy = "created_by"
	ByEmail                       = directory.ByEmail
	ByState     directory.OrderBy = "state"
)

// Job is something to be done after a commit, at least once. Its JSON is what the queue keeps: ids, never
// addresses or secrets.
type Job interface {
	// Kind names what is to be done.
	Kind() string
	// Queue names what it waits for, so that who waits for one thing doesn't hold up who waits for another.
	Queue() string
}

// The queues.
const (
	QueueMail    = "default" // the mail server
	QueueNotices = "notices" // the same, for what a sweep asks for by the thousand, and nobody waits for
	QueueWebhook = "webhook"
	QueueSweep   = "sweep" // the database alone
)

// Deliver asks for a delivery of an invitation to its invitee.
type Deliver struct {
	Invitation uuid.UUID `json:"invitation"`
	Delivery   int       `json:"delivery"` // Invitation.Delivery when it was asked for
	// Webhook puts it into that queue. How the delivery is made is decided when it is: see Message.
	Webhook bool `json:"webhook,omitempty"`
}

// Kind names the job in the queue.
func (Deliver) Kind() string { return "deliver_invitation" }

// Queue is that of the mail server or the webhook.
func (d Deliver) Queue() string {
	if d.Webhook {
		return QueueWebhook
	}
	return QueueMail
}

// Notice is a mail about an invitation other than the invitation itself.
type Notice string

// The notices.
const (
	NoticeRequested Notice = "requested" // to a staff user: please approve or reject
	NoticeRejected  Notice = "rejected"  // to the creator
	NoticeExpired   Notice = "expired"   // to the creator
	NoticeReminder  Notice = "reminder"  // to the invitee, once in the life of an invitation
)

// Notify asks for a notice.
type Notify struct {
	Notice     Notice    `json:"notice"`
	Invitation uuid.UUID `json:"invitation"`
	Delivery   int       `json:"delivery"` // Invitation.Delivery when it was asked for
	User       uuid.UUID `json:"user"`     // whom to; nil for a NoticeReminder, which goes to the invitee
}

// Kind names the job in the queue.
func (Notify) Kind() string { return "notify_user" }

// Queue is that of the mail server, or where it can be asked for by the thousand the one beside it.
func (n Notify) Queue() string {
	if n.Notice == NoticeExpired || n.Notice == NoticeReminder {
		return QueueNotices
	}
	return QueueMail
}
