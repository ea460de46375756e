package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"gorm.io/gorm"

	"invited/internal/fault"
	"invited/internal/invitation"
)

// Tx is the database within one transaction. It must not be used after the function that it was passed to has
// returned, nor by two goroutines at once.
type Tx struct {
	db    *DB
	ctx   context.Context //nolint:containedctx // that of the one piece of work that it is for
	orm   *gorm.DB
	pool  *pgxpool.Pool // that queries go to; nil: they go where orm goes
	now   time.Time
	reads bool // nothing is written
	jobs  []river.InsertManyParams
}

// Read runs f, which must not write, with each of its statements seeing what was committed when it began: what needs
// one view of the database asks for it in one statement, or takes a Snapshot. There is nothing to begin and to end.
func (db *DB) Read(ctx context.Context, f func(*Tx) error) error {
	orm := db.reads.WithContext(ctx)
	now, err := db.moment(orm)
	if err == nil {
		err = f(&Tx{db: db, ctx: ctx, orm: orm, pool: db.pool, now: now, reads: true})
	}
	return db.failed(ctx, err)
}

// Snapshot runs f with one consistent view of the database. What f wants to write fails.
func (db *DB) Snapshot(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, db.reads, true, f, db.dialect.snapshot())
}

// Write runs f in one transaction and commits where it returns nil; nothing is left of it otherwise.
func (db *DB) Write(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, db.gorm, false, f, nil)
}

func (db *DB) run(ctx context.Context, on *gorm.DB, reads bool, f func(*Tx) error, o *sql.TxOptions) error {
	orm := on.WithContext(ctx)
	now, err := db.moment(orm) // before there is a transaction to hold open for it
	if err == nil {
		err = orm.Transaction(func(orm *gorm.DB) error {
			tx := &Tx{db: db, ctx: ctx, orm: orm, now: now, reads: reads}
			if err := f(tx); err != nil {
				return err
			}
			return tx.enqueueAll()
		}, o)
	}
	return db.failed(ctx, err)
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
func (db *DB) moment(orm *gorm.DB) (time.Time, error) {
	if db.clock != nil {
		return db.clock().UTC().Truncate(time.Microsecond), nil
	}
	if last := db.told.Load(); last != nil && time.Since(last.machine) <= staleAfter {
		return last.database.Add(time.Since(last.machine)).UTC().Truncate(time.Microsecond), nil
	}
	asked := time.Now()
	now, err := db.dialect.now(orm)
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
	if tx.reads {
		return errReading
	}
	tx.jobs = append(tx.jobs, river.InsertManyParams{
		Args: job, InsertOpts: &river.InsertOpts{Queue: job.Queue(), MaxAttempts: maxAttempts},
	})
	return nil
}

// enqueueAll writes the jobs that were asked for: all at once, for a sweep asks for many.
func (tx *Tx) enqueueAll() error {
	if len(tx.jobs) == 0 {
		return nil
	}
	_, err := tx.db.queue.InsertManyFastTx(tx.ctx, tx.inner(), tx.jobs)
	return err
}

// inner is the transaction that GORM runs in. Its PrepareStmt must stay off: it would wrap it.
func (tx *Tx) inner() *sql.Tx {
	if wrapped, ok := tx.orm.Statement.ConnPool.(*sqliteTx); ok {
		return wrapped.tx
	}
	return tx.orm.Statement.ConnPool.(*sql.Tx)
}
