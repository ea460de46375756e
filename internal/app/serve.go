package app

import (
	"context"
	"log/slog"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"invited/internal/tracing"
)

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
			logger := newLogger(c, p.Stderr)
			tracer, err := tracing.Open(ctx, p.Environ, version, logger)
			if err != nil {
				return err
			}
			defer tracer.Close() // after the last request and the last job
			logger = slog.New(tracer.LogHandler(logger.Handler()))
			if limit, err := tuneMemory(p.Environ, memlimit.FromCgroup); err != nil {
				logger.WarnContext(ctx, "no memory limit", "error", err)
			} else if limit > 0 {
				logger.InfoContext(ctx, "memory limit from the cgroup", "bytes", limit)
			}
			a := New(c, Options{Logger: logger, Migrate: migrate, Database: p.Database, Tracer: tracer})
			if demo {
				a.demo = &demonstration{output: p.Stdout}
			}
			return explainUnusable(c, a.Run(ctx))
		})
	c.Flags().BoolVar(&migrate, "migrate", true, "migrate the database before serving")
	c.Flags().BoolVar(&demo, "demo", false, "load a demo directory, and print requests to try with it")
	return c
}
