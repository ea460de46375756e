package database

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

// WriteTogether runs f with a context whose units of work are one transaction, and commits where f returns nil. The
// transaction begins with the first Write of the context. From then on each Write is a savepoint of the transaction,
// which keeps what it wrote only where it returns nil, and Read and ReadList see what was written so far. Until a Write
// has succeeded, a Write that fails rolls the transaction back, and the next Write begins another one. Nothing is left
// of the transaction where f returns an error or panics, where ctx ends, or where the process dies.
//
// The function begun runs whenever the transaction begins, in it. Where begun fails, or the engine ends the
// transaction, no Write of the context succeeds any more, and WriteTogether returns that error, whatever f returns.
//
// f has to make all its changes with the given context. On SQLite another transaction would wait for the one of this
// context. On PostgreSQL enough of them would wait for each other's connections. One goroutine may use the context at a
// time.
func (db *DB) WriteTogether(ctx context.Context, begun func(*gorm.DB) error, f func(context.Context) error) error {
	outer := &outerTx{db: db, ctx: ctx, begun: begun}
	defer outer.rollBack()
	err := f(context.WithValue(ctx, outerKey{db}, outer))
	if outer.err != nil {
		err = outer.err
	}
	if err == nil {
		err = outer.commit()
	}
	return db.result(ctx, err)
}

type outerKey struct{ db *DB }

// outerOf returns the transaction of all units of work of a context; nil where the context has none.
func (db *DB) outerOf(ctx context.Context) *outerTx {
	outer, _ := ctx.Value(outerKey{db}).(*outerTx)
	return outer
}

// outerTx is the transaction of WriteTogether.
type outerTx struct {
	db    *DB
	ctx   context.Context //nolint:containedctx // the transaction ends with it, and not with that of a unit of work
	begun func(*gorm.DB) error
	tx    *gorm.DB  // nil: not begun, or over
	kept  bool      // a unit of work has returned nil
	now   time.Time // of the whole transaction: to ask again would take a second connection
	err   error     // why nothing can be written any more
}

// hasBegun reports whether reads have to see what the transaction wrote. A nil outerTx has not begun.
func (o *outerTx) hasBegun() bool { return o != nil && (o.tx != nil || o.err != nil) }

func (o *outerTx) begin() (err error) {
	if o.now, err = o.db.clock.now(o.ctx); err != nil {
		return err
	}
	tx := o.db.writer.WithContext(o.ctx).Begin()
	if tx.Error != nil {
		return tx.Error
	}
	o.tx = tx
	return o.begun(tx)
}

// write runs f in the transaction, from the second unit of work on in a savepoint, which is over when write returns.
// GORM's own nested transactions ignore that a savepoint could not be set or returned to, which is how an engine says
// that it has ended the transaction: later statements would then be committed one by one.
func (o *outerTx) write(ctx context.Context, f func(tx *gorm.DB, now time.Time) error) error {
	if o.err == nil && o.tx == nil {
		o.err = o.begin()
	}
	if o.err == nil && o.kept {
		o.err = o.tx.Exec("SAVEPOINT unit_of_work").Error
	}
	if o.err != nil {
		return o.err
	}
	err := f(o.tx.WithContext(ctx), o.now)
	switch {
	case o.kept:
		if failed := o.endSavepoint(err == nil); failed != nil {
			err = errors.Join(err, failed)
			o.err = err
		}
	case err == nil:
		o.kept = true
	default:
		o.rollBack()
	}
	return err
}

// endSavepoint ends the savepoint of a unit of work. Savepoints that are not released nest, and slow down each
// statement that follows.
func (o *outerTx) endSavepoint(keep bool) error {
	if !keep {
		if err := o.tx.Exec("ROLLBACK TO SAVEPOINT unit_of_work").Error; err != nil {
			return err
		}
	}
	return o.tx.Exec("RELEASE SAVEPOINT unit_of_work").Error
}

// read runs f, which must not write, in the transaction.
func (o *outerTx) read(ctx context.Context, f func(tx *gorm.DB, now time.Time) error) error {
	if o.err != nil {
		return o.err
	}
	session := o.db.reader.WithContext(ctx)
	session.Statement.ConnPool = o.tx.Statement.ConnPool
	return f(session, o.now)
}

func (o *outerTx) commit() error {
	if o.tx == nil {
		return nil
	}
	tx := o.tx
	o.tx = nil
	return tx.Commit().Error
}

// rollBack ends a transaction that was not committed. What ended it otherwise has rolled it back.
func (o *outerTx) rollBack() {
	if o.tx != nil {
		_ = o.tx.Rollback()
		o.tx = nil
	}
}
