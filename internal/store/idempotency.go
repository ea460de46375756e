package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/fault"
	"invited/internal/idempotency"
)

// Idempotency returns the store as package idempotency needs it.
func (s *Store) Idempotency() idempotency.Store { return idempotencyStore{s} }

type idempotencyStore struct{ *Store }

// Find implements idempotency.Store.
func (s idempotencyStore) Find(ctx context.Context, id idempotency.ID) (answer []byte, err error) {
	err = s.Read(ctx, func(db *gorm.DB, now time.Time) error {
		var found []idempotency.Record
		err := db.Select("answer").Limit(1).
			Find(&found, "user_uuid = ? AND digest = ? AND created > ?", id.UserUUID, id.Digest, now.Add(-idempotency.Kept)).Error
		if len(found) > 0 {
			answer = found[0].Answer
		}
		return err
	})
	return answer, err
}

// Usage implements idempotency.Store. It reads as many rows as a list does.
func (s idempotencyStore) Usage(ctx context.Context, user uuid.UUID) (usage idempotency.Usage, err error) {
	err = s.ReadList(ctx, user, func(db *gorm.DB, now time.Time) error {
		usage.Now = now
		var oldest sql.NullString // SQLite has no type for the time of an aggregate
		err := db.Model(&idempotency.Record{}).Select("count(*), coalesce(sum(size), 0), min(created)").
			Where("user_uuid = ? AND created > ?", user, now.Add(-idempotency.Kept)).Row().Scan(&usage.Keys, &usage.Size, &oldest)
		if err == nil && oldest.Valid {
			usage.Oldest, err = time.Parse(time.RFC3339, oldest.String)
		}
		return err
	})
	return usage, err
}

// WriteTogether implements idempotency.Store. On PostgreSQL the transaction holds a lock of the key, so that another
// process learns at once that the request runs. On SQLite another process waits for this one's transaction.
func (s idempotencyStore) WriteTogether(ctx context.Context, id idempotency.ID, f func(context.Context) error) error {
	return s.writeTogether(ctx, func(db *gorm.DB) error {
		free, err := s.TryLock(db, lockNumber(id.UserUUID.String()+id.Digest))
		if err == nil && !free {
			err = idempotency.ErrRunning
		}
		return err
	}, f)
}

// Save implements idempotency.Store. The insert avoids the conflict instead of catching it: see Tx.insert.
func (s idempotencyStore) Save(ctx context.Context, id idempotency.ID, answer []byte) error {
	return s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		result := db.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "user_uuid"}, {Name: "digest"}},
			DoUpdates: clause.AssignmentColumns([]string{"created", "size", "answer"}),
			Where: clause.Where{Exprs: []clause.Expression{
				clause.Expr{SQL: "idempotency_keys.created <= ?", Vars: []any{now.Add(-idempotency.Kept)}},
			}},
		}).Create(&idempotency.Record{UserUUID: id.UserUUID, Digest: id.Digest, Created: now, Size: len(answer), Answer: answer})
		if errors.Is(result.Error, gorm.ErrForeignKeyViolated) { // the user was deleted while the request ran
			return fault.Unauthorized("User inactive or deleted.")
		}
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
