// Command testrun runs a "go test" command and reports its progress:
//
//	go run ./internal/tools/testrun go test ./...
//
// It prints go test's own line for each package as soon as the package ends (plain "go test" keeps a line back until
// all packages before it have ended), the output of tests that failed, and every 20 seconds without a line what is still
// running. With -v it prints everything. The last line counts the tests, subtests among them. It exits as go test does.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

const quietTime = 20 * time.Second

func main() {
	if len(os.Args) < 3 || os.Args[2] != "test" {
		fmt.Fprintln(os.Stderr, "usage: testrun go test [ARGUMENT...]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1], os.Args[3:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		code = 1
	}
	os.Exit(code)
}

// run returns the exit code of go test. Args are those after "test".
func run(ctx context.Context, goCommand string, args []string, out io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, goCommand, append([]string{"test", "-json"}, args...)...)
	// go test does not pass a signal on to the test binaries: they are in a process group, which gets the signal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}

	p := newProgress(out, slices.Contains(args, "-v"), time.Now())
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, 1<<24) // one line is one line of a test's output
		for scanner.Scan() {
			lines <- slices.Clone(scanner.Bytes())
		}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for open := true; open; {
		var line []byte
		select {
		case line, open = <-lines:
			if open {
				p.line(line, time.Now())
			}
		case now := <-tick.C:
			p.heartbeat(now)
		}
	}
	err = cmd.Wait()
	p.summary(time.Now())
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	return 0, err
}
