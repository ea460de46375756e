package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/lifecycle"
)

// deliveryQueues are the queues whose jobs send something. The jobs of the other queues change rows alone, and go on while
// deliveries are held.
var deliveryQueues = []string{
	identity.QueueSignIn, invitation.QueueMail, invitation.QueueNotices, invitation.QueueWebhook, lifecycle.QueueEvents,
}

// farFuture is when a held queue was last used, as far as the job queue's library knows: it deletes the row of a queue that no
// process has used for a day, and with it that the queue is held.
const farFuture = "9999-01-01 00:00:00"

// HoldDeliveries makes the workers of all processes begin no job that sends something, until ReleaseDeliveries. Processes that
// run notice within NoticeHold; those that start later begin none. Held deliveries stay as they are.
func (s *Store) HoldDeliveries(ctx context.Context) error {
	rows := make([]map[string]any, len(deliveryQueues))
	for i, name := range deliveryQueues {
		rows[i] = map[string]any{
			"name": name, "created_at": s.CurrentTime(), "paused_at": s.CurrentTime(), "updated_at": farFuture,
		}
	}
	return s.Write(ctx, func(db *gorm.DB, _ time.Time) error {
		return db.Table("river_queue").Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "name"}},
			DoUpdates: clause.Assignments(map[string]any{
				"paused_at": gorm.Expr("COALESCE(river_queue.paused_at, excluded.paused_at)"), "updated_at": gorm.Expr("excluded.updated_at"),
			}),
		}).Create(rows).Error
	})
}

// NoticeHold is the time within which a process that runs notices that deliveries are held or released: the job queue's library
// looks every two seconds.
const NoticeHold = 3 * time.Second

// ReleaseDeliveries ends HoldDeliveries.
func (s *Store) ReleaseDeliveries(ctx context.Context) error {
	return s.Write(ctx, func(db *gorm.DB, _ time.Time) error {
		return db.Table("river_queue").Where("name IN ?", deliveryQueues).
			Updates(map[string]any{"paused_at": nil, "updated_at": s.CurrentTime()}).Error
	})
}

// HeldSince returns since when deliveries are held; the zero time: they are not. It returns fault.KindUnavailable where the
// database can't be reached.
func (s *Store) HeldSince(ctx context.Context) (since time.Time, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		var found []time.Time
		err := tx.db.Table("river_queue").Where("name IN ? AND paused_at IS NOT NULL", deliveryQueues).
			Order("paused_at").Limit(1).Pluck("paused_at", &found).Error
		if err == nil && len(found) > 0 {
			since = found[0].UTC()
		}
		return err
	})
	return since, err
}

// WaitingDelivery is a job that sends something and is not done.
type WaitingDelivery struct {
	Kind, State string
	Created     time.Time
	Invitation  uuid.NullUUID // none for a code to sign in, and where the job is about a request to join
	Email       string        // of the invitation; "" where it is gone
	Attempts    int
}

// waiting is a query for the jobs that send something and are not done.
func (tx *Tx) waiting() *gorm.DB {
	return tx.db.Table("river_job").Where("queue IN ? AND river_job.state IN ?", deliveryQueues, unfinishedJobs)
}

// invitationOf is an expression for the invitation that a job is about; NULL where it is about none.
func (tx *Tx) invitationOf() string {
	if tx.engine.IsPostgres() {
		return "CAST(args ->> 'invitation' AS uuid)"
	}
	return "CAST(args AS text) ->> 'invitation'" // the column has bytes
}

// WaitingDeliveries returns the jobs that send something and are not done, the oldest first, at most limit of them.
func (s *Store) WaitingDeliveries(ctx context.Context, limit int) (found []WaitingDelivery, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		query := tx.waiting().Joins("LEFT JOIN invitations ON invitations.uuid = " + tx.invitationOf()).
			Select("kind, CAST(river_job.state AS text), created_at, " + tx.invitationOf() + ", COALESCE(email, ''), attempt").
			Order("id").Limit(limit)
		found, err = collect(query, func(scan scanFunc) (d WaitingDelivery, err error) {
			err = scan(&d.Kind, &d.State, &d.Created, &d.Invitation, &d.Email, &d.Attempts)
			d.Created = d.Created.UTC()
			return d, err
		})
		return err
	})
	return found, err
}

// CountWaiting returns the number of jobs that send something and are not done.
func (s *Store) CountWaiting(ctx context.Context) (int, error) {
	var count int64
	err := s.read(ctx, func(tx *Tx) error { return tx.waiting().Count(&count).Error })
	return int(count), err
}

// RunningDeliveries returns the number of jobs that send something at this moment, or did when their process died.
func (s *Store) RunningDeliveries(ctx context.Context) (count int64, err error) {
	err = s.read(ctx, func(tx *Tx) error { return tx.waiting().Where("river_job.state = 'running'").Count(&count).Error })
	return count, err
}

// A Mark is a moment in the order of deliveries: the highest id of a job and the last position of an event by then.
type Mark struct{ Job, Position int64 }

// Mark returns this moment. Events that have no position yet are after it. Who gives positions at this moment is waited for, so
// that the jobs of all events up to the mark are up to it, too.
func (s *Store) Mark(ctx context.Context) (m Mark, err error) {
	err = s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		tx := &Tx{db: db, engine: s.DB, now: now}
		if m.Position, _, err = tx.lockFeed(""); err != nil {
			return err
		}
		return db.Raw("SELECT COALESCE(max(id), 0) FROM river_job").Scan(&m.Job).Error
	})
	return m, err
}

// WaitingInvitations returns the deliveries of invitations whose jobs are not done, of the jobs up to a mark.
func (s *Store) WaitingInvitations(ctx context.Context, until Mark) (found []invitation.Deliver, err error) {
	delivery := "CAST(args AS text) ->> 'delivery'"
	if s.IsPostgres() {
		delivery = "args ->> 'delivery'"
	}
	err = s.read(ctx, func(tx *Tx) error {
		query := tx.waiting().Where("id <= ? AND kind = ?", until.Job, invitation.Deliver{}.Kind()).
			Select(tx.invitationOf() + ", CAST(" + delivery + " AS integer)").Order("id")
		found, err = collect(query, func(scan scanFunc) (d invitation.Deliver, err error) {
			err = scan(&d.Invitation, &d.Delivery)
			return d, err
		})
		return err
	})
	return found, err
}

// CancelDeliveries ends the jobs that send something and are not done, and gives up the events that wait for the webhook, both up
// to a mark. It returns how many those are. A job that runs is not stopped. Where an event after the mark shares the job of one
// before it, the next sweep writes another job.
func (s *Store) CancelDeliveries(ctx context.Context, until Mark) (jobs, events int64, err error) {
	err = s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		tx := &Tx{db: db, engine: s.DB, now: now}
		canceled := tx.waiting().Where("id <= ?", until.Job).
			Updates(map[string]any{"state": "cancelled", "finalized_at": s.CurrentTime()})
		if canceled.Error != nil {
			return canceled.Error
		}
		givenUp := db.Model(&lifecycle.Delivery{}).Where("state = ? AND position <= ?", lifecycle.Pending, until.Position).
			Updates(map[string]any{"state": lifecycle.GivenUp, "ended": now})
		jobs, events = canceled.RowsAffected, givenUp.RowsAffected
		return givenUp.Error
	})
	return jobs, events, err
}
