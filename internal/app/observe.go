package app

import (
	"context"
	"strings"
	"time"

	"invited/internal/config"
	"invited/internal/database"
	"invited/internal/invitation"
	"invited/internal/tracing"
)

// observeRequest counts a request that is answered, and names its span.
func (a *App) observeRequest(ctx context.Context, operation string, status int, took time.Duration) {
	a.metrics.Request(operation, status, took)
	tracing.Answered(ctx, operation, invitation.RequestID(ctx), status)
}

// observedDatabase returns the options of the database. Statements are observed where somebody reads the metrics or the traces.
func (a *App) observedDatabase() database.Options {
	options := a.options.Database
	if a.config.MetricsAddr == "" && a.options.Tracer == nil {
		return options
	}
	system := "sqlite"
	if a.config.Database.Engine == config.Postgres {
		system = "postgresql"
	}
	options.Observe = func(ctx context.Context, s database.Statement) {
		a.metrics.Statement(s.Pool, s.Operation, s.Took)
		if !tracing.IsRecording(ctx) {
			return
		}
		table := s.Table()
		tracing.Record(ctx, strings.TrimSpace(strings.ToUpper(s.Operation)+" "+table), s.Began, s.Took, s.Failure,
			"db.system.name", system, "db.operation.name", strings.ToUpper(s.Operation), "db.collection.name", table,
			"db.client.connection.pool.name", s.Pool)
	}
	return options
}
