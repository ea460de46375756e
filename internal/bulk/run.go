package bulk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

const (
	// dryRunSlice is the number of rows that a dry run reads for at once.
	dryRunSlice = 500
	// maxPause is the longest pause between two batches.
	maxPause = 25 * time.Millisecond
	// turn is how long a job runs before others have their turn.
	turn = 10 * time.Second
	// answerTime is how long addresses are compared with e-mail patterns before what is known is done.
	answerTime = 5 * time.Second
	// maxResumed is the number of bulk invitations that Resume looks at.
	maxResumed = 1_000
	// kept is how long bulk invitations are kept.
	kept = 30 * 24 * time.Hour
)

// QueueBulk is the queue of Job. It waits for the database alone.
const QueueBulk = "bulk"

// Job does a bulk invitation.
type Job struct {
	Bulk uuid.UUID `json:"bulk"`
}

// Kind implements invitation.Job.
func (Job) Kind() string { return "bulk_invitation" }

// Queue implements invitation.Job.
func (Job) Queue() string { return QueueBulk }

// Run does the rows of a bulk invitation in batches, until all rows are done, its turn is over, or stopping reports true. more
// reports whether rows are left. Each batch and its results are one transaction: any number of jobs can run for one bulk
// invitation, and any can end at any moment.
func (s *Service) Run(ctx context.Context, job Job, stopping func() bool) (more bool, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, err := tx.FindBulk(job.Bulk)
		more = found.Finished == nil
		ctx = invitation.WithRequestID(ctx, found.RequestID)
		return err
	})
	if fault.Is(err, fault.KindNotFound) { // it is older than what is kept
		return false, nil
	}
	admissions := &invitation.Admissions{}
	for end := time.Now().Add(turn); err == nil && more && !stopping() && time.Now().Before(end); {
		began := time.Now()
		if more, err = s.runBatch(ctx, job.Bulk, admissions); err != nil || !more {
			break
		}
		// Others have their turn at the processor and, on SQLite, at writing.
		select {
		case <-ctx.Done():
			return more, ctx.Err()
		case <-time.After(min(time.Since(began), maxPause)):
		}
	}
	return more, err
}

// runBatch does the next rows of a bulk invitation, and reports whether rows are left.
func (s *Service) runBatch(ctx context.Context, id uuid.UUID, admissions *invitation.Admissions) (more bool, err error) {
	var batch *invitation.Batch
	var isAnswered bool
	err = s.Store.Change(ctx, func(tx Tx) (Change, error) {
		batch, isAnswered, more = s.batch(Skip, admissions), true, false
		found, err := tx.LockBulk(id)
		if fault.Is(err, fault.KindNotFound) || (err == nil && found.Finished != nil) {
			return Change{}, nil // another job was faster, or somebody has canceled it
		} else if err != nil {
			return Change{}, err
		}
		if found.CreatedByUUID != nil {
			if err := s.lockInviter(tx, *found.CreatedByUUID); err != nil {
				return Change{}, err
			}
		}
		rows, err := tx.NextRows(id, found.Done(), s.Store.BatchRows())
		if err != nil {
			return Change{}, err
		}
		if len(rows) == 0 {
			return Change{}, fmt.Errorf("bulk: bulk invitation %s has no row %d of %d", id, found.Done(), found.Total)
		}
		batch = s.batch(found.OnDuplicate, admissions)
		batch.MadeBefore = func(ids []uuid.UUID) (map[uuid.UUID]bool, error) { return tx.OwnInvitations(id, ids) }
		results, changes, err := decideFor(tx, batch, found, rows)
		if err != nil {
			return Change{}, err
		}
		after := found
		after.Counts = found.Counts.plus(results)
		if after.Done() >= found.Total {
			after.Finished = new(tx.Now())
		}
		isAnswered, more = len(results) == len(rows), after.Finished == nil
		return Change{Invitations: changes, After: &after, Results: results}, nil
	})
	if err != nil {
		return false, err
	}
	batch.Warn(ctx)
	if !isAnswered {
		err = admissions.Answer(ctx, answerTime)
	}
	return more, err
}

// decideFor decides about the next rows of a bulk invitation with what its creator may do now.
func decideFor(tx Tx, batch *invitation.Batch, found Bulk, rows []Row) ([]Result, []invitation.Change, error) {
	var creator directory.Actor
	if found.CreatedByUUID != nil {
		creator.UUID = *found.CreatedByUUID
	}
	results, changes, err := decide(tx, batch, creator, rows, found.Done())
	var refusal *fault.Error
	if errors.As(err, &refusal) && refusal.Kind == fault.KindUnauthenticated {
		results = nil
		for i, row := range rows {
			results = append(results, Result{
				Index: found.Done() + i, Row: row, Code: Refused, Errors: fault.Fields{fault.NonField: {refusal.Message}},
			})
		}
		return results, nil, nil
	}
	return results, changes, err
}

// Resume enqueues the jobs of bulk invitations that are not finished. A process that starts calls it: the jobs of a process that
// was killed would be taken up again two minutes later.
func (s *Service) Resume(ctx context.Context) error {
	return s.Store.Change(ctx, func(tx Tx) (c Change, err error) {
		unfinished, err := tx.ListUnfinished(maxResumed)
		for _, id := range unfinished {
			c.Jobs = append(c.Jobs, Job{Bulk: id})
		}
		return c, err
	})
}

// Sweep deletes the bulk invitations that are kept no longer, with their rows. The invitations stay. Each is deleted in a
// transaction of its own. Work that is left when ctx ends is left to the next sweep.
func (s *Service) Sweep(ctx context.Context) error {
	for more := true; more; {
		err := s.Store.Change(ctx, func(tx Tx) (Change, error) {
			old, err := tx.FindOld(tx.Now().Add(-kept))
			if more = err == nil; fault.Is(err, fault.KindNotFound) {
				return Change{}, nil
			}
			return Change{Old: old}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
