package invitation

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// State is a state in the life of an invitation; see Transitions.
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

// States lists every state.
var States = []State{Project, Requested, Rejected, Pending, Accepted, Canceled, Expired}

// canExpire reports whether the policy's lifetime ends an invitation in this stored state. It never ends an invitation that
// waits for its project: somebody may take the project's start date away long after it was invited. A fixed end ends an
// invitation in every open state: see Invitation.fixedEnd.
func (s State) canExpire() bool { return s == Pending || s == Requested }

// awaitsInvitee reports whether an invitation in this state is for its invitee to accept, now or when its project starts.
// The invitee sees it in the list then.
func (s State) awaitsInvitee() bool { return s == Pending || s == Project }

// isOpen reports whether an invitation in this stored state is open. Of one address, role and scope at most one invitation is.
func (s State) isOpen() bool { return s == Pending || s == Project || s == Requested }

// ExecutionState is the state of an invitation's latest delivery.
type ExecutionState string

// The states of a delivery, as the API names them.
const (
	Scheduled  ExecutionState = "Scheduled"  // queued
	Processing ExecutionState = "Processing" // being sent
	OK         ExecutionState = "OK"         // handed over
	Erred      ExecutionState = "Erred"      // failed; ErrorMessage says why
)

// ExecutionStates lists every state of a delivery.
var ExecutionStates = []ExecutionState{Scheduled, Processing, OK, Erred}

// Invitation is an offer of one role in one scope to one e-mail address, as it is stored.
type Invitation struct {
	UUID uuid.UUID `gorm:"primaryKey"`

	// StoredState is the state that was written last. Time may have ended the invitation since: StateAt is the state.
	StoredState State     `gorm:"column:state"`
	Created     time.Time // when the present life began
	// FirstCreated is when the first life began, in lists; zero elsewhere.
	FirstCreated time.Time `gorm:"-"`
	// ExpiresAt is the end that somebody gave to the present life; nil: the policy's lifetime ends it. See Expires. Where both
	// are set, ExpiresAt is not after MembershipExpires.
	ExpiresAt         *time.Time
	MembershipExpires *time.Time // when the membership ends that the invitee gets; nil: never
	// Delivery counts the deliveries that were asked for. A job of an earlier delivery finds a higher count and does
	// nothing.
	Delivery        int
	ExecutionState  ExecutionState
	ErrorMessage    string
	Reminded        bool // a reminder was asked for in the present life
	InviterNotified bool // the inviter was told in the present life that nobody can accept; see Policy.RecheckInviter
	// DeclinedAt is when the invitee declined, and DeclineReason is why; nil and empty: they did not. See IsDeclined.
	DeclinedAt     *time.Time
	DeclineReason  string
	RenewalAskedAt *time.Time // when the invitee last asked for a new invitation in the present life; nil: never

	RoleUUID      uuid.UUID
	Role          directory.Role `gorm:"foreignKey:RoleUUID;references:UUID"`
	ScopeUUID     uuid.UUID
	Scope         directory.Scope `gorm:"foreignKey:ScopeUUID;references:UUID"`
	CustomerUUID  uuid.UUID       // of the scope; copied here for filters
	CreatedByUUID *uuid.UUID
	// OfferedByUUID is the user who last gave the invitation another address or role, or sent it again after it was canceled
	// or had expired; nil: the creator. See InviterUUID.
	OfferedByUUID *uuid.UUID
	CreatedBy     *directory.User `gorm:"foreignKey:CreatedByUUID;references:UUID"` // nil: the creator's user was deleted

	Email       string
	EmailFolded string // directory.FoldEmail(Email)
	// LinkUUID is the uuid in the invitee's link; nil: the link has UUID. Where an invitation has a LinkUUID, its UUID
	// admits only the user with its address; see meantFor. An invitation has one from the start where Policy.LinkSecret
	// says so. Update sets another one when the address changes: whoever was mailed the former link must not accept.
	LinkUUID            *uuid.UUID
	FullName            string
	NativeName          string
	PhoneNumber         string
	Organization        string
	JobTitle            string
	CivilNumber         string // empty: anybody may accept
	ExtraInvitationText string
}

// InviterUUID returns the user on whose authority the invitation stands: who offered it last, else who created it; nil where
// that user was deleted.
func (i Invitation) InviterUUID() *uuid.UUID {
	if i.OfferedByUUID != nil {
		return i.OfferedByUUID
	}
	return i.CreatedByUUID
}

// Expires returns the moment from which the invitation is expired unless it was accepted: ExpiresAt, else the lifetime
// after its creation, or after the start of its project where the start is later, but at the latest MembershipExpires. An
// invitation without a fixed end that waits for its project has no such moment before the project starts, and Expires
// returns the one that it would have: see Policy.view.
func (i Invitation) Expires(lifetime time.Duration) time.Time {
	return i.endOf(lifeStart(i.Scope, i.Created).Add(lifetime))
}

// StateAt returns the state at a moment: the stored state, or expired from the moment that Expires returns. The store's
// filters and orders compute the same in SQL; a property test compares the two.
func (i Invitation) StateAt(now time.Time, lifetime time.Duration) State {
	if (i.StoredState.canExpire() && !now.Before(i.Expires(lifetime))) || i.isPastFixedEnd(now) {
		return Expired
	}
	return i.StoredState
}

// IsDeclined reports whether the invitee canceled the invitation. A process of a version that knows no declines reopens a
// row without clearing DeclinedAt.
func (i Invitation) IsDeclined() bool { return i.StoredState == Canceled && i.DeclinedAt != nil }

// View is an invitation with its state at one moment.
type View struct {
	Invitation
	State   State
	Expires time.Time
}

// RetryPromise ends the ErrorMessage of a delivery that failed and is tried again.
const RetryPromise = " It is tried again by itself."

// DeliveryError returns ErrorMessage as far as it is true at the moment of the view: an invitation that does not wait for
// its invitee any more is not tried again.
func (v View) DeliveryError() string {
	if v.State == Pending {
		return v.ErrorMessage
	}
	return strings.TrimSuffix(v.ErrorMessage, RetryPromise)
}

// isVisible reports whether a visibility includes the invitation. The store's list applies the same rule in SQL; a
// property test compares the two.
func (v View) isVisible(to directory.Visibility) bool {
	return to.Has(v.Scope) || (to.Email != "" && to.Email == v.EmailFolded && v.State.awaitsInvitee() && !v.Scope.Removed())
}
