package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"
)

// scanFunc reads the columns of a row.
type scanFunc func(to ...any) error

// executor is where the statements of a Tx go. Those given to it are as the engine takes them.
type executor interface {
	// query runs a query and has each row read that it finds; it ends with the first error of that.
	query(ctx context.Context, text string, arguments []any, each func(scanFunc) error) error
	// exec runs a statement and returns how many rows it wrote.
	exec(ctx context.Context, text string, arguments []any) (int64, error)
	// write runs a statement whose result nobody waits for: now, or with what is run next. What stands against it is an
	// error of whatever it is run with.
	write(ctx context.Context, w write) error
	// model is GORM over the same, for one statement.
	model(ctx context.Context) *gorm.DB
}

// write is a statement that writes.
type write struct {
	text      string
	arguments []any
	index     string // a unique index that may refuse what is written
	twice     error  // what that means
	unchanged error  // of a change that is noted: what it means that there is nothing to change; nil: nothing
	unadded   error  // of a change that is noted: what it means that the row with it is there already
}

// means is the error that a failed write is.
func (w write) means(d dialect, err error) error {
	if err == nil {
		return nil
	}
	change, row := d.nothingWritten(err)
	switch {
	case change && w.unchanged != nil:
		return w.unchanged
	case row && w.unadded != nil:
		return w.unadded
	case w.twice != nil && d.duplicate(err, w.index):
		return w.twice
	}
	return err
}

// query runs a hand-written query, whose arguments stand as ? in its text, and has each row read that it finds.
func (tx *Tx) query(text string, arguments []any, each func(scanFunc) error) error {
	text, arguments = tx.db.dialect.statement(text, arguments)
	return tx.db.translate(tx.to.query(tx.ctx, text, arguments, each))
}

// model is GORM, for one statement.
func (tx *Tx) model() *gorm.DB { return tx.to.model(tx.ctx) }

// exec runs a hand-written statement that writes, whose arguments stand as ? in its text; it returns how many rows it wrote.
func (tx *Tx) exec(text string, arguments ...any) (int64, error) {
	if tx.reads {
		return 0, errReading
	}
	text, arguments = tx.db.dialect.statement(text, arguments)
	written, err := tx.to.exec(tx.ctx, text, arguments)
	return written, tx.db.translate(err)
}

// write runs a hand-written statement, whose arguments stand as ? in its text, now or with what is run next.
func (tx *Tx) write(w write) error {
	if tx.reads {
		return errReading
	}
	w.text, w.arguments = tx.db.dialect.statement(w.text, w.arguments)
	return tx.db.translate(tx.to.write(tx.ctx, w))
}

// row reads the first row of a query; sql.ErrNoRows where there is none.
func (tx *Tx) row(text string, arguments []any, to ...any) error {
	none := sql.ErrNoRows
	err := tx.query(text, arguments, func(scan scanFunc) error {
		if none == nil {
			return nil
		}
		none = nil
		return scan(to...)
	})
	if err != nil {
		return err
	}
	return none
}

// sqlExecutor is a pool or a transaction of database/sql, as GORM has it.
type sqlExecutor struct {
	dialect dialect
	orm     *gorm.DB
	kept    *prepared // of the same pool, whose queries are kept prepared; nil: they are not
}

func (e sqlExecutor) query(ctx context.Context, text string, arguments []any, each func(scanFunc) error) error {
	var (
		rows *sql.Rows
		err  error
	)
	if e.kept != nil {
		rows, err = e.kept.query(ctx, text, withTimes(arguments))
	} else {
		rows, err = e.orm.Statement.ConnPool.QueryContext(ctx, text, arguments...)
	}
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (e sqlExecutor) exec(ctx context.Context, text string, arguments []any) (int64, error) {
	result, err := e.orm.Statement.ConnPool.ExecContext(ctx, text, arguments...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (e sqlExecutor) write(ctx context.Context, w write) error {
	_, err := e.exec(ctx, w.text, w.arguments)
	return w.means(e.dialect, err)
}

func (e sqlExecutor) model(context.Context) *gorm.DB { return e.orm }

// numbered has the arguments of a statement as PostgreSQL counts them.
func numbered(text string) string {
	var out strings.Builder
	out.Grow(len(text) + 64)
	for n := 1; ; n++ {
		before, after, more := strings.Cut(text, "?")
		out.WriteString(before)
		if !more {
			return out.String()
		}
		out.WriteByte('$')
		out.WriteString(strconv.Itoa(n))
		text = after
	}
}

// native has uuids sent as they are: PostgreSQL's driver would make texts of them first, and read those again.
func native(arguments []any) []any {
	sent := make([]any, len(arguments))
	for i, each := range arguments {
		switch value := each.(type) {
		case uuid.UUID:
			sent[i] = pgtype.UUID{Bytes: value, Valid: true}
		case *uuid.UUID:
			if value != nil {
				sent[i] = pgtype.UUID{Bytes: *value, Valid: true}
			}
		default:
			sent[i] = each
		}
	}
	return sent
}

// uuidInto reads a uuid: of PostgreSQL's driver as it is sent, of database/sql as text.
type uuidInto struct{ *uuid.UUID }

// ScanUUID implements pgtype.UUIDScanner.
func (i uuidInto) ScanUUID(read pgtype.UUID) error {
	if !read.Valid {
		return errNull
	}
	*i.UUID = read.Bytes
	return nil
}

var errNull = errors.New("store: a uuid is missing where there has to be one")

// maybe reads a uuid where there may be none.
type maybe struct{ to **uuid.UUID }

// ScanUUID implements pgtype.UUIDScanner.
func (m maybe) ScanUUID(read pgtype.UUID) error {
	*m.to = nil
	if read.Valid {
		found := uuid.UUID(read.Bytes)
		*m.to = &found
	}
	return nil
}

// Scan implements sql.Scanner.
func (m maybe) Scan(value any) error {
	*m.to = nil
	if value == nil {
		return nil
	}
	var found uuid.UUID
	err := found.Scan(value)
	*m.to = &found
	return err
}
