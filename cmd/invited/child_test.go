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

	"github.com/ngrok/sqlmw"

	"invited/internal/storetest"
)

// killVariable has this test binary be the program, and kill itself as if by kill -9 where it says:
//
//	write:3     before the third statement within transactions that write, commits counted
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
	p.driver = func(engine driver.Connector) driver.Connector {
		kind, what, _ := strings.Cut(where, ":")
		k := &killer{kind: kind, what: what}
		k.count, _ = strconv.ParseInt(what, 10, 64) // stays 0 for an arg
		return storetest.Intercepted(engine, k)
	}
	return p.run(ctx, os.Args[1:])
}

// killer ends its own process at a statement. It takes all statements for those of one transaction: the process that it
// is in does one thing at a time.
type killer struct {
	sqlmw.NullInterceptor
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

func (k *killer) statement(args []driver.NamedValue) {
	for _, each := range args {
		if k.kind == "arg" && fmt.Sprint(each.Value) == k.what {
			k.die()
		}
	}
	if k.writing.Load() {
		k.passes("write")
	}
}

func (k *killer) ConnBeginTx(
	ctx context.Context, c driver.ConnBeginTx, o driver.TxOptions,
) (context.Context, driver.Tx, error) {
	if !o.ReadOnly {
		k.writing.Store(true)
	}
	return k.NullInterceptor.ConnBeginTx(ctx, c, o)
}

func (k *killer) ConnExecContext(
	ctx context.Context, c driver.ExecerContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	k.statement(args)
	return k.NullInterceptor.ConnExecContext(ctx, c, query, args)
}

func (k *killer) ConnQueryContext(
	ctx context.Context, c driver.QueryerContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	k.statement(args)
	return k.NullInterceptor.ConnQueryContext(ctx, c, query, args)
}

func (k *killer) StmtExecContext(
	ctx context.Context, s driver.StmtExecContext, query string, args []driver.NamedValue,
) (driver.Result, error) {
	k.statement(args)
	return k.NullInterceptor.StmtExecContext(ctx, s, query, args)
}

func (k *killer) StmtQueryContext(
	ctx context.Context, s driver.StmtQueryContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	k.statement(args)
	return k.NullInterceptor.StmtQueryContext(ctx, s, query, args)
}

func (k *killer) TxCommit(ctx context.Context, tx driver.Tx) error {
	if !k.writing.Swap(false) {
		return k.NullInterceptor.TxCommit(ctx, tx)
	}
	k.passes("write")
	err := k.NullInterceptor.TxCommit(ctx, tx)
	k.passes("answer")
	return err
}

func (k *killer) TxRollback(ctx context.Context, tx driver.Tx) error {
	k.writing.Store(false)
	return k.NullInterceptor.TxRollback(ctx, tx)
}
