package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"invited/internal/fault"
)

// Read runs f, which must not write, with the time of the database. Each statement sees what was committed when the
// statement began: f asks in one statement for what has to be of one moment, or uses Snapshot. There is no transaction
// to begin and to end.
func (db *DB) Read(ctx context.Context, f func(tx *gorm.DB, now time.Time) error) error {
	if outer := db.outerOf(ctx); outer.hasBegun() {
		return db.result(ctx, outer.read(ctx, f))
	}
	now, err := db.clock.now(ctx)
	if err == nil {
		err = f(db.reader.WithContext(ctx), now)
	}
	return db.result(ctx, err)
}

// listTimeout is how long a list may take where Options has no other time. The lists that docs/performance.md measures
// take a third of a second at most in a million rows.
const listTimeout = 5 * time.Second

// ReadList is Read for lists, whose cost grows with the number of rows. They have connections of their own, of which one
// caller's lists use at most half: further ones wait until others end, or until ctx ends. Where there is a standby, f may run
// there first and then again: f has to set again whatever it sets outside of itself. ReadList returns fault.KindUnavailable,
// with words for the caller, where the list took too long or waited until ctx ended.
func (db *DB) ReadList(ctx context.Context, caller uuid.UUID, f func(tx *gorm.DB, now time.Time) error) error {
	if outer := db.outerOf(ctx); outer.hasBegun() {
		limited, cancel := context.WithTimeout(ctx, db.listTimeout)
		defer cancel()
		return db.listResult(limited, outer.read(limited, f))
	}
	release, err := db.shares.acquire(ctx, caller)
	if err != nil {
		return db.listResult(ctx, err)
	}
	defer release()
	now, err := db.clock.now(ctx)
	if err != nil {
		return db.result(ctx, err)
	}
	limited, cancel := context.WithTimeout(ctx, db.listTimeout)
	defer cancel()
	if db.standby != nil {
		if done, err := db.standby.read(limited, func(tx *gorm.DB) error { return f(tx, now) }); done {
			return db.listResult(limited, err)
		}
	}
	return db.listResult(limited, f(db.lister.WithContext(limited), now))
}

// listResult is result, with words for the caller where the time of ctx is up.
func (db *DB) listResult(ctx context.Context, err error) error {
	err = db.result(ctx, err)
	if fault.Is(err, fault.KindUnavailable) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.ListTimeout(err)
	}
	return err
}

// Snapshot runs f, which must not write, with one consistent view of the database.
func (db *DB) Snapshot(ctx context.Context, f func(tx *gorm.DB, now time.Time) error) error {
	now, err := db.clock.now(ctx)
	if err == nil {
		err = db.reader.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return f(tx, now) }, db.engine.snapshot())
	}
	return db.result(ctx, err)
}

// maxTries is the number of times that Write runs its function where the engine ends the transaction each time.
const maxTries = 4

// Write runs f in one transaction and commits where f returns nil. Nothing is left of the transaction otherwise. In a context
// of WriteTogether, that one commits. Where PostgreSQL ends the transaction so that another can go on (a deadlock, a
// serialization failure), Write runs f again, at most maxTries times in all: f has to set again whatever it sets outside of
// itself.
func (db *DB) Write(ctx context.Context, f func(tx *gorm.DB, now time.Time) error) (err error) {
	for range maxTries {
		if err = db.write(ctx, f); !db.engine.rolledBack(err) || ctx.Err() != nil {
			break
		}
	}
	return db.result(ctx, err)
}

func (db *DB) write(ctx context.Context, f func(tx *gorm.DB, now time.Time) error) error {
	if outer := db.outerOf(ctx); outer != nil {
		return outer.write(ctx, f)
	}
	now, err := db.clock.now(ctx) // asked before the transaction begins, which would be held open for the answer
	if err != nil {
		return err
	}
	return db.writer.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return f(tx, now) })
}

// result is the error of a unit of work. Where ctx has ended, the engine's error only says that the transaction is over.
func (db *DB) result(ctx context.Context, err error) error {
	var refusal *fault.Error
	if ended := ctx.Err(); ended != nil && err != nil && !errors.As(err, &refusal) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return translate(db.engine, err)
}

// ErrUnavailable is in the chain of every error that means that the database is busy, full or out of reach.
var ErrUnavailable = errors.New("can't be used now")

// translate turns an error of a driver into one that the rest of the program understands: fault.KindNotFound where a row is
// missing, fault.KindUnavailable where a later try may succeed, gorm.ErrDuplicatedKey for a unique index or a primary key,
// gorm.ErrForeignKeyViolated for a reference to a row that is missing. Other errors, refusals among them, are returned as they
// are.
func translate(e engine, err error) error {
	var refusal *fault.Error
	switch {
	case err == nil, errors.As(err, &refusal), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fault.NotFound()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone),
		e.unavailable(err):
		return fault.Unavailable(fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	return err
}

// translating is a dialector whose statements fail with translated errors.
type translating struct {
	gorm.Dialector
	engine engine
}

// Translate implements gorm.ErrorTranslator.
func (t translating) Translate(err error) error {
	if t.engine.duplicate(err) {
		return fmt.Errorf("%w: %w", gorm.ErrDuplicatedKey, err)
	}
	if t.engine.missing(err) {
		return fmt.Errorf("%w: %w", gorm.ErrForeignKeyViolated, err)
	}
	return translate(t.engine, err)
}
