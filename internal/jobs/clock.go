package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

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
	ask  func(context.Context) (time.Time, error)
	told atomic.Pointer[telling]
	end  context.CancelFunc
	done sync.WaitGroup
}

// telling is what the database said, and when by this machine. That has a monotonic part: a jump of the machine's clock
// after it changes nothing.
type telling struct{ database, machine time.Time }

// start asks for the time, now and again from time to time. An error means that the database can't be asked.
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
				_ = c.compare(ctx) // what was told last is the best there is
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
	database, err := c.ask(ctx)
	if err != nil {
		return err
	}
	c.told.Store(&telling{database, asked.Add(time.Since(asked) / 2)})
	return nil
}

// NowUTC is the database's time.
func (c *clock) NowUTC() time.Time {
	told := c.told.Load()
	if told == nil { // not started: the queue is only being set up
		return time.Now().UTC()
	}
	return told.database.Add(time.Since(told.machine)).UTC()
}

// NowUTCOrNil is nil: where the queue can ask the database itself, it does.
func (c *clock) NowUTCOrNil() *time.Time { return nil }

// ahead is how far the machine's clock is before the database's.
func (c *clock) ahead() time.Duration { return time.Now().Round(0).Sub(c.NowUTC()) }

// sleep is how long the queue has to be told to wait, which adds that to the machine's time.
func (c *clock) sleep(d time.Duration) time.Duration { return max(0, d-c.ahead()) }

// inTrouble says how wrong the machine's clock is; empty where it is not.
func (c *clock) inTrouble() string {
	ahead, word := c.ahead(), "ahead of"
	if ahead < 0 {
		ahead, word = -ahead, "behind"
	}
	if ahead < tolerance {
		return ""
	}
	return fmt.Sprintf("This machine's clock is %s %s the database's; the operator has to set it.",
		ahead.Round(time.Second), word)
}

// Pauses between the attempts at one job: the first, doubled each time up to the longest.
const (
	firstPause   = 10 * time.Second
	longestPause = time.Hour
)

// pauses grow from attempt to attempt.
type pauses struct{ clock *clock }

// NextRetry is when a job that failed is tried again.
func (p pauses) NextRetry(job *rivertype.JobRow) time.Time {
	pause := longestPause
	if doublings := job.Attempt - 1; doublings < 16 {
		pause = min(longestPause, firstPause<<max(0, doublings))
	}
	return p.clock.NowUTC().Add(jittered(pause))
}

// jittered is up to a fifth more than d, so that what failed together is not tried together.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/5) //nolint:gosec // spreads load; nothing secret
}
