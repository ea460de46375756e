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

// lookups are reads on PostgreSQL by its driver itself: database/sql has a value made of each field first, of most of them
// a text, and copies that. Each sees what was committed when it began.
type lookups struct {
	db  *DB
	ctx context.Context //nolint:containedctx // that of the one piece of work that it is for
}

func (l lookups) query(text string, arguments []any, each func(scan) error) error {
	r, err := toSettle(l.ctx)
	if err != nil {
		return err
	}
	if r == nil {
		return l.db.lookUp(l.ctx, text, arguments, func(rows pgx.Rows) error { return eachRow(rows, each) })
	}
	return l.db.again(l.ctx, func() error {
		both := &pgx.Batch{}
		both.Queue(postgresOwner, r.arguments()...)
		both.Queue(text, arguments...)
		answers := l.db.pool.SendBatch(l.ctx, both)
		err := l.db.settled(r, answers)
		if err == nil {
			err = answerRows(answers, each)
		}
		if closed := answers.Close(); err == nil {
			err = closed
		}
		return err
	})
}

func (lookups) exec(string, []any) (int64, error) { return 0, errReading }

func (lookups) write(write) error { return errReading }

func (l lookups) model() *gorm.DB {
	orm := l.db.reads.WithContext(l.ctx)
	if err := l.db.settle(l.ctx); err != nil {
		_ = orm.AddError(err)
	}
	return orm
}

// lookUp runs a query on any connection.
func (db *DB) lookUp(ctx context.Context, text string, arguments []any, read func(pgx.Rows) error) error {
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

// settled reads the answer to the look-up of a recollection.
func (db *DB) settled(r *recollection, answers pgx.BatchResults) error {
	rows, err := answers.Query()
	if err != nil {
		return err
	}
	return db.judge(r, rows)
}

func answerRows(answers pgx.BatchResults, each func(scan) error) error {
	rows, err := answers.Query()
	if err != nil {
		return err
	}
	return eachRow(rows, each)
}

func eachRow(rows pgx.Rows, each func(scan) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	rows.Close()
	return rows.Err()
}

// pipeline is a transaction on PostgreSQL that sends as little as it can: BEGIN goes out with the first statement, writes
// that nobody waits for with the next statement or with COMMIT, and where there is nothing but such writes they are a
// transaction by themselves. Each message is a round trip, in which both sides wake up and go to sleep again; beside that, a
// statement of this program costs little. What fails ends the transaction, and what was sent behind it is not done.
type pipeline struct {
	ctx     context.Context //nolint:containedctx // that of the one piece of work that it is for
	db      *DB
	conn    *sql.Conn // nil until there is something to send
	waiting []write
	begun   bool
}

// onto runs f on a connection: any, or the transaction's. That is reached through database/sql, because GORM needs it.
func (p *pipeline) onto(begin bool, f func(*pgx.Conn) error) (err error) {
	if p.conn == nil && !begin {
		return p.db.pool.AcquireFunc(p.ctx, func(conn *pgxpool.Conn) error { return f(conn.Conn()) })
	}
	if p.conn == nil {
		if p.conn, err = p.db.sql.Conn(p.ctx); err != nil {
			return err
		}
	}
	return p.conn.Raw(func(conn any) error { return f(conn.(*stdlib.Conn).Conn()) })
}

// message is what is sent at once: what waits, and what is named here.
type message struct {
	begin     bool // within BEGIN and COMMIT; else it is a transaction by itself
	reads     bool // text writes nothing
	text      string
	arguments []any
	answered  func(pgx.BatchResults) error // reads the answer to text
}

func (p *pipeline) send(m message) error {
	return p.db.again(p.ctx, func() error {
		err := p.onto(m.begin, func(conn *pgx.Conn) error { return p.exchange(conn, m) })
		if pgconn.SafeToRetry(err) && !p.begun && p.conn != nil {
			p.release()
		}
		return err
	})
}

func (p *pipeline) exchange(conn *pgx.Conn, m message) error {
	r, err := toSettle(p.ctx)
	if err != nil {
		return err
	}
	if r != nil && (!m.reads || len(p.waiting) > 0) { // who writes is known
		rows, err := conn.Query(p.ctx, postgresOwner, r.arguments()...)
		if err == nil {
			err = p.db.judge(r, rows)
		}
		if err != nil {
			return err
		}
		r = nil
	}
	if !m.begin && !p.begun && len(p.waiting) == 1 {
		w := p.waiting[0]
		_, err := conn.Exec(p.ctx, w.text, w.arguments...)
		return w.means(p.db.dialect, err)
	}
	batch, begins := &pgx.Batch{}, m.begin && !p.begun
	if begins {
		batch.Queue("BEGIN")
	}
	if r != nil {
		batch.Queue(postgresOwner, r.arguments()...)
	}
	for _, each := range p.waiting {
		batch.Queue(each.text, each.arguments...)
	}
	if m.text != "" {
		batch.Queue(m.text, m.arguments...)
	}
	answers := conn.SendBatch(p.ctx, batch)
	err = p.answers(answers, begins, r, m)
	if closed := answers.Close(); err == nil {
		err = closed
	}
	if !pgconn.SafeToRetry(err) { // else nothing was sent
		p.begun, p.waiting = p.begun || begins, nil
	}
	return err
}

func (p *pipeline) answers(answers pgx.BatchResults, begins bool, r *recollection, m message) error {
	if begins {
		if _, err := answers.Exec(); err != nil {
			return err
		}
	}
	if r != nil {
		if err := p.db.settled(r, answers); err != nil {
			return err
		}
	}
	for _, each := range p.waiting {
		if _, err := answers.Exec(); err != nil {
			return each.means(p.db.dialect, err)
		}
	}
	if m.text != "" {
		return m.answered(answers)
	}
	return nil
}

func (p *pipeline) query(text string, arguments []any, each func(scan) error) error {
	return p.send(message{begin: true, reads: true, text: text, arguments: arguments, answered: func(answers pgx.BatchResults) error {
		return answerRows(answers, each)
	}})
}

func (p *pipeline) exec(text string, arguments []any) (written int64, err error) {
	err = p.send(message{begin: true, text: text, arguments: arguments, answered: func(answers pgx.BatchResults) error {
		done, err := answers.Exec()
		written = done.RowsAffected()
		return err
	}})
	return written, err
}

func (p *pipeline) write(w write) error {
	p.waiting = append(p.waiting, w)
	return nil
}

// model sends all that waits before GORM's statement.
func (p *pipeline) model() *gorm.DB {
	orm := p.db.gorm.Session(&gorm.Session{NewDB: true, Context: p.ctx})
	if !p.begun || len(p.waiting) > 0 {
		if err := p.send(message{begin: true}); err != nil {
			_ = orm.AddError(err)
			return orm
		}
	}
	orm.Statement.ConnPool = p.conn
	return orm
}

// commit ends the transaction: what waits is written, and all of it stays.
func (p *pipeline) commit() error {
	switch {
	case p.ctx.Err() != nil:
		return p.ctx.Err()
	case p.begun:
		return p.send(message{text: "COMMIT", answered: func(answers pgx.BatchResults) error {
			done, err := answers.Exec()
			if err == nil && done.String() == "ROLLBACK" {
				err = pgx.ErrTxCommitRollback // a statement had failed, and whoever asked for it went on
			}
			return err
		}})
	case len(p.waiting) > 0:
		return p.send(message{})
	default:
		return nil
	}
}

// rollbackTimeout bounds how long the end of a transaction that came to nothing may take, whose caller may be gone.
const rollbackTimeout = 5 * time.Second

// end gives the connection back. Of what was not committed nothing is left.
func (p *pipeline) end(ctx context.Context) {
	if p.conn == nil {
		return
	}
	_ = p.conn.Raw(func(conn any) error {
		native := conn.(*stdlib.Conn).Conn()
		if native.IsClosed() || native.PgConn().TxStatus() == idle {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, rollbackTimeout)
		defer cancel()
		_, err := native.Exec(ctx, "ROLLBACK") // where it fails, the pool closes the connection, which does the same
		return err
	})
	p.release()
}

// idle is a connection's status outside of a transaction (PostgreSQL documentation, ReadyForQuery).
const idle = 'I'

func (p *pipeline) release() {
	_ = p.conn.Close()
	p.conn = nil
}
