package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"
)

// poolExecutor is for reads on PostgreSQL by its driver itself: database/sql has a value made of each field first, of most of
// them a text, and copies that. Each sees what was committed when it began.
type poolExecutor struct{ db *DB }

func (e poolExecutor) query(ctx context.Context, text string, arguments []any, each func(scanFunc) error) error {
	r, err := toRevalidate(ctx)
	if err != nil {
		return err
	}
	if r != nil {
		return (&txExecutor{db: e.db}).send(ctx, message{
			reads: true, text: text, arguments: arguments, answered: rowsOf(each),
		})
	}
	return e.db.queryPool(ctx, text, arguments, func(rows pgx.Rows) error { return eachRow(rows, each) })
}

// Tx has refused what writes before it gets here.
func (poolExecutor) exec(context.Context, string, []any) (int64, error) { return 0, errReading }
func (poolExecutor) write(context.Context, write) error                 { return errReading }

func (e poolExecutor) model(ctx context.Context) *gorm.DB {
	orm := e.db.reads.WithContext(ctx)
	if err := e.db.revalidate(ctx); err != nil {
		_ = orm.AddError(err)
	}
	return orm
}

// queryPool runs a query on any connection.
func (db *DB) queryPool(ctx context.Context, text string, arguments []any, read func(pgx.Rows) error) error {
	return db.again(ctx, func() error {
		rows, err := db.pool.Query(ctx, text, arguments...)
		if err != nil {
			return err
		}
		return read(rows)
	})
}

// again has something done on another connection where the one turns out to be dead before it was used, as database/sql does.
func (db *DB) again(ctx context.Context, do func() error) error {
	for tries := int32(1); ; tries++ {
		err := do()
		if !pgconn.SafeToRetry(err) || ctx.Err() != nil || tries >= db.pool.Config().MaxConns {
			return err
		}
	}
}

func eachRow(rows pgx.Rows, each func(scanFunc) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// txExecutor is a transaction on PostgreSQL that sends as little as it can: BEGIN goes out with the first statement, writes
// that nobody waits for with the next statement or with COMMIT, and where there is nothing but such writes they are a
// transaction by themselves. Each message is a round trip, in which both sides wake up and go to sleep again; beside that, a
// statement of this program costs little. What fails ends the transaction, and what was sent behind it is not done.
type txExecutor struct {
	db      *DB
	conn    *sql.Conn // nil until there is something to send
	waiting []write
	begun   bool
	failed  error // what ended it
}

// message is what is sent at once: what waits, and what is named here.
type message struct {
	begin     bool // opens the transaction where it is not open
	reads     bool // text writes nothing
	text      string
	arguments []any
	answered  func(pgx.BatchResults) error // reads the answer to text
}

func (e *txExecutor) send(ctx context.Context, m message) error {
	if e.failed != nil { // whoever asked went on; what is sent now would be a transaction of its own
		return e.failed
	}
	if e.begun { // on its connection or nowhere
		e.failed = e.onto(ctx, m.begin, func(conn *pgx.Conn) error { return e.exchange(ctx, conn, m) })
		return e.failed
	}
	e.failed = e.db.again(ctx, func() error {
		err := e.onto(ctx, m.begin, func(conn *pgx.Conn) error { return e.exchange(ctx, conn, m) })
		if pgconn.SafeToRetry(err) && e.conn != nil {
			e.release()
		}
		return err
	})
	return e.failed
}

// onto runs f on a connection: any, or the transaction's. That is reached through database/sql, because GORM needs it.
func (e *txExecutor) onto(ctx context.Context, begin bool, f func(*pgx.Conn) error) (err error) {
	if e.conn == nil && !begin {
		return e.db.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return f(conn.Conn()) })
	}
	if e.conn == nil {
		if e.conn, err = e.db.sql.Conn(ctx); err != nil {
			return err
		}
	}
	return e.conn.Raw(func(conn any) error { return f(conn.(*stdlib.Conn).Conn()) })
}

func (e *txExecutor) exchange(ctx context.Context, conn *pgx.Conn, m message) error {
	r, err := toRevalidate(ctx)
	if err != nil {
		return err
	}
	if r != nil && (!m.reads || len(e.waiting) > 0) {
		// In a message of its own: together with it, what writes would be done before the answer is read.
		rows, err := conn.Query(ctx, postgresOwnerQuery, r.arguments()...)
		if err == nil {
			err = e.db.compare(r, rows)
		}
		if err != nil {
			return err
		}
		r = nil
	}
	batch, begins := &pgx.Batch{}, m.begin && !e.begun
	if begins {
		batch.Queue("BEGIN")
	}
	if r != nil {
		batch.Queue(postgresOwnerQuery, r.arguments()...)
	}
	for _, each := range e.waiting {
		batch.Queue(each.text, each.arguments...)
	}
	if m.text != "" {
		batch.Queue(m.text, m.arguments...)
	}
	answers := conn.SendBatch(ctx, batch)
	err = e.answers(answers, begins, r, m)
	if closed := answers.Close(); err == nil {
		err = closed
	}
	if err == nil {
		e.begun, e.waiting = e.begun || begins, nil
	}
	return err
}

func (e *txExecutor) answers(answers pgx.BatchResults, begins bool, r *revalidation, m message) error {
	if begins {
		if _, err := answers.Exec(); err != nil {
			return err
		}
	}
	if r != nil {
		rows, err := answers.Query()
		if err == nil {
			err = e.db.compare(r, rows)
		}
		if err != nil {
			return err
		}
	}
	for _, each := range e.waiting {
		if _, err := answers.Exec(); err != nil {
			return each.means(e.db.dialect, err)
		}
	}
	if m.text != "" {
		return m.answered(answers)
	}
	return nil
}

func (e *txExecutor) query(ctx context.Context, text string, arguments []any, each func(scanFunc) error) error {
	return e.send(ctx, message{begin: true, reads: true, text: text, arguments: arguments, answered: rowsOf(each)})
}

func rowsOf(each func(scanFunc) error) func(pgx.BatchResults) error {
	return func(answers pgx.BatchResults) error {
		rows, err := answers.Query()
		if err != nil {
			return err
		}
		return eachRow(rows, each)
	}
}

func (e *txExecutor) exec(ctx context.Context, text string, arguments []any) (written int64, err error) {
	err = e.send(ctx, message{begin: true, text: text, arguments: arguments, answered: func(answers pgx.BatchResults) error {
		done, err := answers.Exec()
		written = done.RowsAffected()
		return err
	}})
	return written, err
}

func (e *txExecutor) write(_ context.Context, w write) error {
	e.waiting = append(e.waiting, w)
	return nil
}

// model sends all that waits before GORM's statement.
func (e *txExecutor) model(ctx context.Context) *gorm.DB {
	orm := e.db.gorm.Session(&gorm.Session{NewDB: true, Context: ctx})
	if !e.begun || len(e.waiting) > 0 {
		if err := e.send(ctx, message{begin: true}); err != nil {
			_ = orm.AddError(err)
			return orm
		}
	}
	orm.Statement.ConnPool = e.conn
	return orm
}

// commit ends the transaction: what waits is written, and all of it stays.
func (e *txExecutor) commit(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case e.begun:
		return e.send(ctx, message{text: "COMMIT", answered: func(answers pgx.BatchResults) error {
			done, err := answers.Exec()
			if err == nil && done.String() == "ROLLBACK" {
				err = pgx.ErrTxCommitRollback // a statement had failed, and whoever asked for it went on
			}
			return err
		}})
	case len(e.waiting) > 0:
		return e.send(ctx, message{})
	default:
		return nil
	}
}

// rollbackTimeout bounds how long the end of a transaction that came to nothing may take, whose caller may be gone.
const rollbackTimeout = 5 * time.Second

// end gives the connection back. Of what was not committed nothing is left.
func (e *txExecutor) end(ctx context.Context) {
	if e.conn == nil {
		return
	}
	_ = e.conn.Raw(func(raw any) error {
		conn := raw.(*stdlib.Conn).Conn()
		if conn.IsClosed() || conn.PgConn().TxStatus() == idle {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, rollbackTimeout)
		defer cancel()
		_, err := conn.Exec(ctx, "ROLLBACK") // where it fails, the pool closes the connection, which does the same
		return err
	})
	e.release()
}

// idle is a connection's status outside of a transaction (PostgreSQL documentation, ReadyForQuery).
const idle = 'I'

func (e *txExecutor) release() {
	_ = e.conn.Close()
	e.conn = nil
}
