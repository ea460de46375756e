package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

const (
	askEvery   = 30 * time.Second // how often the clocks are compared
	askTimeout = 5 * time.Second
	// tolerance is how far apart the clocks may be before the operator is told.
	tolerance = 10 * time.Second
)

// clock is the database's. The queue goes by the machine's where it decides when to try again, what is due and whose
// job is stuck; of processes whose machines disagree by minutes one would take up jobs that another still does, and
// the same mail would go out twice.
type clock struct {
	ask   func(context.Context) (time.Time, error)
	ahead atomic.Int64 // of the machine's clock before the database's, nanoseconds
	end   context.CancelFunc
	done  sync.WaitGroup
}

// start compares the clocks, now and from time to time. An error means that the database can't be asked.
func (c *clock) start(ctx context.Context) error {
	if err := c.compare(ctx); err != nil {
		return err
	}
	ctx, c.end = context.WithCancel(context.WithoutCancel(ctx))
	c.done.Go(func() {
		for tick := time.NewTicker(askEvery); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				_ = c.compare(ctx) // what was found last is the best there is
			}
		}
	})
	return nil
}

func (c *clock) stop() {
	if c.end != nil {
		c.end()
		c.done.Wait()
	}
}

func (c *clock) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	asked := time.Now()
	told, err := c.ask(ctx)
	if err != nil {
		return err
	}
	c.ahead.Store(int64(asked.Add(time.Since(asked) / 2).Sub(told)))
	return nil
}

// NowUTC is the database's time.
func (c *clock) NowUTC() time.Time { return time.Now().Add(-time.Duration(c.ahead.Load())).UTC() }

// sleep is how long the queue has to be told to wait, which adds that to the machine's time.
func (c *clock) sleep(d time.Duration) time.Duration {
	return max(0, d-time.Duration(c.ahead.Load()))
}

// NowUTCOrNil is nil: where the queue can ask the database itself, it does.
func (c *clock) NowUTCOrNil() *time.Time { return nil }

// inTrouble says how wrong the machine's clock is; empty where it is not.
func (c *clock) inTrouble() string {
	ahead, word := time.Duration(c.ahead.Load()), "ahead of"
	if ahead < 0 {
		ahead, word = -ahead, "behind"
	}
	if ahead < tolerance {
		return ""
	}
	return fmt.Sprintf("This machine's clock is %s %s the database's; the operator has to set it.",
		ahead.Round(time.Second), word)
}

// queue is the database's queue, with stuck jobs found by the database's clock.
type queue struct {
	riverdriver.Driver[*sql.Tx]
	clock *clock
}

func (q queue) GetExecutor() riverdriver.Executor {
	return executor{q.Driver.GetExecutor(), q.clock}
}

type executor struct {
	riverdriver.Executor
	clock *clock
}

// JobGetStuck asks for the time anew: the queue passes the machine's, and a clock may have jumped since it was compared.
func (e executor) JobGetStuck(ctx context.Context, params *riverdriver.JobGetStuckParams) ([]*rivertype.JobRow, error) {
	now, err := e.clock.ask(ctx)
	if err != nil {
		return nil, err
	}
	stuck := *params
	stuck.StuckHorizon = now.Add(-rescueAfter)
	return e.Executor.JobGetStuck(ctx, &stuck)
}

// noteTimeout is how long each of the queue's three tries to note how jobs ended may last.
const noteTimeout = 5 * time.Second

// JobSetStateIfRunningMany goes on trying: the queue itself would have given up on a database that is away for three
// seconds, and the jobs would stay running until they are rescued.
func (e executor) JobSetStateIfRunningMany(
	ctx context.Context, params *riverdriver.JobSetStateIfRunningManyParams,
) ([]*rivertype.JobRow, error) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	for {
		rows, err := e.Executor.JobSetStateIfRunningMany(ctx, params)
		if err == nil {
			return rows, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(noteTimeout / 25):
		}
	}
}

// Pauses between the attempts at one job: the first, doubled each time up to the longest.
const (
	firstPause   = 10 * time.Second
	longestPause = time.Hour
)

// pauses grow from attempt to attempt, each a little off so that what failed together is not tried together.
type pauses struct{ clock *clock }

// NextRetry is when a job that failed is tried again.
func (p pauses) NextRetry(job *rivertype.JobRow) time.Time {
	pause := longestPause
	if doublings := job.Attempt - 1; doublings < 16 {
		pause = min(longestPause, firstPause<<max(0, doublings))
	}
	return p.clock.NowUTC().Add(pause + rand.N(pause/5)) //nolint:gosec // spreads load; nothing secret
}
