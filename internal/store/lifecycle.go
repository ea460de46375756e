package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/invitation"
	"invited/internal/lifecycle"
)

// Lifecycle returns the store as package lifecycle needs it.
func (s *Store) Lifecycle() lifecycle.Store { return lifecycleStore{s} }

type lifecycleStore struct{ *Store }

// ListFeed implements lifecycle.Store. A query for rare types alone reads all events after q.After: 0.3 s for 300,000.
// With an index on type and position SQLite would sort, for each page, all events of several types that are not rare.
func (s lifecycleStore) ListFeed(ctx context.Context, caller uuid.UUID, q lifecycle.Query) (found []invitation.Event, err error) {
	err = s.readList(ctx, caller, func(tx *Tx) error {
		query := tx.db.Where("position > ?", q.After).
			Scopes(equalUUID("customer_uuid", q.Customer), equalUUID("invitation_uuid", q.Invitation))
		if len(q.Types) > 0 {
			query = query.Where("event_type IN ?", q.Types)
		}
		return query.Order("position").Limit(q.Limit).Find(&found).Error
	})
	for i := range found {
		found[i].Created = found[i].Created.UTC()
	}
	return found, err
}

// HasUnpositioned implements lifecycle.Store.
func (s lifecycleStore) HasUnpositioned(ctx context.Context) (has bool, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		return tx.db.Raw("SELECT EXISTS (SELECT 1 FROM invitation_events WHERE position IS NULL)").Scan(&has).Error
	})
	return has, err
}

// AssignPositions implements lifecycle.Store. A replica of the version before writes no scope and customer.
func (s lifecycleStore) AssignPositions(ctx context.Context, limit int, deliver func(invitation.Event) bool) (n int, err error) {
	err = s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		n = 0
		tx := &Tx{db: db, engine: s.DB, now: now}
		last, locked, err := tx.lockFeed("SKIP LOCKED")
		if err != nil || !locked {
			return err
		}
		written := db.Exec("UPDATE invitation_events SET position = next.position,"+
			" scope_uuid = COALESCE(scope_uuid, (SELECT i.scope_uuid FROM invitations AS i WHERE i.uuid = invitation_uuid)),"+
			" customer_uuid = COALESCE(customer_uuid, (SELECT i.customer_uuid FROM invitations AS i WHERE i.uuid = invitation_uuid))"+
			" FROM (SELECT id, ? + row_number() OVER (ORDER BY id) AS position FROM"+
			" (SELECT id FROM invitation_events WHERE position IS NULL ORDER BY id LIMIT ?) AS first) AS next"+
			" WHERE invitation_events.id = next.id", last, limit)
		if written.Error != nil || written.RowsAffected == 0 {
			return written.Error
		}
		n = int(written.RowsAffected)
		if err := db.Exec("UPDATE event_feed SET position = ?", last+int64(n)).Error; err != nil || deliver == nil {
			return err
		}
		var events []invitation.Event
		if err := db.Where("position > ?", last).Order("position").Find(&events).Error; err != nil {
			return err
		}
		var chosen []lifecycle.Delivery
		for _, e := range events {
			if deliver(e) {
				chosen = append(chosen, lifecycle.Delivery{Position: *e.Position, InvitationUUID: e.InvitationUUID})
			}
		}
		return tx.makePending(chosen, func(positions clause.Expr) error {
			return db.Exec("INSERT INTO event_deliveries (position, invitation_uuid, state, failures)"+
				" SELECT position, invitation_uuid, 'pending', 0 FROM invitation_events WHERE position IN (?)", positions).Error
		})
	})
	return n, err
}

// lockFeed locks the row of the feed until the transaction ends, and returns the last position that was given.
func (tx *Tx) lockFeed(options string) (last int64, locked bool, err error) {
	var found []int64
	err = tx.db.Table("event_feed").Clauses(clause.Locking{Strength: "UPDATE", Options: options}).Pluck("position", &found).Error
	if err != nil || len(found) == 0 {
		return 0, false, err
	}
	return found[0], true, nil
}

// makePending writes deliveries, which have position and invitation, as pending ones, and a job for each of their
// invitations that has no pending delivery yet. The caller has locked the feed. The pending deliveries of the
// invitations are locked: a job that finishes the last of them either has committed, so that there is another job, or
// finds those that are written here.
func (tx *Tx) makePending(deliveries []lifecycle.Delivery, write func(positions clause.Expr) error) error {
	if len(deliveries) == 0 {
		return nil
	}
	positions, invitations := make([][]any, len(deliveries)), make([]uuid.UUID, len(deliveries))
	for i, d := range deliveries {
		positions[i], invitations[i] = []any{d.Position}, d.InvitationUUID
	}
	invitations = distinct(invitations, func(id uuid.UUID) uuid.UUID { return id })
	var busy []uuid.UUID
	if err := tx.db.Model(&lifecycle.Delivery{}).Where("state = 'pending'").Where(tx.engine.In("invitation_uuid", invitations)).
		Clauses(clause.Locking{Strength: "UPDATE"}).Pluck("invitation_uuid", &busy).Error; err != nil {
		return err
	}
	list, err := json.Marshal(positions)
	if err != nil {
		return err
	}
	if err := write(tx.engine.List(list, "bigint")); err != nil {
		return err
	}
	hasJob := make(map[uuid.UUID]bool, len(busy))
	for _, id := range busy {
		hasJob[id] = true
	}
	var jobs []invitation.Job
	for _, id := range invitations {
		if !hasJob[id] {
			jobs = append(jobs, lifecycle.Deliver{Invitation: id})
		}
	}
	return tx.enqueue(jobs)
}

// unfinishedJobs are the states of a job that runs, or will.
var unfinishedJobs = []string{"available", "pending", "retryable", "running", "scheduled"}

// RestoreJobs implements lifecycle.Store. It reads before it writes, so that nobody waits for it where nothing is lost.
// Two calls at once may write two jobs of one invitation, which do no harm: see FinishDelivery.
func (s lifecycleStore) RestoreJobs(ctx context.Context, limit int) (n int, err error) {
	invitationOf := "CAST(args AS text) ->> 'invitation'" // SQLite's column has bytes
	if s.IsPostgres() {
		invitationOf = "args ->> 'invitation'"
	}
	var jobs []invitation.Job
	err = s.read(ctx, func(tx *Tx) error {
		var lost []uuid.UUID
		err := tx.db.Raw("SELECT CAST(invitation_uuid AS text) FROM event_deliveries WHERE state = 'pending'"+
			" EXCEPT SELECT "+invitationOf+" FROM river_job WHERE queue = ? AND kind = ? AND state IN ? LIMIT ?",
			lifecycle.QueueEvents, lifecycle.Deliver{}.Kind(), unfinishedJobs, limit).Scan(&lost).Error
		for _, id := range lost {
			jobs = append(jobs, lifecycle.Deliver{Invitation: id})
		}
		return err
	})
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	return len(jobs), s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		return (&Tx{db: db, engine: s.DB, now: now}).enqueue(jobs)
	})
}

// NextDelivery implements lifecycle.Store.
func (s lifecycleStore) NextDelivery(ctx context.Context, id uuid.UUID) (next *lifecycle.Delivery, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		next, err = tx.nextDelivery(id)
		return err
	})
	return next, err
}

func (tx *Tx) nextDelivery(id uuid.UUID) (*lifecycle.Delivery, error) {
	var found []lifecycle.Delivery
	err := tx.db.Where("invitation_uuid = ? AND state = 'pending'", id).Order("position").Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	next := &found[0]
	err = tx.db.Where("position = ?", next.Position).Limit(1).Find(&next.Event).Error // the event may be gone
	next.Event.Created, next.FirstFailed = next.Event.Created.UTC(), utc(next.FirstFailed)
	return next, err
}

// FinishDelivery implements lifecycle.Store. The delivery's row is locked while the next one is looked for: see
// makePending.
func (s lifecycleStore) FinishDelivery(
	ctx context.Context, d lifecycle.Delivery, finish func(lifecycle.Delivery, time.Time) lifecycle.Delivery,
) (finished lifecycle.Delivery, next *lifecycle.Delivery, err error) {
	err = s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		finished = finish(d, now)
		written := db.Model(&finished).Where("state = 'pending'").Select("state", "failures", "first_failed", "ended").Updates(&finished)
		err := written.Error
		if err == nil && written.RowsAffected == 0 { // another job of the invitation was faster
			finished = lifecycle.Delivery{Event: d.Event}
			err = db.Where("position = ?", d.Position).Limit(1).Find(&finished).Error
			finished.FirstFailed, finished.Ended = utc(finished.FirstFailed), utc(finished.Ended)
		}
		if err == nil {
			next, err = (&Tx{db: db, engine: s.DB, now: now}).nextDelivery(d.InvitationUUID)
		}
		return err
	})
	return finished, next, err
}

// FindEnded implements lifecycle.Store.
func (s lifecycleStore) FindEnded(ctx context.Context, r lifecycle.Redelivery) (found []lifecycle.Delivery, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		query := tx.db.Select("position, invitation_uuid").Where("ended >= ?", r.Since).
			Scopes(equalUUID("invitation_uuid", r.Invitation))
		if r.Until != nil {
			query = query.Where("ended < ?", *r.Until)
		}
		return query.Order("position").Find(&found).Error
	})
	return found, err
}

// Redeliver implements lifecycle.Store.
func (s lifecycleStore) Redeliver(ctx context.Context, deliveries []lifecycle.Delivery) error {
	return s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		tx := &Tx{db: db, engine: s.DB, now: now}
		if _, _, err := tx.lockFeed(""); err != nil {
			return err
		}
		return tx.makePending(deliveries, func(positions clause.Expr) error {
			return db.Exec("UPDATE event_deliveries SET state = 'pending', failures = 0, first_failed = NULL, ended = NULL"+
				" WHERE state <> 'pending' AND position IN (?)", positions).Error
		})
	})
}

// DeletedThrough implements lifecycle.Store.
func (s lifecycleStore) DeletedThrough(ctx context.Context) (position int64, err error) {
	err = s.read(ctx, func(tx *Tx) error { return tx.db.Table("event_feed").Select("deleted").Scan(&position).Error })
	return position, err
}

// FindOld implements lifecycle.Store. Ids are in the order of writing, and need no index on the time.
func (s lifecycleStore) FindOld(ctx context.Context, retention time.Duration, after int64, limit int) (old lifecycle.Old, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		old = lifecycle.Old{Last: after}
		var rows []struct {
			ID      int64
			Created time.Time
			IsDone  bool
		}
		err := tx.db.Raw("SELECT id, created, position IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event_deliveries AS d"+
			" WHERE d.position = e.position AND d.state = 'pending') AS is_done"+
			" FROM invitation_events AS e WHERE id > ? ORDER BY id LIMIT ?", after, limit).Scan(&rows).Error
		old.More = len(rows) == limit
		for _, row := range rows {
			if !row.Created.Before(tx.now.Add(-retention)) {
				old.More = false
				break
			}
			old.Last = row.ID
			if row.IsDone {
				old.IDs = append(old.IDs, row.ID)
			}
		}
		return err
	})
	return old, err
}

// DeleteEvents implements lifecycle.Store. Whoever makes a delivery pending locks the feed too.
func (s lifecycleStore) DeleteEvents(ctx context.Context, ids []int64) (n int, err error) {
	err = s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		tx := &Tx{db: db, engine: s.DB, now: now}
		if _, _, err := tx.lockFeed(""); err != nil {
			return err
		}
		var positions []int64
		if err := db.Raw("DELETE FROM invitation_events WHERE id IN (?) AND NOT EXISTS (SELECT 1 FROM event_deliveries AS d"+
			" WHERE d.position = invitation_events.position AND d.state = 'pending') RETURNING position", tx.numbers(ids)).
			Scan(&positions).Error; err != nil || len(positions) == 0 {
			return err
		}
		n = len(positions)
		if err := db.Exec("DELETE FROM event_deliveries WHERE position IN (?)", tx.numbers(positions)).Error; err != nil {
			return err
		}
		last := slices.Max(positions)
		return db.Exec("UPDATE event_feed SET deleted = ? WHERE deleted < ?", last, last).Error
	})
	return n, err
}

// numbers returns a list of numbers as a query, so that a statement has one argument however many there are.
func (tx *Tx) numbers(all []int64) clause.Expr {
	rows := make([][]int64, len(all))
	for i, n := range all {
		rows[i] = []int64{n}
	}
	list, _ := json.Marshal(rows) // numbers always encode
	return tx.engine.List(list, "bigint")
}

// DeleteGroupEvents implements lifecycle.Store. It looks whether there are any before it writes: nobody is to wait for it.
func (s lifecycleStore) DeleteGroupEvents(ctx context.Context, retention time.Duration, limit int) (n int, err error) {
	var ids []int64
	err = s.read(ctx, func(tx *Tx) error {
		return tx.db.Raw("SELECT id FROM (SELECT id, created FROM group_invitation_events ORDER BY id LIMIT ?) AS oldest"+
			" WHERE created < ?", limit, tx.now.Add(-retention)).Scan(&ids).Error
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		tx := &Tx{db: db, engine: s.DB, now: now}
		return db.Exec("DELETE FROM group_invitation_events WHERE id IN (?)", tx.numbers(ids)).Error
	})
	return len(ids), err
}
