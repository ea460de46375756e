package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errLeaving is what /readyz has against a server that is about to end.
var errLeaving = errors.New("the server is shutting down")

// leave makes the server say that it is not ready, and returns when whoever sends requests has had the time to find out,
// or with the next signal: who sends two is in a hurry. The kernel makes connections by itself, and resets those that were
// not accepted when the listener is closed, along with the requests that they carry already.
func (s *server) leave() {
	s.leaving.Store(true)
	delay := time.Duration(s.config.ShutdownDelay)
	if delay == 0 {
		return
	}
	s.logger.Info("shutting down: not ready any more, and serving all the same", "for", delay.String())
	hurry, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	select {
	case <-time.After(delay):
	case <-hurry.Done():
	}
}

// lastOne ends each connection with the next answer on it once the server is leaving. Not SetKeepAlivesEnabled(false),
// which cuts off those that are idle, and with them a request that is on its way.
func (s *server) lastOne(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}
