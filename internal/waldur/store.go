package waldur

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// Store is the database that an import writes.
type Store interface {
	// Read runs f with a consistent view of the database; f must not save.
	Read(ctx context.Context, f func(Tx) error) error
	// Write runs f in one transaction, which it commits when f returns nil and rolls back otherwise. It returns
	// directory.ErrConflict when another transaction wrote the same rows.
	Write(ctx context.Context, f func(Tx) error) error
	// RepairCounts counts the invitations of each state again. An import that ends before leaves that to the next sweep.
	RepairCounts(ctx context.Context) error
}

// Tx is one transaction of a Store. The methods named Find lock what they find, where the transaction writes and others could
// write it too. They return each row once, in no particular order, without the rows that it refers to.
type Tx interface {
	directory.FileTx

	// HasDeletedEvents reports whether events of invitations were deleted because of their age.
	HasDeletedEvents() (bool, error)
	// Analyze has the database learn how many rows of a kind there are, where it plans its queries by that.
	Analyze(kind Kind) error

	// FindMembershipsByID returns the memberships that have one of the uuids, revoked ones included.
	FindMembershipsByID(ids []uuid.UUID) ([]directory.Membership, error)
	// RevokedTokens returns the API tokens of users that were revoked, as far as that is known. Each text begins with the uuid of
	// the token.
	RevokedTokens(users []uuid.UUID) ([]string, error)

	// FindInvitations returns the invitations that have one of the uuids.
	FindInvitations(ids []uuid.UUID) ([]invitation.Invitation, error)
	// FindOpenTargets returns the invitations to targets that are open by their stored state, with the columns that tell one
	// from another.
	FindOpenTargets(targets []invitation.Target) ([]invitation.Invitation, error)
	// ChangedInvitations returns those of the uuids whose invitations have events, also where they were deleted.
	ChangedInvitations(ids []uuid.UUID) ([]uuid.UUID, error)
	// CancelInvitations cancels those of the invitations that are open.
	CancelInvitations(ids []uuid.UUID) error
	// SaveInvitations writes invitations that exist, and then inserts others. It returns invitation.ErrDuplicate where one of the
	// others has a duplicate.
	SaveInvitations(changed, created []invitation.Invitation) error

	// FindGroups returns the group invitations that have one of the uuids.
	FindGroups(ids []uuid.UUID) ([]joining.GroupInvitation, error)
	// ChangedGroups returns those of the uuids whose group invitations have events of their own, also where they were deleted.
	ChangedGroups(ids []uuid.UUID) ([]uuid.UUID, error)
	// SaveGroups writes group invitations that exist, and inserts others.
	SaveGroups(changed, created []joining.GroupInvitation) error

	// FindRequests returns the permission requests that have one of the uuids.
	FindRequests(ids []uuid.UUID) ([]joining.Request, error)
	// FindExclusive returns the permission requests of users that are pending and exclusive.
	FindExclusive(users []uuid.UUID) ([]joining.Request, error)
	// ChangedRequests returns the uuids of the permission requests by group invitations that have events.
	ChangedRequests(groups []uuid.UUID) ([]uuid.UUID, error)
	// SaveRequests writes permission requests that exist, and inserts others.
	SaveRequests(changed, created []joining.Request) error
}
