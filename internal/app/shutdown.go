package app

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// shutdownTimeout limits each part of an orderly shutdown: the requests, then the jobs.
const shutdownTimeout = 30 * time.Second

var errShuttingDown = errors.New("the server is shutting down")

// announceShutdown makes /readyz fail, and returns after INVITED_SHUTDOWN_DELAY, in which load balancers stop sending
// requests, or on a second signal. Closing the listener at once would lose requests: the kernel completes connections by
// itself, and when the listener is closed it resets those that were not accepted yet, with the requests on them.
func (a *App) announceShutdown() {
	a.shuttingDown.Store(true)
	delay := time.Duration(a.config.ShutdownDelay)
	if delay == 0 {
		return
	}
	a.logger.Info("shutting down: not ready, and still serving", "for_ms", delay.Milliseconds())
	secondSignal, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	select {
	case <-time.After(delay):
	case <-secondSignal.Done():
	}
}

// closeConnections ends each connection with the next response on it once the App is shutting down.
// http.Server.SetKeepAlivesEnabled(false) is no substitute: it closes idle connections, and with them a request that is on
// its way.
func (a *App) closeConnections(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.shuttingDown.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}
