package jobs

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	clockInterval = 30 * time.Second // between two readings of the database's clock
	clockTimeout  = 5 * time.Second  // for one reading
	maxClockSkew  = 10 * time.Second // a machine's clock that is off by less is not reported
)

// clock is the database's clock. River by itself uses the machine's clock to decide when to retry a job, which jobs are
// due and which are stuck. When the clocks of two machines are minutes apart, one process would take a job that the other
// still works on, and the same mail would be sent twice.
type clock struct {
	read    func(context.Context) (time.Time, error)
	reading atomic.Pointer[clockReading] // nil until the clock is started
}

// clockReading pairs the database's time with the machine's time at the same moment. The machine's time has a monotonic
// part: when somebody sets the machine's clock later, the pair still holds.
type clockReading struct{ database, machine time.Time }

// start reads the database's clock once, and again every clockInterval until stop is called. The error is that of the
// first reading.
func (c *clock) start(ctx context.Context) (stop func(), err error) {
	if err := c.update(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(clockInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = c.update(ctx) // after an error the last reading is the best there is
			}
		}
	}()
	return func() { cancel(); <-done }, nil
}

func (c *clock) update(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	before := time.Now()
	database, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.reading.Store(&clockReading{database: database, machine: before.Add(time.Since(before) / 2)})
	return nil
}

// NowUTC returns the database's time; before start, the machine's.
func (c *clock) NowUTC() time.Time {
	r := c.reading.Load()
	if r == nil {
		return time.Now().UTC()
	}
	return r.database.Add(time.Since(r.machine)).UTC()
}

// skew returns how far the machine's clock is ahead of the database's; negative when the machine's clock is behind.
func (c *clock) skew() time.Duration { return time.Now().Round(0).Sub(c.NowUTC()) }

// trouble describes how wrong the machine's clock is, for the operator. It is empty when the clock is right.
func (c *clock) trouble() string {
	skew, side := c.skew(), "ahead of"
	if skew < 0 {
		skew, side = -skew, "behind"
	}
	if skew < maxClockSkew {
		return ""
	}
	return fmt.Sprintf("This machine's clock is %s %s the database's; the operator has to set it.",
		skew.Round(time.Second), side)
}
