package waldur

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// Import is an import of Waldur's database.
type Import struct {
	Store Store
	// Lifetime is how long invitations live here, and WaldurLifetime how long they live in Waldur. Where the two differ, open
	// invitations get the end that they have in Waldur.
	Lifetime, WaldurLifetime time.Duration
	WithTokens               bool
	DryRun                   bool                  // reads and decides everything, and writes nothing
	Progress                 func(done, total int) // is told how many rows are done; nil: nobody is
	Note                     func(Note) error      // is told of each record that was left or altered; nil: nobody is
}

const (
	// batchSize is the number of rows that one transaction writes. On SQLite everybody who writes waits for it.
	batchSize = 500
	// maxAttempts is the number of attempts at a batch that conflicts with other transactions.
	maxAttempts = 4
)

// errEventsDeleted is the error where the events of what was changed here are gone.
var errEventsDeleted = errors.New("INVITED_EVENTS_RETENTION has deleted events here, and without them an import would undo what was decided" +
	" here: import before events are deleted, or into an empty database")

// Run imports what the transaction finds in Waldur's database; see the package's documentation. It returns an error for people
// where the database is not Waldur's, or where events were deleted here, directory.ErrConflict where attempts at a batch have
// conflicted with others, and fault.KindUnavailable where our database is busy or can't be reached. After an error, the batches
// before it are written, and the report counts them.
func (i Import) Run(ctx context.Context, tx *sql.Tx) (Report, error) {
	r := &run{
		Import: i, report: newReport(), analyzed: map[Kind]int{}, users: set{}, erased: set{}, scopes: set{}, roles: map[uuid.UUID]directory.Role{},
		customers: map[uuid.UUID]uuid.UUID{}, roleNames: map[string]bool{}, open: map[invitation.Target]uuid.UUID{}, displaced: set{},
		groups: map[uuid.UUID]joining.GroupInvitation{}, pending: map[requester]uuid.UUID{},
	}
	err := i.Store.Read(ctx, func(tx Tx) error {
		isDeleted, err := tx.HasDeletedEvents()
		if err == nil && isDeleted {
			err = errEventsDeleted
		}
		return err
	})
	if err != nil {
		return r.report, err
	}
	if r.source, err = openSource(ctx, tx); err != nil {
		return r.report, err
	}
	if r.total, err = r.source.count(ctx); err != nil {
		return r.report, err
	}
	for _, step := range []func(context.Context) error{
		r.importRoles, r.importUsers, r.importPersonalTokens, r.importScopes, r.importMembers, r.endMembers, r.importInvitations,
		r.importGroups, r.importRequests,
	} {
		if err := step(ctx); err != nil {
			return r.report, err
		}
	}
	if i.DryRun {
		return r.report, nil
	}
	return r.report, i.Store.RepairCounts(ctx)
}

// set is a set of uuids.
type set map[uuid.UUID]struct{}

func (s set) add(id uuid.UUID)      { s[id] = struct{}{} }
func (s set) has(id uuid.UUID) bool { _, is := s[id]; return is }

// requester is a user in a scope.
type requester struct{ user, scope uuid.UUID }

// run is an import that is under way.
type run struct {
	Import
	source      *source
	report      Report
	done, total int
	analyzed    map[Kind]int // rows that had been created when the database was told to analyze them

	users, scopes set                          // that were left
	erased        set                          // users that were left because they were erased here
	roles         map[uuid.UUID]directory.Role // as they are here, by their uuids in Waldur
	roleNames     map[string]bool              // of the roles so far
	customers     map[uuid.UUID]uuid.UUID      // of the scopes
	lastMember    directory.MembershipKey

	open      map[invitation.Target]uuid.UUID // open invitations so far: the newest of each target
	displaced set                             // canceled before their turn, because a newer one took their place
	groups    map[uuid.UUID]joining.GroupInvitation
	pending   map[requester]uuid.UUID // exclusive pending requests so far
}

// A batch has the results of some rows, which count once the rows are written.
type batch struct {
	tx     Tx
	counts map[Kind]Count
	notes  []Note
	then   []func() // what the following batches need to know
}

func (b *batch) created(kind Kind)   { b.count(kind, Count{Read: 1, Created: 1}) }
func (b *batch) changed(kind Kind)   { b.count(kind, Count{Read: 1, Changed: 1}) }
func (b *batch) unchanged(kind Kind) { b.count(kind, Count{Read: 1, Unchanged: 1}) }

func (b *batch) count(kind Kind, c Count) {
	sum := b.counts[kind]
	sum.add(c)
	b.counts[kind] = sum
}

// left notes that a record is not imported.
func (b *batch) left(kind Kind, id uuid.UUID, reason string) {
	b.count(kind, Count{Read: 1, Left: 1})
	b.notes = append(b.notes, Note{Kind: kind, ID: id, IsLeft: true, Reason: reason})
}

// altered notes how a record was altered.
func (b *batch) altered(kind Kind, id uuid.UUID, reasons ...string) {
	for _, reason := range reasons {
		b.notes = append(b.notes, Note{Kind: kind, ID: id, Reason: reason})
	}
}

// do decides about rows of a kind and writes them, in one transaction. In a dry run nothing is written.
func (r *run) do(ctx context.Context, kind Kind, rows int, decide func(b *batch) (save func(Tx) error, err error)) error {
	var b *batch
	created := r.report.Counts[kind].Created
	isDue := created >= max(batchSize, 2*r.analyzed[kind])
	transaction := func(tx Tx) error {
		b = &batch{tx: tx, counts: map[Kind]Count{}}
		if !r.DryRun { // nobody else imports or applies a directory file meanwhile
			if err := tx.LockDirectory(); err != nil {
				return err
			}
		}
		if isDue && !r.DryRun {
			if err := tx.Analyze(kind); err != nil {
				return err
			}
		}
		save, err := decide(b)
		if err != nil || r.DryRun {
			return err
		}
		return save(tx)
	}
	begin := r.Store.Write
	if r.DryRun {
		begin = r.Store.Read
	}
	err := begin(ctx, transaction)
	for attempt := 1; errors.Is(err, directory.ErrConflict) && attempt < maxAttempts; attempt++ {
		err = begin(ctx, transaction)
	}
	if err != nil {
		return err
	}
	if isDue {
		r.analyzed[kind] = created
	}
	for kind, c := range b.counts {
		sum := r.report.Counts[kind]
		sum.add(c)
		r.report.Counts[kind] = sum
	}
	for _, then := range b.then {
		then()
	}
	for _, n := range b.notes {
		r.report.note(n)
		if r.Note == nil {
			continue
		}
		if err := r.Note(n); err != nil {
			return err
		}
	}
	if r.done += rows; r.Progress != nil {
		r.Progress(min(r.done, r.total), r.total)
	}
	return nil
}

// byID returns rows by their uuids.
func byID[Row any](rows []Row, idOf func(Row) uuid.UUID) map[uuid.UUID]Row {
	found := make(map[uuid.UUID]Row, len(rows))
	for _, each := range rows {
		found[idOf(each)] = each
	}
	return found
}

// idsOf returns the uuids of rows.
func idsOf[Row any](rows []Row, idOf func(Row) uuid.UUID) []uuid.UUID {
	ids := make([]uuid.UUID, len(rows))
	for n, each := range rows {
		ids[n] = idOf(each)
	}
	return ids
}

// setOf returns a set of uuids.
func setOf(ids []uuid.UUID) set {
	s := make(set, len(ids))
	for _, each := range ids {
		s.add(each)
	}
	return s
}

func sameTime(a, b *time.Time) bool { return (a == nil) == (b == nil) && (a == nil || a.Equal(*b)) }
