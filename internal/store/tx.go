package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"gorm.io/gorm"

	"invited/internal/fault"
	"invited/internal/invitation"
)

// Tx is the database within one transaction. It must not be used after the function that it was passed to has
// returned, nor by two goroutines at once.
type Tx struct {
	db  *DB
	orm *gorm.DB
	now time.Time
}

// Read runs f with a consistent view of the database. What f wants to write fails.
func (db *DB) Read(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, db.reads, f, db.dialect.snapshot())
}

// Write runs f in one transaction and commits where it returns nil; nothing is left of it otherwise.
func (db *DB) Write(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, db.gorm, f, nil)
}

func (db *DB) run(ctx context.Context, on *gorm.DB, f func(*Tx) error, o *sql.TxOptions) error {
	err := on.WithContext(ctx).Transaction(func(orm *gorm.DB) error {
		tx := &Tx{db: db, orm: orm}
		if db.clock != nil {
			tx.now = db.clock()
		} else {
			now, err := db.dialect.now(orm)
			if err != nil {
				return err
			}
			tx.now = now
		}
		tx.now = tx.now.UTC().Truncate(time.Microsecond)
		return f(tx)
	}, o)
	var refusal *fault.Error
	if ended := ctx.Err(); ended != nil && err != nil && !errors.As(err, &refusal) {
		// The transaction was rolled back for it, and what failed then says only that it was over.
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return db.translate(err)
}

// ErrUnusable is in the chain of every error that comes of the database's being busy, full or out of reach.
var ErrUnusable = errors.New("can't be used now")

// translate makes an error of a driver one that the rest of the program understands: fault.NotFound where a row
// is not there, fault.Unavailable where trying again later may help. Refusals and the rest stay what they are.
func (db *DB) translate(err error) error {
	var refusal *fault.Error
	switch {
	case err == nil, errors.As(err, &refusal):
		return err
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fault.Missing()
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone),
		db.dialect.unavailable(err):
		return fault.Down(fmt.Errorf("%w: %w", ErrUnusable, err))
	}
	return err
}

// Now is the moment of the transaction, in UTC and whole microseconds.
func (tx *Tx) Now() time.Time { return tx.now }

// maxAttempts is how often a job is tried: an attempt an hour for more than three years. When to stop is not the queue's
// to say, whose column holds 32767.
const maxAttempts = 30_000

// Enqueue asks for a job to be run once the transaction has committed, and never if it has not.
func (tx *Tx) Enqueue(job invitation.Job) error {
	_, err := tx.db.queue.InsertTx(tx.orm.Statement.Context, tx.inner(), job,
		&river.InsertOpts{Queue: job.Queue(), MaxAttempts: maxAttempts})
	return err
}

// inner is the transaction that GORM runs in. Its PrepareStmt must stay off: it would wrap it.
func (tx *Tx) inner() *sql.Tx {
	if wrapped, ok := tx.orm.Statement.ConnPool.(*sqliteTx); ok {
		return wrapped.tx
	}
	return tx.orm.Statement.ConnPool.(*sql.Tx)
}
