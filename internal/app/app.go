package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"invited/internal/api"
	"invited/internal/config"
	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/metrics"
	"invited/internal/signin"
	"invited/internal/store"
	"invited/internal/tracing"
)

// App is the program while it serves: an HTTP server, the background workers unless the configuration turns them off, and
// the database that both use. Use New, then either Run, or Start and Close.
type App struct {
	config  config.Config
	options Options
	logger  *slog.Logger
	demo    *demonstration // nil without --demo

	listener      net.Listener
	db            *store.Store
	tokenUses     *directory.TokenUses
	stopSaving    func()            // ends what startSaving began
	providers     *signin.Providers // nil where people sign in with no issuer
	stopProviders func()            // ends what startProviders began
	workers       *jobs.Workers     // nil where another process does the background work
	httpServer    *http.Server      // nil until Start has succeeded
	serveError    chan error        // gets what httpServer.Serve returned
	shuttingDown  atomic.Bool

	metrics         *metrics.Metrics
	metricsListener net.Listener // nil without INVITED_METRICS_ADDR
	metricsServer   *http.Server // nil likewise, and until the App serves
}

// Options are the parts of an App that the environment does not configure.
type Options struct {
	Logger   *slog.Logger
	Migrate  bool             // migrate the database before serving
	Database database.Options // without an address, which the configuration has
	Tracer   *tracing.Tracer  // nil: no traces
	// SaveTokenUses is the time between two writes of which tokens were used; 0: a minute.
	SaveTokenUses time.Duration
}

// New returns an App that is not started.
func New(c config.Config, o Options) *App {
	if o.SaveTokenUses == 0 {
		o.SaveTokenUses = time.Minute
	}
	return &App{config: c, options: o, logger: o.Logger, serveError: make(chan error, 1), metrics: metrics.New(version, commit)}
}

// Start listens, opens the database, migrates it where Options.Migrate says so, and returns when the App serves. An App
// whose Start returned an error holds nothing and needs no Close.
func (a *App) Start(ctx context.Context) (err error) {
	if a.demo != nil {
		if err := a.demo.adjust(&a.config); err != nil {
			return err
		}
	}
	// What can fail without the database fails before anything is written to the database.
	a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", a.config.ListenAddr)
	if err != nil {
		return fmt.Errorf("can't listen on INVITED_LISTEN_ADDR: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.release())
		}
	}()
	if err := a.listenForMetrics(ctx); err != nil {
		return err
	}
	a.config = a.config.Bound(a.listener.Addr()) // the port may have been 0
	if a.db, err = openDatabase(a.config, a.observedDatabase()); err != nil {
		return err
	}
	a.tokenUses = directory.NewTokenUses(a.db.FileStore())
	service, err := a.newService()
	if err != nil {
		return err
	}
	handler, err := a.newHandler(service)
	if err != nil {
		return err
	}
	if a.config.Workers {
		if a.workers, err = a.newWorkers(service); err != nil {
			return err
		}
	}
	if err := a.prepareDatabase(ctx, service); err != nil {
		return err
	}
	if a.workers != nil {
		if err := a.workers.Start(ctx); err != nil {
			return err
		}
	}
	a.serveMetrics(ctx)
	a.startProviders()
	a.httpServer = newHTTPServer(a.closeConnections(answerAll(a.options.Tracer.Handler(handler))), a.logger)
	go func() { a.serveError <- a.httpServer.Serve(contractListener{a.listener}) }()
	a.startSaving()
	a.logger.InfoContext(ctx, "serving", "version", version, "url", a.config.PublicURL.String(),
		"address", a.Addr().String(), "database", a.config.Database.String(), "workers", a.config.Workers)
	a.logProfile(ctx)
	if held := a.heldTrouble(ctx); held != "" {
		a.logger.WarnContext(ctx, "deliveries are held", "problem", held.Error())
	}
	if a.demo == nil {
		for _, line := range startWarnings(a.config) {
			a.logger.WarnContext(ctx, "the set-up is half done", "problem", line)
		}
	}
	if a.demo != nil {
		a.demo.printRequests(a.config)
	}
	return nil
}

// logProfile says which profile the server runs, and what its policies leave open.
func (a *App) logProfile(ctx context.Context) {
	a.logger.InfoContext(ctx, "policies, see INVITED_PROFILE in docs/configuration.md", "profile", a.config.Profile,
		"leaves_open", cmp.Or(strings.Join(a.config.LeavesOpen(), "; "), "nothing"))
}

// prepareDatabase migrates the database where Options.Migrate says so, checks its schema, and loads the demonstration.
func (a *App) prepareDatabase(ctx context.Context, service *invitation.Service) error {
	if a.options.Migrate {
		applied, err := a.db.Migrate(ctx)
		if err != nil {
			return err
		}
		for _, migration := range applied {
			a.logger.InfoContext(ctx, "migrated", "version", migration.Version, "name", migration.Name)
		}
	}
	if err := requireCurrentSchema(ctx, a.db); err != nil {
		return err
	}
	if a.demo != nil {
		return a.demo.load(ctx, a.db, service)
	}
	return nil
}

// Addr returns the address on which a started App listens.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// Run starts the App, serves until ctx ends, and closes the App. It returns the error of Start, of serving, or of Close. Where
// ctx ends while the App starts, nothing is left to do, and Run returns nil.
func (a *App) Run(ctx context.Context) error {
	if err := a.Start(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) { // told to stop while it started, which is no failure
			a.logger.InfoContext(ctx, "stopped while starting")
			return nil
		}
		return err
	}
	var err error
	select {
	case <-ctx.Done():
		a.announceShutdown()
	case err = <-a.serveError:
	}
	return errors.Join(err, a.Close())
}

// Close finishes the requests that are running, then the jobs, each within shutdownTimeout, saves which tokens were used, and
// then closes the database. It returns an error where requests or jobs did not finish in time.
func (a *App) Close() error {
	a.logger.Info("shutting down: finishing requests and jobs")
	err := errors.Join(
		a.finish("requests", a.httpServer.Shutdown),
		a.finish("jobs", func(ctx context.Context) error {
			if a.workers == nil {
				return nil
			}
			return a.workers.Stop(ctx)
		}))
	a.finishSaving()
	return errors.Join(err, a.release())
}

// finish calls stop with a context that ends after shutdownTimeout.
func (a *App) finish(what string, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := stop(ctx); err != nil {
		return fmt.Errorf("ending %s: %w", what, err)
	}
	return nil
}

// release closes the listener and the database. The listener may be closed already, by the HTTP server.
func (a *App) release() error {
	_ = a.listener.Close()
	a.closeMetrics()
	if a.stopProviders != nil {
		a.stopProviders()
	}
	if a.db == nil {
		return nil
	}
	return a.db.Close()
}

// readiness returns the checks of /readyz: for each part of the server its error, or nil where the part works.
func (a *App) readiness(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	checks := map[string]error{"database": a.db.Ping(ctx), "schema": requireCurrentSchema(ctx, a.db)}
	if a.shuttingDown.Load() {
		checks["shutdown"] = errShuttingDown
	}
	if a.workers != nil {
		checks["workers"] = a.workers.Running()
		for part, reason := range a.workers.Troubles() {
			checks[part] = nil
			if reason != "" {
				checks[part] = api.Trouble(reason)
			}
		}
	}
	if held := a.heldTrouble(ctx); held != "" {
		checks["deliveries"] = held
	}
	for issuer, reason := range a.providers.Troubles() {
		checks["sign_in_"+issuer] = nil
		if reason != "" {
			checks["sign_in_"+issuer] = api.Trouble(reason)
		}
	}
	return checks
}

// heldTrouble says that deliveries are held; "" where they are not, or the database can't be asked.
func (a *App) heldTrouble(ctx context.Context) api.Trouble {
	since, err := a.db.HeldSince(ctx)
	if err != nil || since.IsZero() {
		return ""
	}
	return api.Trouble("deliveries are held since " + since.Format(time.RFC3339) + ": nothing is sent until `invited jobs release`")
}
