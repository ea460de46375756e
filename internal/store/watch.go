package store

import (
	"context"
	"time"

	"invited/internal/invitation"
)

// QueuedJobs are the jobs of a kind in a state.
type QueuedJobs struct {
	Kind, State string
	Count       int64
	Overdue     time.Duration // for how long the oldest of them could have run; at most 0: none could yet, or they run
}

// QueuedJobs returns the jobs that are not done, for an operator who watches the queue. It returns fault.KindUnavailable where
// the database can't be reached.
func (s *Store) QueuedJobs(ctx context.Context) (found []QueuedJobs, err error) {
	// Both engines compare with their own clock, as the queue does.
	age := "(julianday('now') - julianday(min(scheduled_at))) * 86400"
	if s.IsPostgres() {
		age = "extract(epoch FROM now() - min(scheduled_at))"
	}
	err = s.read(ctx, func(tx *Tx) error {
		query := tx.db.Table("river_job").Select("kind, CAST(state AS text), count(*), CAST("+age+" AS double precision)").
			Where("state IN ?", []string{"available", "pending", "retryable", "running", "scheduled"}).Group("kind, state").Order("kind, state")
		found, err = collect(query, func(scan scanFunc) (row QueuedJobs, err error) {
			var seconds float64
			err = scan(&row.Kind, &row.State, &row.Count, &seconds)
			if row.State != "running" {
				row.Overdue = time.Duration(seconds * float64(time.Second))
			}
			return row, err
		})
		return err
	})
	return found, err
}

// DiscardedJobs returns the number of jobs that were tried as often as they may, and are kept for a week. It returns
// fault.KindUnavailable where the database can't be reached.
func (s *Store) DiscardedJobs(ctx context.Context) (count int64, err error) {
	err = s.read(ctx, func(tx *Tx) error { return tx.db.Table("river_job").Where("state = 'discarded'").Count(&count).Error })
	return count, err
}

// InvitationsByState returns the number of invitations in each state. An invitation that has ended counts as what it was until
// the sweep has seen it. It returns fault.KindUnavailable where the database can't be reached.
func (s *Store) InvitationsByState(ctx context.Context) (found map[string]int64, err error) {
	found = map[string]int64{}
	err = s.read(ctx, func(tx *Tx) error {
		for _, state := range invitation.States {
			var count int64
			if err := tx.db.Table("invitation_counts").Select("CAST(sum(" + string(state) + ") AS bigint)").Row().Scan(&count); err != nil {
				return err
			}
			found[string(state)] = count
		}
		return nil
	})
	return found, err
}

// LastSweep returns when the last sweep ended that did all its work; the zero time where the queue knows of none, which is a day
// after the last one at most. It returns fault.KindUnavailable where the database can't be reached.
func (s *Store) LastSweep(ctx context.Context) (at time.Time, err error) {
	// As a number: SQLite's driver returns what max makes of a time as text.
	seconds := "CAST(strftime('%s', max(finalized_at), 'subsec') AS double precision)"
	if s.IsPostgres() {
		seconds = "CAST(extract(epoch FROM max(finalized_at)) AS double precision)"
	}
	err = s.read(ctx, func(tx *Tx) error {
		var found *float64
		query := tx.db.Table("river_job").Select(seconds).Where("kind = ? AND state = 'completed'", invitation.Sweep{}.Kind())
		if err := query.Row().Scan(&found); err != nil || found == nil {
			return err
		}
		at = time.UnixMilli(int64(*found * 1000))
		return nil
	})
	return at, err
}
