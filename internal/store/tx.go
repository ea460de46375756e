package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"invited/internal/fault"
)

// Tx is the database within one transaction. It must not be used after the function that it was passed to has
// returned, nor by two goroutines at once.
type Tx struct {
	db    *DB
	ctx   context.Context //nolint:containedctx // that of the one piece of work that it is for
	to    executor
	now   time.Time
	reads bool // nothing is written
	jobs  [][]any
}

// Read runs f, which must not write, with each of its statements seeing what was committed when it began: what needs
// one view of the database asks for it in one statement, or takes a Snapshot. There is nothing to begin and to end.
func (db *DB) Read(ctx context.Context, f func(*Tx) error) error {
	now, err := db.moment(ctx)
	if err == nil {
		var to executor = poolExecutor{db}
		if db.pool == nil {
			to = sqlExecutor{db.dialect, db.reads.WithContext(ctx), db.kept}
		}
		err = f(&Tx{db: db, ctx: ctx, to: to, now: now, reads: true})
	}
	return db.failed(ctx, err)
}

// Snapshot runs f with one consistent view of the database. What f wants to write fails.
func (db *DB) Snapshot(ctx context.Context, f func(*Tx) error) error {
	now, err := db.moment(ctx)
	if err == nil {
		err = db.revalidate(ctx)
	}
	if err == nil {
		err = db.reads.WithContext(ctx).Transaction(func(orm *gorm.DB) error {
			return f(&Tx{db: db, ctx: ctx, to: sqlExecutor{dialect: db.dialect, orm: orm}, now: now, reads: true})
		}, db.dialect.snapshot())
	}
	return db.failed(ctx, err)
}

// Write runs f in one transaction and commits where it returns nil; nothing is left of it otherwise. What stands against a
// write may be told by Write itself, when f has returned nil: see invitation.ErrTwice.
func (db *DB) Write(ctx context.Context, f func(*Tx) error) error {
	now, err := db.moment(ctx) // before there is a transaction to hold open for it
	if err == nil {
		err = db.transact(ctx, func(to executor) error {
			tx := &Tx{db: db, ctx: ctx, to: to, now: now}
			if err := f(tx); err != nil {
				return err
			}
			return tx.enqueueAll()
		})
	}
	return db.failed(ctx, err)
}

func (db *DB) transact(ctx context.Context, f func(executor) error) error {
	if db.pool == nil {
		return db.gorm.WithContext(ctx).Transaction(func(orm *gorm.DB) error { return f(sqlExecutor{dialect: db.dialect, orm: orm}) })
	}
	tx := &txExecutor{db: db}
	defer tx.end(context.WithoutCancel(ctx))
	if err := f(tx); err != nil {
		return err
	}
	return tx.commit(ctx)
}

// failed is what a piece of work came to that failed with err, or did not.
func (db *DB) failed(ctx context.Context, err error) error {
	var refusal *fault.Error
	if ended := ctx.Err(); ended != nil && err != nil && !errors.As(err, &refusal) {
		// The transaction was rolled back for it, and what failed then says only that it was over.
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return db.translate(err)
}

// staleAfter is how long the database's clock is told by this process's own steps before it is asked again: in less
// than that two clocks do not drift apart by what anybody could notice.
const staleAfter = time.Second

// promptly is how soon the database has to say what time it is for its answer to be told for longer.
const promptly = 100 * time.Millisecond

// told is what the database's clock said, and when by this machine: that has a monotonic part, so that a jump of the
// machine's clock after it changes nothing.
type told struct{ database, machine time.Time }

// moment is now by the database's clock, in UTC and whole microseconds. To ask for it each time would cost every
// transaction one statement more.
func (db *DB) moment(ctx context.Context) (time.Time, error) {
	if db.clock != nil {
		return db.clock().UTC().Truncate(time.Microsecond), nil
	}
	if last := db.told.Load(); last != nil && time.Since(last.machine) <= staleAfter {
		return last.database.Add(time.Since(last.machine)).UTC().Truncate(time.Microsecond), nil
	}
	asked := time.Now()
	now, err := db.dialect.now(db.reads.WithContext(ctx))
	if err != nil {
		return time.Time{}, err
	}
	// Of a slow answer nobody knows when it was true: a connection had to be made, or waited for.
	if took := time.Since(asked); took <= promptly {
		db.told.Store(&told{now, asked.Add(took / 2)})
	}
	return now.UTC().Truncate(time.Microsecond), nil
}

// ErrUnusable is in the chain of every error that comes of the database's being busy, full or out of reach.
var ErrUnusable = errors.New("can't be used now")

// translate makes an error of a driver one that the rest of the program understands: fault.KindNotFound where a row
// is not there, fault.KindUnavailable where trying again later may help. Refusals and the rest stay what they are.
func (db *DB) translate(err error) error {
	var refusal *fault.Error
	switch {
	case err == nil, errors.As(err, &refusal):
		return err
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fault.NotFound()
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone),
		db.dialect.unavailable(err):
		return fault.Unavailable(fmt.Errorf("%w: %w", ErrUnusable, err))
	}
	return err
}

// Now is the moment of the transaction, in UTC and whole microseconds.
func (tx *Tx) Now() time.Time { return tx.now }
