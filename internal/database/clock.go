package database

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// maxClockAge is how long a reading of the database's clock is used before the database is asked again. Two clocks
	// drift apart by nothing that anybody notices in less time.
	maxClockAge = time.Second
	// maxClockLatency is the longest answer that is kept as a reading. A slower one may have waited for a connection, and
	// nobody knows at which moment of the wait it was true.
	maxClockLatency = 100 * time.Millisecond
)

// clock tells the database's time without a statement for each transaction.
type clock struct {
	fixed func() time.Time // Options.Clock; nil: ask
	ask   func(context.Context) (time.Time, error)
	last  atomic.Pointer[clockReading]
}

// clockReading is one answer of the database and the machine's time when the answer was true. The machine's time has a
// monotonic part: a later jump of the machine's clock changes nothing.
type clockReading struct{ database, machine time.Time }

// now returns the database's time in UTC, cut to the microseconds that both engines keep.
func (c *clock) now(ctx context.Context) (time.Time, error) {
	if c.fixed != nil {
		return c.fixed().UTC().Truncate(time.Microsecond), nil
	}
	if last := c.last.Load(); last != nil {
		if age := time.Since(last.machine); age <= maxClockAge {
			return last.database.Add(age).UTC().Truncate(time.Microsecond), nil
		}
	}
	asked := time.Now()
	now, err := c.ask(ctx)
	if err != nil {
		return time.Time{}, err
	}
	// The answer was true somewhere between question and answer: the middle is at most half of the wait off.
	if took := time.Since(asked); took <= maxClockLatency {
		c.last.Store(&clockReading{database: now, machine: asked.Add(took / 2)})
	}
	return now.UTC().Truncate(time.Microsecond), nil
}
