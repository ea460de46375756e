package systemtest

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
	"github.com/stretchr/testify/require"

	"invited/internal/app"
	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// killVariable makes this test binary behave as the program, and end itself by SIGKILL at the point that the value names:
//
//	write:3     before the third statement of transactions that write, commits counted
//	answer:1    after the first commit of such a transaction, before the program learns of it
//	arg:OK      before the first statement with that argument
const killVariable = "INVITED_TEST_KILL"

// withKiller returns a copy of an Env whose program ends itself at a point, as killVariable has it.
func withKiller(env *harness.Env, point string) *harness.Env {
	env.T.Helper()
	program, err := os.Executable()
	require.NoError(env.T, err)
	copied := env.With(killVariable + "=" + point)
	copied.Program = program
	return copied
}

// runWithKiller runs the program with a database driver that kills the process at a point.
func runWithKiller(point string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	environ := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, killVariable+"=") })
	p := app.Process{Environ: environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	kind, value, _ := strings.Cut(point, ":")
	k := &killer{kind: kind, value: value}
	k.count, _ = strconv.ParseInt(value, 10, 64) // stays 0 for an arg
	p.Database.Driver = func(engine driver.Connector) driver.Connector {
		return storetest.Intercepted(engine, sqliteKiller{killer: k})
	}
	p.Database.Tracer = postgresKiller{k}
	return p.Run(ctx, os.Args[1:])
}

// killer ends its own process at a point. It takes all statements for statements of one transaction: the process under test
// does one thing at a time.
type killer struct {
	kind, value string // of the point
	count       int64
	seen        atomic.Int64
	writing     atomic.Bool // a transaction that writes has begun
}

func (k *killer) kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal arrives
}

// reach counts a point of a kind, and kills where the count is reached.
func (k *killer) reach(kind string) {
	if k.kind == kind && k.seen.Add(1) == k.count {
		k.kill()
	}
}

// checkArgs kills where a statement has the argument.
func (k *killer) checkArgs(args []any) {
	for _, arg := range args {
		if k.kind == "arg" && fmt.Sprint(arg) == k.value {
			k.kill()
		}
	}
}

// step counts a step of a transaction that writes.
func (k *killer) step() {
	if k.writing.Load() {
		k.reach("write")
	}
}

// sqliteKiller sees the statements of SQLite.
type sqliteKiller struct {
	sqlmw.NullInterceptor
	*killer
}

func (k sqliteKiller) statement(args []driver.NamedValue) {
	values := make([]any, len(args))
	for i, arg := range args {
		values[i] = arg.Value
	}
	k.checkArgs(values)
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
	k.reach("write")
	err := k.NullInterceptor.TxCommit(ctx, tx)
	k.reach("answer")
	return err
}

func (k sqliteKiller) TxRollback(ctx context.Context, tx driver.Tx) error {
	k.writing.Store(false)
	return k.NullInterceptor.TxRollback(ctx, tx)
}

// postgresKiller sees the statements of PostgreSQL.
type postgresKiller struct{ *killer }

func (k postgresKiller) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	k.checkArgs(data.Args)
	if strings.HasPrefix(data.SQL, "begin") {
		k.writing.Store(!strings.Contains(data.SQL, "read only"))
	} else {
		k.step()
	}
	return ctx
}

func (k postgresKiller) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	switch data.CommandTag.String() {
	case "COMMIT":
		if k.writing.Swap(false) {
			k.reach("answer")
		}
	case "ROLLBACK":
		k.writing.Store(false)
	}
}
