package store

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"
)

// sqliteTime is how times are stored in SQLite: text of one width in UTC, so that it orders as time does. The
// driver's own format drops trailing zeros, and then "…05.5Z" stands before "…05Z".
const sqliteTime = "2006-01-02T15:04:05.000000Z"

// sqlitePool passes times to SQLite in that format. The driver's setting is for the job queue's tables, which share the
// pool and hold times in another.
type sqlitePool struct{ gorm.ConnPool }

func (p sqlitePool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.ConnPool.ExecContext(ctx, query, withTimes(args)...)
}

func (p sqlitePool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.ConnPool.QueryContext(ctx, query, withTimes(args)...)
}

func (p sqlitePool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.ConnPool.QueryRowContext(ctx, query, withTimes(args)...)
}

// BeginTx begins a transaction that passes times in the same way.
func (p sqlitePool) BeginTx(ctx context.Context, o *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := p.ConnPool.(gorm.TxBeginner).BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &sqliteTx{sqlitePool{tx}, tx}, nil
}

type sqliteTx struct {
	sqlitePool
	tx *sql.Tx
}

func (t *sqliteTx) Commit() error   { return t.tx.Commit() }
func (t *sqliteTx) Rollback() error { return t.tx.Rollback() }

func withTimes(args []any) []any {
	out := make([]any, len(args))
	for i, each := range args {
		switch at := each.(type) {
		case time.Time:
			out[i] = at.UTC().Format(sqliteTime)
		case *time.Time:
			if at != nil {
				out[i] = at.UTC().Format(sqliteTime)
			}
		default:
			out[i] = each
		}
	}
	return out
}
