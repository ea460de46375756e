package invitation

import (
	"context"
	"time"
)

const (
	// ReminderPeriod is how long before an invitation expires its invitee is reminded. An invitation that lives no
	// longer than this gets no reminder: see Policy.needsNoReminder for those with a fixed end.
	ReminderPeriod = 24 * time.Hour
	// sweepBatch is the number of invitations that one transaction changes: few enough to hold nobody up.
	sweepBatch = 120
	// sweepPause leaves room for others between two batches: SQLite has one writer at a time, and the writers that wait
	// look for their turn every millisecond.
	sweepPause = 3 * time.Millisecond
)

// sweepStep is one kind of work of a sweep and how far it has come.
type sweepStep struct {
	due    Due
	decide func(i Invitation, now time.Time) Change
	from   time.Time // the key of the last invitation of the batch before: everything due before it is done
}

// Sweep does what time and changes of the directory have made due: it ends invitations into removed scopes, records
// expiries, tells the creators of both, sends invitations whose projects have started, and reminds invitees. Each is done once
// for an invitation, however many sweeps run at once. In the end Sweep repairs the counts. Work that is left when ctx ends is
// left to the next sweep. Whether an invitation is expired does not depend on a sweep.
func (s *Service) Sweep(ctx context.Context) error {
	steps := []*sweepStep{
		{due: DueRemoval, decide: end},
		{due: DueExpiry, decide: expire},
		{due: DueFixedExpiry, decide: expire},
		{due: DueActivation, decide: s.Policy.start},
		{due: DueFixedReminder, decide: remind},
	}
	if s.Policy.Lifetime > ReminderPeriod {
		steps = append(steps, &sweepStep{due: DueReminder, decide: remind})
	}
	// The steps take turns: an invitee need not wait until all of yesterday's invitations are expired.
	for len(steps) > 0 {
		var unfinished []*sweepStep
		for _, step := range steps {
			more, err := s.runBatch(ctx, step)
			if err != nil {
				return err
			}
			if !more {
				continue
			}
			unfinished = append(unfinished, step)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(sweepPause):
			}
		}
		steps = unfinished
	}
	return s.Store.RepairCounts(ctx)
}

// runBatch does one batch of a step and reports whether there may be more. It begins where the batch before ended: an
// index would be read again past all the rows that were due and are not any more.
func (s *Service) runBatch(ctx context.Context, step *sweepStep) (more bool, err error) {
	var from time.Time
	var swept int
	err = s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		from, more, swept = time.Time{}, false, 0
		found, err := tx.LockDue(step.due, s.cutoff(tx), step.from, sweepBatch)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		changes := make([]Change, len(found))
		for n, i := range found {
			changes[n] = step.decide(i, tx.Now())
		}
		from, more, swept = step.due.key(found[len(found)-1]), len(found) == sweepBatch, len(found)
		return changes, nil
	})
	if err == nil && !from.IsZero() {
		step.from = from
		if s.Swept != nil {
			s.Swept(step.due.String(), swept)
		}
	}
	return more, err
}
