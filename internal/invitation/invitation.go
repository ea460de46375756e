package invitation

import (
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// State is where an invitation is in its life.
type State string

// The states, as the API names them.
const (
	Project   State = "project"   // waits for the project's start day
	Requested State = "requested" // waits for approval by staff
	Rejected  State = "rejected"  // staff said no
	Pending   State = "pending"   // waits for the invitee
	Accepted  State = "accepted"  // the invitee holds the role
	Canceled  State = "canceled"  // taken back
	Expired   State = "expired"   // nobody accepted in time
)

// States are all of them.
var States = []State{Project, Requested, Rejected, Pending, Accepted, Canceled, Expired}

// ExecutionState is how the present delivery of an invitation goes.
type ExecutionState string

// The states of a delivery, as the API names them.
const (
	Scheduled  ExecutionState = "Scheduled"  // queued
	Processing ExecutionState = "Processing" // being sent
	OK         ExecutionState = "OK"         // handed over
	Erred      ExecutionState = "Erred"      // failed; ErrorMessage says why
)

// Invitation is an offer of one role in one scope to one e-mail address, as it is stored.
type Invitation struct {
	UUID uuid.UUID `gorm:"primaryKey"`

	// StoredState is the state that was last written. Time may have moved on: ask StateAt.
	StoredState State     `gorm:"column:state"`
	Created     time.Time // when the present life began
	// Delivery counts the deliveries that were asked for, so that a job of an earlier one knows it is late.
	Delivery       int
	ExecutionState ExecutionState
	ErrorMessage   string
	Reminded       bool // a reminder was asked for in the present life

	RoleUUID      uuid.UUID
	Role          directory.Role `gorm:"foreignKey:RoleUUID;references:UUID"`
	ScopeUUID     uuid.UUID
	Scope         directory.Scope `gorm:"foreignKey:ScopeUUID;references:UUID"`
	CustomerUUID  uuid.UUID       // of the scope; kept here for filters
	CreatedByUUID *uuid.UUID
	CreatedBy     *directory.User `gorm:"foreignKey:CreatedByUUID;references:UUID"` // nil where the creator is gone

	Email       string
	EmailFolded string // directory.Fold(Email)
	// LinkUUID is what the invitee's link holds since the e-mail was changed; nil: UUID. Whoever has the link that was
	// mailed before knows UUID, and gains nothing by it: see Service.offer.
	LinkUUID            *uuid.UUID
	FullName            string
	NativeName          string
	PhoneNumber         string
	Organization        string
	JobTitle            string
	CivilNumber         string // empty: anybody can accept
	ExtraInvitationText string
}

// open tells whether the stored state is one that time can end.
func (s State) open() bool { return s == Pending || s == Project }

// Expires is the moment from which the invitation is expired if nobody accepts: the lifetime after its creation,
// or after the start of its project where that is later.
func (i Invitation) Expires(lifetime time.Duration) time.Time {
	from := i.Created
	if start := i.Scope.StartDate; i.Scope.Type == directory.Project && start != nil && start.After(from) {
		from = *start
	}
	return from.Add(lifetime)
}

// StateAt is the state at a moment: the stored one, or expired where its time is over. The store's filters and
// ordering compute the same in SQL.
func (i Invitation) StateAt(now time.Time, lifetime time.Duration) State {
	if i.StoredState.open() && !now.Before(i.Expires(lifetime)) {
		return Expired
	}
	return i.StoredState
}

// visibleTo tells whether an invitation is among those that a visibility shows: the rule that the store's
// queries apply to many.
func (i Invitation) visibleTo(v directory.Visibility, state State) bool {
	return v.Has(i.Scope) || (v.Email != "" && v.Email == i.EmailFolded && state.open())
}

// View is an invitation at one moment.
type View struct {
	Invitation
	State   State
	Expires time.Time
}
