package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/ngrok/sqlmw"

	"invited/internal/database"
	"invited/internal/store"
)

// Statements records the SQL texts that a database receives, except those that begin and end transactions and savepoints.
// It is safe for concurrent use.
type Statements struct {
	sqlmw.NullInterceptor
	mu    sync.Mutex
	texts []string
}

// Open opens the database at a URL until the test ends, and records its statements in s.
func (s *Statements) Open(t *testing.T, address string, o database.Options) *store.Store {
	t.Helper()
	o.Driver, o.Tracer = s.wrap, tracer{s} // SQLite uses Driver, PostgreSQL uses Tracer
	return open(t, address, o)
}

// Take returns the statements since the last Take.
func (s *Statements) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.texts
	s.texts = nil
	return taken
}

func (s *Statements) record(text string) {
	verb, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), " ")
	switch verb {
	case "begin", "commit", "rollback", "savepoint", "release":
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text)
}

type tracer struct{ *Statements }

// TraceQueryStart implements pgx.QueryTracer.
func (t tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !strings.HasPrefix(data.SQL, "SET ") { // part of connecting, and not of a request
		t.record(data.SQL)
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *Statements) wrap(engine driver.Connector) driver.Connector { return Intercepted(engine, s) }

// Intercepted returns a connector whose calls pass through i, for database.Options.Driver.
func Intercepted(engine driver.Connector, i sqlmw.Interceptor) driver.Connector {
	wrapped, err := sqlmw.Driver(singleDriver{engine}, i).(driver.DriverContext).OpenConnector("")
	if err != nil {
		panic(err) // singleDriver returns no error
	}
	return wrapped
}

// singleDriver is a driver for the one database of a connector.
type singleDriver struct{ connector driver.Connector }

// Open implements driver.Driver.
func (d singleDriver) Open(string) (driver.Conn, error) {
	return d.connector.Connect(context.Background())
}

// OpenConnector implements driver.DriverContext.
func (d singleDriver) OpenConnector(string) (driver.Connector, error) { return d.connector, nil }

// ConnQueryContext records a query, unless database/sql has to prepare it first.
func (s *Statements) ConnQueryContext(
	ctx context.Context, conn driver.QueryerContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	ctx, found, err := s.NullInterceptor.ConnQueryContext(ctx, conn, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		s.record(query)
	}
	return ctx, found, err
}

// ConnExecContext records a statement, unless database/sql has to prepare it first.
func (s *Statements) ConnExecContext(
	ctx context.Context, conn driver.ExecerContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	result, err := s.NullInterceptor.ConnExecContext(ctx, conn, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		s.record(query)
	}
	return result, err
}

// StmtQueryContext records a prepared query.
func (s *Statements) StmtQueryContext(
	ctx context.Context, statement driver.StmtQueryContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	s.record(query)
	return s.NullInterceptor.StmtQueryContext(ctx, statement, query, args)
}

// StmtExecContext records a prepared statement.
func (s *Statements) StmtExecContext(
	ctx context.Context, statement driver.StmtExecContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	s.record(query)
	return s.NullInterceptor.StmtExecContext(ctx, statement, query, args)
}
