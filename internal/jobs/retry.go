package jobs

import (
	"context"
	"math/rand/v2"
	"time"
)

// The delay before a failed job is tried again starts at firstRetryDelay and doubles with each attempt.
const (
	firstRetryDelay = 10 * time.Second
	maxRetryDelay   = time.Hour
)

// retryDelay returns the delay after an attempt that failed, counted from 1.
func retryDelay(attempt int) time.Duration {
	doublings := max(0, attempt-1)
	if doublings >= 16 { // far above maxRetryDelay; a larger shift would overflow
		return maxRetryDelay
	}
	return min(maxRetryDelay, firstRetryDelay<<doublings)
}

// jitter adds up to a fifth to d, so that jobs that failed together are not tried again together.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/5) //nolint:gosec // spreads load; nothing secret
}

// tryTimeout bounds each of the tries of retryUntilDone: a connection to a server that hangs must not take all their time. A try
// that is given up may have been committed, and what it recorded is then recorded twice: a slow commit needs time.
const tryTimeout = 10 * time.Second

// retryUntilDone calls f until it succeeds, for recordTimeout at most, and returns the last error. It goes on while the
// process is stopping: f records something that has happened, and what is not recorded happens again. A database that
// restarts, or whose standby takes over, is back within recordTimeout.
func retryUntilDone(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	for {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err := f(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(recordTimeout / 100):
		}
	}
}
