package jobs

import (
	"context"
	"time"

	"invited/internal/bulk"
)

// bulk does a part of a bulk invitation. The rest waits for its turn, or for another process where this one is stopping.
func (w *Workers) bulk(ctx context.Context, job bulk.Job) jobResult {
	more, err := w.config.Bulk.Run(ctx, job, w.stopping.Load)
	if err == nil && more {
		return jobResult{retryAfter: time.Millisecond}
	}
	return jobResult{err: err}
}
