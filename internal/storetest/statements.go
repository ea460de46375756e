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

// Statements keeps the texts of the statements that a database is given, without those that begin and end transactions.
// It is safe for use by any number of goroutines.
type Statements struct {
	sqlmw.NullInterceptor
	mu       sync.Mutex
	texts    []string
	messages int
}

// Open is Open for a database whose statements s keeps. PostgreSQL's are kept at its driver, which not all go through
// database/sql to reach.
func (s *Statements) Open(t *testing.T, address string, o database.Options) *store.Store {
	t.Helper()
	o.Driver, o.Tracer = s.wrap, tracer{s} // each engine has one
	return open(t, address, o)
}

// Take returns what was kept since the last time.
func (s *Statements) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.texts
	s.texts, s.messages = nil, 0
	return taken
}

// Messages is how many messages PostgreSQL was sent since Take, each of which is a round trip; those that begin and end
// transactions are among them.
func (s *Statements) Messages() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

func (s *Statements) sent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages++
}

func (s *Statements) keep(text string) {
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

// TraceBatchStart implements pgx.BatchTracer.
func (t tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	t.sent()
	for _, each := range data.Batch.QueuedQueries {
		t.keep(each.SQL)
	}
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceQueryStart implements pgx.QueryTracer.
func (t tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !strings.HasPrefix(data.SQL, "SET ") { // a new connection
		t.sent()
		t.keep(data.SQL)
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *Statements) wrap(engine driver.Connector) driver.Connector { return Intercepted(engine, s) }

// Intercepted is a driver whose calls pass i, as database.Options.Driver takes it.
func Intercepted(engine driver.Connector, i sqlmw.Interceptor) driver.Connector {
	wrapped, err := sqlmw.Driver(only{engine}, i).(driver.DriverContext).OpenConnector("")
	if err != nil {
		panic(err) // only returns none
	}
	return wrapped
}

// only is a driver for the one database of a connector.
type only struct{ connector driver.Connector }

func (o only) Open(string) (driver.Conn, error)               { return o.connector.Connect(context.Background()) }
func (o only) OpenConnector(string) (driver.Connector, error) { return o.connector, nil }

// ConnQueryContext keeps a statement, unless it has to be prepared first.
func (s *Statements) ConnQueryContext(
	ctx context.Context, conn driver.QueryerContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	ctx, found, err := s.NullInterceptor.ConnQueryContext(ctx, conn, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		s.keep(query)
	}
	return ctx, found, err
}

// ConnExecContext keeps a statement, unless it has to be prepared first.
func (s *Statements) ConnExecContext(
	ctx context.Context, conn driver.ExecerContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	result, err := s.NullInterceptor.ConnExecContext(ctx, conn, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		s.keep(query)
	}
	return result, err
}

// StmtQueryContext keeps a statement.
func (s *Statements) StmtQueryContext(
	ctx context.Context, statement driver.StmtQueryContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	s.keep(query)
	return s.NullInterceptor.StmtQueryContext(ctx, statement, query, args)
}

// StmtExecContext keeps a statement.
func (s *Statements) StmtExecContext(
	ctx context.Context, statement driver.StmtExecContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	s.keep(query)
	return s.NullInterceptor.StmtExecContext(ctx, statement, query, args)
}
