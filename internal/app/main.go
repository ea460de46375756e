package app

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
	_ "golang.org/x/crypto/x509roots/fallback" // authorities, for where the system has none, as in an empty container

	"invited/internal/config"
	"invited/internal/database"
)

// Exit codes, besides 0.
const (
	exitFailure = 1
	exitUsage   = 2
)

// Main runs the command that args name, as os.Args has them, with the environment environ, as os.Environ returns it,
// and with the process's standard streams. It returns the exit code: 0 for success, 1 for failure, 2 for wrong usage.
// SIGINT and SIGTERM end the command in order.
func Main(args, environ []string) int {
	// Libraries write to the standard logger. What they write is not news, and it may quote what clients sent.
	log.SetOutput(io.Discard)
	keepOthersOut()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := Process{Environ: environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	return p.Run(ctx, args[1:])
}

// Process holds the inputs and outputs that a command gets from the operating system.
type Process struct {
	Environ        []string // KEY=VALUE, as os.Environ returns them
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Database has the options of the database except its address, which the environment has. Tests set them.
	Database database.Options
}

// Run runs the command that args name, without the program's name, and returns the exit code. Errors are written to
// Stderr. When ctx ends, the command ends in order.
func (p Process) Run(ctx context.Context, args []string) int {
	root := commandGroup("invited", "Invite people into organizations, projects and other scopes with a role",
		p.serveCommand(), p.migrateCommand(), p.directoryCommand(), p.importCommand(), p.tokenCommand(), p.userCommand(), p.personCommand(),
		p.mailCommand(), p.eventsCommand(), p.inviteCommand(), p.jobsCommand(), p.backupCommand(), p.restoreCommand(), p.healthCommand(),
		p.doctorCommand(), p.configCommand(), p.openapiCommand(), p.manCommand(), p.versionCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = versionLine()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetArgs(args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)

	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(p.Stderr, "invited: %s\nTry `invited --help`.\n", err)
		return exitUsage
	default:
		for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
			fmt.Fprintln(p.Stderr, "invited: "+line)
		}
		return exitFailure
	}
}

// usageError marks an error as a wrong command line.
type usageError struct{ error }

// commandGroup returns a command that does nothing but hold other commands.
func commandGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
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

// command returns a command that takes flags and no arguments, and runs f.
func command(use, short, long string, f func(context.Context) error) *cobra.Command {
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

// loadConfig reads the environment and warns about INVITED_ variables that the program does not know.
func (p Process) loadConfig() (config.Config, error) {
	c, err := config.Load(p.Environ)
	for _, name := range c.Unknown {
		fmt.Fprintf(p.Stderr, "invited: warning: %s is no variable of this program\n", name)
	}
	return c, err
}
