package store

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/idempotency"
)

// Idempotency returns the store as package idempotency needs it.
func (s *Store) Idempotency() idempotency.Store { return idempotencyStore{s} }

type idempotencyStore struct{ *Store }

// Find implements idempotency.Store, in one statement.
func (s idempotencyStore) Find(ctx context.Context, id idempotency.ID) (answer []byte, usage idempotency.Usage, err error) {
	err = s.Read(ctx, func(db *gorm.DB, now time.Time) error {
		usage.Now = now
		since := now.Add(-idempotency.Kept)
		row := db.Raw("SELECT (SELECT answer FROM idempotency_keys WHERE user_uuid = ? AND digest = ? AND created > ?),"+
			" count(*), coalesce(sum(size), 0), min(created) FROM idempotency_keys WHERE user_uuid = ? AND created > ?",
			id.UserUUID, id.Digest, since, id.UserUUID, since)
		var oldest sql.NullString // SQLite has no type for the time of an aggregate
		_, err := collectOne(row, func(scan scanFunc) (struct{}, error) {
			return struct{}{}, scan(&answer, &usage.Keys, &usage.Size, &oldest)
		})
		if err == nil && oldest.Valid {
			usage.Oldest, err = time.Parse(time.RFC3339, oldest.String)
		}
		return err
	})
	return answer, usage, err
}

// WriteTogether implements idempotency.Store. On PostgreSQL the transaction holds a lock of the key, so that another process
// learns at once that the request runs. On SQLite another process waits for this one's transaction.
func (s idempotencyStore) WriteTogether(ctx context.Context, id idempotency.ID, f func(context.Context) error) error {
	return s.Store.WriteTogether(ctx, func(db *gorm.DB) error {
		free, err := s.TryLock(db, lockNumber(id.UserUUID.String()+id.Digest))
		if err == nil && !free {
			err = idempotency.ErrRunning
		}
		return err
	}, f)
}

// Save implements idempotency.Store. The conflict is asked for rather than caught; see Tx.insert.
func (s idempotencyStore) Save(ctx context.Context, id idempotency.ID, answer []byte) error {
	return s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		result := db.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "user_uuid"}, {Name: "digest"}},
			DoUpdates: clause.AssignmentColumns([]string{"created", "size", "answer"}),
			Where: clause.Where{Exprs: []clause.Expression{
				clause.Expr{SQL: "idempotency_keys.created <= ?", Vars: []any{now.Add(-idempotency.Kept)}},
			}},
		}).Create(&idempotency.Record{UserUUID: id.UserUUID, Digest: id.Digest, Created: now, Size: len(answer), Answer: answer})
		if result.Error == nil && result.RowsAffected == 0 {
			return idempotency.ErrTaken
		}
		return result.Error
	})
}

// DeleteExpired implements idempotency.Store.
func (s idempotencyStore) DeleteExpired(ctx context.Context, limit int) (deleted int, err error) {
	err = s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		expired := db.Model(&idempotency.Record{}).Select("user_uuid", "digest").
			Where("created <= ?", now.Add(-idempotency.Kept)).Order("created").Limit(limit)
		result := db.Delete(&idempotency.Record{}, "(user_uuid, digest) IN (?)", expired)
		deleted = int(result.RowsAffected)
		return result.Error
	})
	return deleted, err
}
