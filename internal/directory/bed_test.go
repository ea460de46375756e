package directory_test

import (
	"testing"
	"time"

	"invited/internal/directory"
	"invited/internal/storetest"
)

// onEach runs a test on a fresh database of each engine.
func onEach(t *testing.T, test func(t *testing.T, s directory.Store)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) { test(t, e.Open(t, nil).Directory()) })
}

// onEachAt is onEach with a clock.
func onEachAt(t *testing.T, start time.Time, test func(t *testing.T, s directory.Store, clock *storetest.Clock)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		clock := storetest.NewClock(start)
		test(t, e.Open(t, clock.Now).Directory(), clock)
	})
}
