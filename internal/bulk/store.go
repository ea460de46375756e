package bulk

import (
	"context"
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
	// Change runs decide in a transaction and writes the change that decide returns in the same transaction. Nothing is
	// written where decide returns an error. Where somebody else has changed an invitation, or made one of the same address,
	// role and scope, while decide ran, Change runs decide again: decide must set again whatever it sets outside of itself.
	Change(ctx context.Context, decide func(Tx) (Change, error)) error
	// BatchRows is the number of rows that one transaction of a job does.
	BatchRows() int
}

// Change lists what one transaction writes. The zero Change writes nothing.
type Change struct {
	Invitations []invitation.Change
	New         *Bulk // with its Rows; nil: none
	Rows        []Row
	After       *Bulk // what the row of a bulk invitation that was locked becomes; nil: it stays
	Results     []Result
	CancelRest  bool      // the rows of After that have no result become Canceled
	Old         uuid.UUID // a bulk invitation that is deleted with its rows; uuid.Nil: none
	Jobs        []invitation.Job
}

// Kept counts the stored bulk invitations of one user.
type Kept struct {
	Unfinished int // bulk invitations
	Rows       int // of all bulk invitations
	Size       int // of the JSON of these rows, in bytes
}

// Tx reads the database within one Read or Change. Methods that find one row return fault.KindNotFound where the row is
// missing.
type Tx interface {
	invitation.BatchTx

	// LockUser returns a user, and makes other transactions wait that lock the same user, until this transaction ends.
	LockUser(id uuid.UUID) (directory.User, error)
	// FindBulk returns a bulk invitation with its creator.
	FindBulk(id uuid.UUID) (Bulk, error)
	// LockBulk is FindBulk without the creator's user, and makes other transactions wait that lock the same bulk invitation,
	// until this transaction ends.
	LockBulk(id uuid.UUID) (Bulk, error)
	// StoredBy counts the stored bulk invitations of a user.
	StoredBy(user uuid.UUID) (Kept, error)
	// ListBulks returns the bulk invitations of a user, or of everybody, of a window, the newest first, and the number of all
	// of them; 0 for a window past the end.
	ListBulks(creator *uuid.UUID, w directory.Window) ([]Bulk, int, error)
	// NextRows returns the rows of a bulk invitation from a position, at most limit.
	NextRows(bulk uuid.UUID, from, limit int) ([]Row, error)
	// ListResults returns the results of a bulk invitation that have one of the codes, or any code, of a window, in the order
	// of the rows.
	ListResults(bulk uuid.UUID, codes []Code, w directory.Window) ([]Result, error)
	// OwnInvitations returns those of some invitations that a bulk invitation made or sent.
	OwnInvitations(bulk uuid.UUID, invitations []uuid.UUID) (map[uuid.UUID]bool, error)
	// ListUnfinished returns the bulk invitations that are not finished, the oldest first, at most limit.
	ListUnfinished(limit int) ([]uuid.UUID, error)
	// FindOld returns a bulk invitation that is finished and was created before a time.
	FindOld(before time.Time) (uuid.UUID, error)
}
