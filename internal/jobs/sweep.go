package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// maxBarrierWait is how long a notice waits for a sweep of its process before it is sent all the same.
const maxBarrierWait = 20 * time.Second

// sweepBarrier holds notices back while a sweep runs. To send the notices of a sweep while it runs would make both take
// twice as long, and requests to the server wait. A process runs one sweep at a time.
type sweepBarrier struct {
	running atomic.Pointer[chan struct{}] // closed when the sweep ends; nil: no sweep runs
}

// wait returns when no sweep runs, when ctx ends, or after maxBarrierWait.
func (b *sweepBarrier) wait(ctx context.Context) {
	running := b.running.Load()
	if running == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxBarrierWait)
	defer cancel()
	select {
	case <-*running:
	case <-ctx.Done():
	}
}

// sweep does the work that time and changes of the directory have made due.
func (w *Workers) sweep(ctx context.Context) error {
	running := make(chan struct{})
	w.barrier.running.Store(&running)
	defer func() {
		w.barrier.running.Store(nil)
		close(running)
	}()
	return errors.Join(w.config.Service.Sweep(ctx), w.config.Joining.Sweep(ctx), w.config.Lifecycle.Sweep(ctx),
		w.config.Identity.Sweep(ctx), w.config.Idempotency.Sweep(ctx), w.config.Bulk.Sweep(ctx))
}
