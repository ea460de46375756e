// Command invited is the invitation server and the tools to run it. See `invited --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // to silence it
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"invited/internal/config"
	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/store"
)

func main() {
	// What libraries say there is no news, and may quote what others sent.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := process{environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// Exit codes, besides 0.
const (
	exitFailed = 1
	exitUsage  = 2
)

// process is what a command is given of the process that it runs in.
type process struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	// database are the options of the database, but for its address.
	database database.Options
}

// run runs one command and returns its exit code. It ends early, in good order, when ctx does.
func (p process) run(ctx context.Context, args []string) int {
	root := group("invited", "Invite people into organizations, projects and other scopes with a role",
		p.serve(), p.migrate(), p.directory(), p.token(), p.mail(), p.openapi(), p.version())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)

	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(p.stderr, "invited: %s\nTry `invited --help`.\n", err)
		return exitUsage
	default:
		for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
			fmt.Fprintln(p.stderr, "invited: "+line)
		}
		return exitFailed
	}
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if c.HasParent() {
				return usageError{fmt.Errorf("%q needs a command after it", c.CommandPath())}
			}
			return c.Help()
		},
	}
	c.AddCommand(commands...)
	return c
}

// leaf is a command that takes no arguments but flags.
func leaf(use, short, long string, f func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%q takes no arguments, but was given %q", c.CommandPath(), args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return f(c.Context()) },
	}
}

// config reads the environment and warns of variables that mean nothing.
func (p process) config() (config.Config, error) {
	c, err := config.Load(p.environ)
	for _, each := range c.Unknown {
		fmt.Fprintf(p.stderr, "invited: warning: %s is no variable of this program\n", each)
	}
	return c, err
}

// open opens the database of a configuration.
func (p process) open(c config.Config) (*store.Store, error) {
	options := p.database
	if c.Database.Engine == config.Postgres {
		options.Postgres = c.Database.DSN.Reveal()
	} else {
		options.SQLite = c.Database.Path
	}
	return store.Open(options)
}

// withDatabase runs f on the configured database.
func (p process) withDatabase(f func(*store.Store) error) error {
	c, err := p.config()
	if err != nil {
		return err
	}
	db, err := p.open(c)
	if err != nil {
		return err
	}
	return errors.Join(explained(c, f(db)), db.Close())
}

// withDirectory runs f on the configured database, whose schema must be current.
func (p process) withDirectory(ctx context.Context, f func(directory.FileStore) error) error {
	return p.withDatabase(func(db *store.Store) error {
		if err := current(ctx, db); err != nil {
			return err
		}
		return f(db.Directory())
	})
}

// current returns an error that says what to do where the schema is not the one that this program needs.
func current(ctx context.Context, db *store.Store) error {
	ok, err := db.Current(ctx)
	if err == nil && !ok {
		err = errors.New("the database's schema is not current: run `invited migrate up`")
	}
	return err
}

// explained says, in one line, which database could not be used and why: drivers list every attempt, and the last
// line tells.
func explained(c config.Config, err error) error {
	if !errors.Is(err, database.ErrUnavailable) {
		return err
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return fmt.Errorf("the database %s can't be used: %s", c.Database, strings.TrimSpace(lines[len(lines)-1]))
}
