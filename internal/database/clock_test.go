package database

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// databaseAhead is how far the database's clock is ahead of the machine's in the tests below.
const databaseAhead = time.Hour

// slowDatabase is a database whose answer takes time to arrive.
type slowDatabase struct {
	there, back time.Duration // how long the question and the answer take to arrive
	asked       int
	err         error
}

func (d *slowDatabase) ask(context.Context) (time.Time, error) {
	d.asked++
	<-time.After(d.there)
	now := time.Now().Add(databaseAhead)
	<-time.After(d.back)
	return now, d.err
}

// readClock returns the clock's time and how far it is from the database's.
func readClock(t *testing.T, c *clock) (now time.Time, off time.Duration) {
	t.Helper()
	now, err := c.now(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.UTC, now.Location())
	require.Equal(t, now.Truncate(time.Microsecond), now)
	return now, now.Sub(time.Now().Add(databaseAhead))
}

// An answer that took as long to arrive as its question is true in the middle of the wait. A reading that is dated at the
// question would be ahead by half of the wait, and one that is dated at the answer would be behind by half of it.
func TestClockReadingIsDatedAtTheMiddleOfTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &slowDatabase{there: 40 * time.Millisecond, back: 40 * time.Millisecond}
		c := &clock{ask: db.ask}
		_, _ = readClock(t, c)
		for range 3 {
			_, off := readClock(t, c)
			require.Zero(t, off)
			<-time.After(100 * time.Millisecond)
		}
		require.Equal(t, 1, db.asked)
	})
}

// Where question and answer take different times, a reading is off by at most half of the wait.
func TestClockReadingIsOffByAtMostHalfOfTheWait(t *testing.T) {
	t.Parallel()
	for _, each := range []struct{ there, back, off time.Duration }{
		{maxClockLatency, 0, maxClockLatency / 2},
		{0, maxClockLatency, -maxClockLatency / 2},
		{10 * time.Millisecond, 30 * time.Millisecond, -10 * time.Millisecond},
		{30 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			db := &slowDatabase{there: each.there, back: each.back}
			c := &clock{ask: db.ask}
			_, _ = readClock(t, c)
			_, off := readClock(t, c)
			require.Equal(t, 1, db.asked)
			require.Equal(t, each.off, off)
		})
	}
}

func TestClockForgetsSlowAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &slowDatabase{there: maxClockLatency, back: time.Nanosecond}
		c := &clock{ask: db.ask}
		for i := range 3 {
			_, _ = readClock(t, c)
			require.Equal(t, i+1, db.asked)
		}
		db.there -= time.Nanosecond // the slowest answer that is kept
		_, _ = readClock(t, c)
		_, _ = readClock(t, c)
		require.Equal(t, 4, db.asked)

		// A slow answer does not replace the reading before it, which is too old then.
		<-time.After(maxClockAge)
		db.back = time.Second
		_, _ = readClock(t, c)
		_, _ = readClock(t, c)
		require.Equal(t, 6, db.asked)
	})
}

func TestClockAsksAgainAfterMaxClockAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &slowDatabase{}
		c := &clock{ask: db.ask}
		before, _ := readClock(t, c)
		<-time.After(maxClockAge)
		after, off := readClock(t, c)
		require.Zero(t, off)
		require.Equal(t, maxClockAge, after.Sub(before))
		require.Equal(t, 1, db.asked, "a reading of exactly this age is used")
		<-time.After(time.Nanosecond)
		_, _ = readClock(t, c)
		require.Equal(t, 2, db.asked)
	})
}

func TestClockReturnsErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &slowDatabase{err: errors.New("no answer")}
		c := &clock{ask: db.ask}
		for range 2 { // a failure is not kept
			_, err := c.now(t.Context())
			require.ErrorIs(t, err, db.err)
		}
		require.Equal(t, 2, db.asked)
		db.err = nil
		_, off := readClock(t, c)
		require.Zero(t, off)
	})
}

func TestFixedClockAsksNobody(t *testing.T) {
	t.Parallel()
	fixed := time.Date(2026, 11, 23, 10, 30, 0, 123456789, time.FixedZone("", 3600))
	c := &clock{fixed: func() time.Time { return fixed }}
	now, err := c.now(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC), now)
}
