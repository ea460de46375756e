package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
	"github.com/ngrok/sqlmw"
)

// A Statement is a statement that is over: its last row was read, or it failed.
type Statement struct {
	Pool      string // as PoolUses has it
	Operation string // select, insert, update, delete, with, begin, commit, rollback, savepoint, or other
	Began     time.Time
	Took      time.Duration
	Failure   string // the engine's code of the error; "other": an error without a code; "": none
	text      string // without values
}

var (
	operations = []string{"select", "insert", "update", "delete", "with", "begin", "commit", "rollback", "savepoint"}
	tableName  = regexp.MustCompile(`(?i)\b(?:from|into|update)\s+["` + "`" + `]?([a-z_]+)`)
)

// Table returns the name of the first table in the statement; "" where it has none.
func (s Statement) Table() string {
	if found := tableName.FindStringSubmatch(s.text); found != nil {
		return found[1]
	}
	return ""
}

func newStatement(pool, text string, began time.Time, err error) Statement {
	s := Statement{Pool: pool, Operation: operationOf(text), Began: began, Took: time.Since(began), text: text}
	var refused *pgconn.PgError
	var sqlite *sqlite3.Error
	switch {
	case err == nil:
	case errors.As(err, &refused):
		s.Failure = refused.Code
	case errors.As(err, &sqlite):
		s.Failure = strings.TrimPrefix(sqlite.Code().Error(), "sqlite3: ")
	default:
		s.Failure = "other"
	}
	return s
}

// operationOf returns the Operation of a statement, which may begin with comments, as those of the job queue do.
func operationOf(text string) string {
	text = strings.TrimSpace(text)
	for strings.HasPrefix(text, "--") {
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimSpace(text)
	}
	word := text[:len(text)-len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
	switch word = strings.ToLower(word); {
	case slices.Contains(operations, word):
		return word
	case word == "release":
		return "savepoint"
	default:
		return "other"
	}
}

// pgxObserver tells observe of the statements on the connections of a pool to PostgreSQL.
type pgxObserver struct {
	pool    string
	observe func(context.Context, Statement)
}

// tracerOf returns the tracer of a pool; nil where nobody wants to know.
func tracerOf(o Options, pool string) pgx.QueryTracer {
	switch {
	case o.Observe == nil:
		return o.Tracer
	case o.Tracer == nil:
		return pgxObserver{pool, o.Observe}
	default:
		return multitracer.New(o.Tracer, pgxObserver{pool, o.Observe})
	}
}

type runningKey struct{}

// running is a statement that is not over.
type running struct {
	text  string
	began time.Time
}

// TraceQueryStart implements pgx.QueryTracer.
func (pgxObserver) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, runningKey{}, running{data.SQL, time.Now()})
}

// TraceQueryEnd implements pgx.QueryTracer.
func (p pgxObserver) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if s, ok := ctx.Value(runningKey{}).(running); ok {
		p.observe(ctx, newStatement(p.pool, s.text, s.began, data.Err))
	}
}

// sqliteObserver tells observe of the statements on the connections of a pool to SQLite. The time of a query is that until its
// rows are closed: SQLite finds a row when it is asked for. The time to compile a statement is not part of it.
type sqliteObserver struct {
	sqlmw.NullInterceptor
	pool    string
	observe func(context.Context, Statement)
}

// observedConnector returns a connector for a pool; the same one where nobody wants to know.
func observedConnector(connector driver.Connector, o Options, pool string) (driver.Connector, error) {
	if o.Observe == nil {
		return connector, nil
	}
	wrapped := sqlmw.Driver(connectorDriver{connector}, sqliteObserver{pool: pool, observe: o.Observe})
	return wrapped.(driver.DriverContext).OpenConnector("") //nolint:forcetypeassert // connectorDriver implements it
}

// connectorDriver is a driver with one connector: sqlmw wraps drivers.
type connectorDriver struct{ driver.Connector }

// Open implements driver.Driver.
func (d connectorDriver) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

// OpenConnector implements driver.DriverContext.
func (d connectorDriver) OpenConnector(string) (driver.Connector, error) { return d.Connector, nil }

func (o sqliteObserver) tell(ctx context.Context, text string, began time.Time, err error) {
	if !errors.Is(err, driver.ErrSkip) { // database/sql prepares the statement, and runs it then
		o.observe(ctx, newStatement(o.pool, text, began, err))
	}
}

// ConnPrepareContext implements sqlmw.Interceptor. A statement that can't be compiled is over.
func (o sqliteObserver) ConnPrepareContext(
	ctx context.Context, conn driver.ConnPrepareContext, text string,
) (context.Context, driver.Stmt, error) {
	began := time.Now()
	statement, err := conn.PrepareContext(ctx, text)
	if err != nil {
		o.tell(ctx, text, began, err)
	}
	return ctx, statement, err
}

// ConnExecContext implements sqlmw.Interceptor.
func (o sqliteObserver) ConnExecContext(
	ctx context.Context, conn driver.ExecerContext, text string, args []driver.NamedValue,
) (driver.Result, error) {
	began := time.Now()
	result, err := conn.ExecContext(ctx, text, args)
	o.tell(ctx, text, began, err)
	return result, err
}

// StmtExecContext implements sqlmw.Interceptor.
func (o sqliteObserver) StmtExecContext(
	ctx context.Context, statement driver.StmtExecContext, text string, args []driver.NamedValue,
) (driver.Result, error) {
	began := time.Now()
	result, err := statement.ExecContext(ctx, args)
	o.tell(ctx, text, began, err)
	return result, err
}

// sqliteQuery is a query whose rows are not closed.
type sqliteQuery struct {
	running
	err error // of the row that failed
}

func (o sqliteObserver) began(ctx context.Context, text string, began time.Time, err error) context.Context {
	if err != nil {
		o.tell(ctx, text, began, err)
		return ctx
	}
	return context.WithValue(ctx, runningKey{}, &sqliteQuery{running: running{text, began}})
}

// ConnQueryContext implements sqlmw.Interceptor.
func (o sqliteObserver) ConnQueryContext(
	ctx context.Context, conn driver.QueryerContext, text string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	began := time.Now()
	rows, err := conn.QueryContext(ctx, text, args)
	return o.began(ctx, text, began, err), rows, err
}

// StmtQueryContext implements sqlmw.Interceptor.
func (o sqliteObserver) StmtQueryContext(
	ctx context.Context, statement driver.StmtQueryContext, text string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	began := time.Now()
	rows, err := statement.QueryContext(ctx, args)
	return o.began(ctx, text, began, err), rows, err
}

// RowsNext implements sqlmw.Interceptor.
func (sqliteObserver) RowsNext(ctx context.Context, rows driver.Rows, row []driver.Value) error {
	err := rows.Next(row)
	if query, ok := ctx.Value(runningKey{}).(*sqliteQuery); ok && err != nil && !errors.Is(err, io.EOF) {
		query.err = err
	}
	return err
}

// RowsClose implements sqlmw.Interceptor.
func (o sqliteObserver) RowsClose(ctx context.Context, rows driver.Rows) error {
	err := rows.Close()
	if query, ok := ctx.Value(runningKey{}).(*sqliteQuery); ok {
		o.tell(ctx, query.text, query.began, errors.Join(query.err, err))
	}
	return err
}

// ConnBeginTx implements sqlmw.Interceptor. The time is mostly that for which the transaction waits for others that write.
func (o sqliteObserver) ConnBeginTx(
	ctx context.Context, conn driver.ConnBeginTx, options driver.TxOptions,
) (context.Context, driver.Tx, error) {
	began := time.Now()
	tx, err := conn.BeginTx(ctx, options)
	o.tell(ctx, "begin", began, err)
	return ctx, tx, err
}

// TxCommit implements sqlmw.Interceptor.
func (o sqliteObserver) TxCommit(ctx context.Context, tx driver.Tx) error {
	began := time.Now()
	err := tx.Commit()
	o.tell(ctx, "commit", began, err)
	return err
}

// TxRollback implements sqlmw.Interceptor.
func (o sqliteObserver) TxRollback(ctx context.Context, tx driver.Tx) error {
	began := time.Now()
	err := tx.Rollback()
	o.tell(ctx, "rollback", began, err)
	return err
}
