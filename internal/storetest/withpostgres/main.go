// Command withpostgres runs another command with a PostgreSQL server to test
// against:
//
//	go run ./internal/storetest/withpostgres -- go test ./...
//
// Where INVITED_TEST_POSTGRES_URL is set, it only runs the command. Else it
// starts a throw-away server from the installed PostgreSQL, sets the variable for
// the command, and removes the server afterwards. Where no PostgreSQL is
// installed, it installs one, if it has the right to. It exits with the code of
// the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"invited/internal/storetest/postgres"
)

const urlVariable = "INVITED_TEST_POSTGRES_URL"

func main() {
	// The death signal of a child process is tied to the thread that started it.
	runtime.LockOSThread()

	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		report("usage: withpostgres -- COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	os.Exit(run(args, os.Getenv(urlVariable)))
}

func report(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "withpostgres: "+format+"\n", args...)
}

// run returns the exit code. It handles signals from the start, so that an early
// signal still removes the server's folder.
func run(args []string, url string) int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	terminateAtParentsDeath()

	if url == "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		bin, err := postgres.Ensure(ctx, report)
		if errors.Is(err, postgres.ErrNone) {
			err = fmt.Errorf("%w, or set %s", err, urlVariable)
		}
		if err != nil {
			report("%v", err)
			return 1
		}
		server, err := postgres.New(ctx, bin)
		if err != nil {
			report("%v", err)
			return 1
		}
		defer func() {
			if err := server.Remove(); err != nil {
				report("%v", err)
			}
		}()
		url = server.URL
	}
	return command(args, url, signals)
}

func command(args []string, url string, signals <-chan os.Signal) int {
	// A CommandContext would kill the command: it receives our signals, and ends by itself.
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // see above
	cmd.Env = append(os.Environ(), urlVariable+"="+url)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signalAtOurDeath(cmd, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		report("%v", err)
		return 127
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // fails only where the command has just ended
		case err := <-done:
			return exitCode(err)
		}
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		report("%v", err)
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()) // as a shell does
	}
	return exit.ExitCode()
}
