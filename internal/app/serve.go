package app

import (
	"context"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// gcPercent is the garbage collector's target where GOGC is not set. The server's live heap is small, and at Go's default
// of 100 the collector would take an eighth of all processor time.
const gcPercent = 400

func (p Process) serveCommand() *cobra.Command {
	var migrate, demo bool
	c := command("serve", "Serve the API and do the background work",
		`Serves the API, and does the background work unless INVITED_WORKERS=false. Migrates the database first unless
--migrate=false. On SIGTERM or SIGINT, /readyz fails while the server still serves for INVITED_SHUTDOWN_DELAY, which a
second signal cuts short. Then the server finishes the requests and jobs that are running, and ends.`,
		func(ctx context.Context) error {
			c, err := p.loadConfig()
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(p.Environ, func(variable string) bool { return strings.HasPrefix(variable, "GOGC=") }) {
				debug.SetGCPercent(gcPercent)
			}
			a := New(c, Options{Logger: newLogger(c, p.Stderr), Migrate: migrate, Database: p.Database})
			if demo {
				a.demo = &demonstration{output: p.Stdout}
			}
			return explainUnusable(c, a.Run(ctx))
		})
	c.Flags().BoolVar(&migrate, "migrate", true, "migrate the database before serving")
	c.Flags().BoolVar(&demo, "demo", false, "load a demo directory, and print requests to try with it")
	return c
}
