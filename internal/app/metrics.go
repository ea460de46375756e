package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"invited/internal/metrics"
)

// listenForMetrics makes the listener of INVITED_METRICS_ADDR, where it is set.
func (a *App) listenForMetrics(ctx context.Context) (err error) {
	if a.config.MetricsAddr == "" {
		return nil
	}
	if a.metricsListener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", a.config.MetricsAddr); err != nil {
		return fmt.Errorf("can't listen on INVITED_METRICS_ADDR: %w", err)
	}
	return nil
}

// serveMetrics answers GET /metrics at INVITED_METRICS_ADDR until the App is released.
func (a *App) serveMetrics(ctx context.Context) {
	if a.metricsListener == nil {
		return
	}
	a.metrics.WatchDatabase(func(ctx context.Context) (found metrics.Samples, err error) {
		found.Pools = map[string]metrics.Pool{}
		for name, use := range a.db.PoolUses() {
			found.Pools[name] = metrics.Pool(use)
		}
		if use, ok := a.db.StandbyUse(); ok {
			found.Standby = map[string]int64{"answered": use.Answered, "behind": use.Behind, "failed": use.Failed}
		}
		jobs, err := a.db.QueuedJobs(ctx)
		for _, each := range jobs {
			found.Jobs = append(found.Jobs, metrics.Jobs(each))
		}
		if err == nil {
			found.Invitations, err = a.db.InvitationsByState(ctx)
		}
		if err == nil {
			var since time.Time
			since, err = a.db.HeldSince(ctx)
			found.Held = !since.IsZero()
		}
		if err == nil {
			found.LastSweep, err = a.db.LastSweep(ctx)
		}
		return found, err
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler(a.logger))
	a.metricsServer = newHTTPServer(mux, a.logger)
	go func() {
		if err := a.metricsServer.Serve(a.metricsListener); !errors.Is(err, http.ErrServerClosed) {
			a.logger.ErrorContext(ctx, "the metrics are not served any more", "error", err)
		}
	}()
	a.logger.InfoContext(ctx, "serving metrics", "url", "http://"+a.metricsListener.Addr().String()+"/metrics")
}

// closeMetrics ends what listenForMetrics and serveMetrics began.
func (a *App) closeMetrics() {
	if a.metricsServer != nil {
		_ = a.metricsServer.Close()
	}
	if a.metricsListener != nil {
		_ = a.metricsListener.Close()
	}
}
