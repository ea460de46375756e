// Command withserver runs another command once for each database engine, beside a server of its own:
//
//	go run ./internal/tools/sdk/withserver -postgres URL -- COMMAND [ARGUMENT...]
//
// Environment variables that begin with INVITED_TEST_ give the command the server's URL, tokens and records.
// withserver exits with 0 where every run of the command did.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"invited/internal/tools/sdk/live"
)

func main() {
	binary := flag.String("invited", "build/invited", "the server's `program`")
	postgres := flag.String("postgres", "", "`URL` of a PostgreSQL server where databases may be created")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: withserver -postgres URL -- COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *postgres, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "withserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, postgres string, args []string) (err error) {
	databases, err := live.Databases(ctx, postgres)
	if err != nil {
		return err
	}
	for _, db := range databases {
		err = errors.Join(err, runOn(ctx, binary, db, args), db.Drop())
	}
	return err
}

// runOn runs the command with a server on one database.
func runOn(ctx context.Context, binary string, db live.Database, args []string) (err error) {
	server, err := live.Start(ctx, binary, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	fmt.Fprintln(os.Stdout, "On", db.Name)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), server.Environ()...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("on %s: %s: %w", db.Name, args[0], err)
	}
	return nil
}
