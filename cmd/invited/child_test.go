package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/ngrok/sqlmw"

	"invited/internal/storetest"
)

// killVariable has this test binary be the program, and kill itself as if by kill -9 where it says:
//
//	write:3     at the third step of transactions that write: on SQLite before a statement, commits counted; on PostgreSQL
//	            before a message, or once one of its statements is answered
//	answer:1    after the first commit of one, before anybody hears of it
//	arg:OK      before the first statement with that argument
const killVariable = "INVITED_TEST_KILL"

// dying is a site whose program kills itself.
func (s *site) dying(where string) *site {
	other := s.with(killVariable + "=" + where)
	other.binary = os.Args[0]
	return other
}

// child is the program, with a driver that kills it.
func child(where string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	environ := slices.DeleteFunc(os.Environ(), func(each string) bool { return strings.HasPrefix(each, killVariable+"=") })
	p := process{environ: environ, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	kind, what, _ := strings.Cut(where, ":")
	k := &killer{kind: kind, what: what}
	k.count, _ = strconv.ParseInt(what, 10, 64) // stays 0 for an arg
	p.database.Driver = func(engine driver.Connector) driver.Connector {
		return storetest.Intercepted(engine, sqliteKiller{killer: k})
	}
	p.database.Tracer = postgresKiller{k}
	return p.run(ctx, os.Args[1:])
}

// killer ends its own process at a statement. It takes all statements for those of one transaction: the process that it
// is in does one thing at a time.
type killer struct {
	kind, what string
	count      int64
	seen       atomic.Int64
	writing    atomic.Bool // a transaction that writes has begun
}

func (k *killer) die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it arrives
}

// passes dies where it is time to.
func (k *killer) passes(kind string) {
	if k.kind == kind && k.seen.Add(1) == k.count {
		k.die()
	}
}

// given dies where a statement has the argument.
func (k *killer) given(args []any) {
	for _, each := range args {
		if k.kind == "arg" && fmt.Sprint(each) == k.what {
			k.die()
		}
	}
}

// step is one of a transaction that writes, if there is one.
func (k *killer) step() {
	if k.writing.Load() {
		k.passes("write")
	}
}

type sqliteKiller struct {
	sqlmw.NullInterceptor
	*killer
}

func (k sqliteKiller) statement(args []driver.NamedValue) {
	values := make([]any, len(args))
	for i, each := range args {
		values[i] = each.Value
	}
	k.given(values)
	k.step()
}

func (k sqliteKiller) ConnBeginTx(
	ctx context.Context, c driver.ConnBeginTx, o driver.TxOptions,
) (context.Context, driver.Tx, error) {
	if !o.ReadOnly {
		k.writing.Store(true)
	}
	return k.NullInterceptor.ConnBeginTx(ctx, c, o)
}

func (k sqliteKiller) ConnExecContext(
	ctx context.Context, c driver.ExecerContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	k.statement(args)
	return k.NullInterceptor.ConnExecContext(ctx, c, query, args)
}

func (k sqliteKiller) ConnQueryContext(
	ctx context.Context, c driver.QueryerContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	k.statement(args)
	return k.NullInterceptor.ConnQueryContext(ctx, c, query, args)
}

func (k sqliteKiller) StmtExecContext(
	ctx context.Context, s driver.StmtExecContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	k.statement(args)
	return k.NullInterceptor.StmtExecContext(ctx, s, query, args)
}

func (k sqliteKiller) StmtQueryContext(
	ctx context.Context, s driver.StmtQueryContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	k.statement(args)
	return k.NullInterceptor.StmtQueryContext(ctx, s, query, args)
}

func (k sqliteKiller) TxCommit(ctx context.Context, tx driver.Tx) error {
	if !k.writing.Swap(false) {
		return k.NullInterceptor.TxCommit(ctx, tx)
	}
	k.passes("write")
	err := k.NullInterceptor.TxCommit(ctx, tx)
	k.passes("answer")
	return err
}

func (k sqliteKiller) TxRollback(ctx context.Context, tx driver.Tx) error {
	k.writing.Store(false)
	return k.NullInterceptor.TxRollback(ctx, tx)
}

type postgresKiller struct{ *killer }

func (k postgresKiller) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	k.given(data.Args)
	if strings.HasPrefix(data.SQL, "begin") {
		k.writing.Store(!strings.Contains(data.SQL, "read only"))
	} else {
		k.step()
	}
	return ctx
}

func (k postgresKiller) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	k.ended(data.CommandTag.String())
}

func (k postgresKiller) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, each := range data.Batch.QueuedQueries {
		k.given(each.Arguments)
		if !strings.HasPrefix(each.SQL, "SELECT") {
			k.writing.Store(true)
		}
	}
	k.step()
	return ctx
}

func (k postgresKiller) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	k.step()
	k.ended(data.CommandTag.String())
}

// A batch without BEGIN is a transaction by itself.
func (k postgresKiller) TraceBatchEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	if data.Err == nil && conn.PgConn().TxStatus() == 'I' && k.writing.Load() {
		k.ended("COMMIT")
	}
}

func (k postgresKiller) ended(tag string) {
	switch tag {
	case "COMMIT":
		if k.writing.Swap(false) {
			k.passes("answer")
		}
	case "ROLLBACK":
		k.writing.Store(false)
	}
}
