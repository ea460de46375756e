package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"invited/internal/api"
)

// Limits of one connection. A request that reached its own deadline, api.RequestTimeout, must still get its response, so
// writeTimeout is longer. The timeout counts from the end of the request's header.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = readTimeout + api.RequestTimeout + 5*time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// answerAll lets each request that arrived whole run to its end. net/http cancels a request whose client has closed its side of
// the connection, and such a client may still read. A client that has left looks the same to net/http, so that its requests run
// on too, until api.RequestTimeout at most.
func answerAll(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
	})
}

// newHTTPServer returns an HTTP server in which every wait for a client has a timeout.
func newHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
