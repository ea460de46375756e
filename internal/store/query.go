package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// rows are what a query finds. Close has to be called.
type rows interface {
	Next() bool
	Scan(to ...any) error
	Err() error
	Close()
}

type sqlRows struct{ *sql.Rows }

func (r sqlRows) Close() { _ = r.Rows.Close() } // what went wrong, Err says

// query runs a hand-written query, whose arguments stand as ? in its text.
func (tx *Tx) query(text string, arguments ...any) (rows, error) {
	text, arguments = tx.db.dialect.statement(text, arguments)
	if tx.pool != nil {
		return read(tx.ctx, tx.pool, text, arguments) //nolint:sqlclosecheck // who asked closes them
	}
	found, err := tx.orm.Statement.ConnPool.QueryContext(tx.ctx, text, arguments...) //nolint:rowserrcheck // and checks
	if err != nil {
		return nil, err
	}
	return sqlRows{found}, nil
}

// read is a query by PostgreSQL's driver itself: database/sql has a value made of each field first, of most of them a
// text, and copies that. As it does, this takes another connection where one turns out to be dead before it was used.
func read(ctx context.Context, pool *pgxpool.Pool, text string, arguments []any) (found pgx.Rows, err error) {
	for tries := int32(1); ; tries++ {
		found, err = pool.Query(ctx, text, arguments...)
		if !pgconn.SafeToRetry(err) || ctx.Err() != nil || tries >= pool.Config().MaxConns {
			return found, err
		}
	}
}

// exec runs a hand-written statement that writes, whose arguments stand as ? in its text; it returns how many rows it wrote.
func (tx *Tx) exec(text string, arguments ...any) (int64, error) {
	if tx.reads {
		return 0, errReading
	}
	text, arguments = tx.db.dialect.statement(text, arguments)
	result, err := tx.orm.Statement.ConnPool.ExecContext(tx.ctx, text, arguments...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads the first row of a query; sql.ErrNoRows where there is none.
func (tx *Tx) row(text string, arguments []any, to ...any) error {
	found, err := tx.query(text, arguments...)
	if err != nil {
		return err
	}
	defer found.Close()
	if found.Next() {
		return found.Scan(to...)
	}
	if err := found.Err(); err != nil {
		return err
	}
	return sql.ErrNoRows
}

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
		fmt.Fprintf(&out, "$%d", n)
		text = after
	}
}

// binary has uuids sent as they are: PostgreSQL's driver would make texts of them first, and read those again.
func binary(arguments []any) []any {
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

// id reads a uuid: of PostgreSQL's driver as it is sent, of database/sql as text.
type id struct{ *uuid.UUID }

// ScanUUID implements pgtype.UUIDScanner.
func (i id) ScanUUID(read pgtype.UUID) error {
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
