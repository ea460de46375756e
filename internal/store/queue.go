package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river"

	"invited/internal/invitation"
)

// maxAttempts is how often a job is tried: an attempt an hour for more than three years. When to stop is not the queue's
// to say, whose column holds 32767.
const maxAttempts = 30_000

// Enqueue asks for a job to be run once the transaction has committed, and never if it has not.
func (tx *Tx) Enqueue(job invitation.Job) error {
	if tx.reads {
		return errReading
	}
	tx.jobs = append(tx.jobs, []any{job, job.Kind(), job.Queue(), river.PriorityDefault, maxAttempts})
	return nil
}

// enqueueAll writes the jobs that were asked for, due at once, in one statement and dated by the database. The library's
// own statement takes PostgreSQL as long as writing the invitation does, is one for each job on SQLite, and dates them by
// this machine: where its clock is ahead of the others', every job would wait by as much. And it tells those who listen of
// them, whom this program has none of; PostgreSQL has transactions that tell wait for each other.
func (tx *Tx) enqueueAll() error {
	if len(tx.jobs) == 0 {
		return nil
	}
	list, err := json.Marshal(tx.jobs)
	if err != nil {
		return err
	}
	return tx.write(write{text: tx.db.dialect.insertJobs(), arguments: []any{string(list)}})
}

// unkept is a driver whose statements PostgreSQL plans each time. The queue's tables go from nothing to a hundred thousand rows
// and back in a minute: a plan that was made while there was nothing reads all of it for each look, until the table is
// analyzed.
type unkept struct{ driver.Connector }

// Connect implements driver.Connector.
func (u unkept) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := u.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return unkeptConn{conn.(*stdlib.Conn)}, nil
}

type unkeptConn struct{ *stdlib.Conn }

// QueryContext implements driver.QueryerContext.
func (c unkeptConn) QueryContext(ctx context.Context, text string, arguments []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.QueryContext(ctx, text, described(arguments))
}

// ExecContext implements driver.ExecerContext.
func (c unkeptConn) ExecContext(ctx context.Context, text string, arguments []driver.NamedValue) (driver.Result, error) {
	return c.Conn.ExecContext(ctx, text, described(arguments))
}

// described has the driver keep what a statement takes and returns, and no more of it.
func described(arguments []driver.NamedValue) []driver.NamedValue {
	if len(arguments) == 0 { // there may be several statements, which only go as they are
		return arguments
	}
	return append([]driver.NamedValue{{Value: pgx.QueryExecModeCacheDescribe}}, arguments...)
}
