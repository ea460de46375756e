package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// errorLog logs every job that failed, once, with what it was about.
type errorLog struct{ logger *slog.Logger }

func (l errorLog) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	var logged told
	if !errors.As(err, &logged) { // those, post.log has
		l.logger.ErrorContext(ctx, "job failed", "kind", job.Kind, "args", string(job.EncodedArgs),
			"attempt", job.Attempt, "error", err)
	}
	return nil
}

func (l errorLog) HandlePanic(
	ctx context.Context, job *rivertype.JobRow, value any, trace string,
) *river.ErrorHandlerResult {
	l.logger.ErrorContext(ctx, "job panicked", "kind", job.Kind, "args", string(job.EncodedArgs),
		"attempt", job.Attempt, "panic", fmt.Sprint(value), "trace", trace)
	return nil
}

// quiet passes on the queue's own warnings and errors: its news of the ordinary course of things is noise.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// Handle drops what the queue says of its own stopping.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	stopping := false
	r.Attrs(func(a slog.Attr) bool {
		stopping = stopping || strings.Contains(a.Value.String(), context.Canceled.Error())
		return !stopping
	})
	if stopping {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
