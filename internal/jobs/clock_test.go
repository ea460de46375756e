package jobs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/jobs"
)

// The machine's clock is an hour behind the database's. The next attempt at a failed job is due by the database's clock.
func TestWorkersUseTheDatabaseClock(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.smtp.stop()
		w := env.startWorkers(func(c *jobs.Config) {
			c.Now = func(context.Context) (time.Time, error) { return time.Now().Add(time.Hour), nil }
		})
		require.Equal(t, "This machine's clock is 1h0m0s behind the database's; the operator has to set it.",
			w.Troubles()["clock"])
		before := time.Now().Add(time.Hour)
		env.invite("ina@university.example")
		failed := env.waitForFailure(deliveryKind, 1)
		require.WithinRange(t, failed.ScheduledAt, before, time.Now().Add(time.Hour+13*time.Second))
	})
}

func TestStartFailsWithoutTheDatabaseClock(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		errNoClock := errors.New("no clock")
		w := env.newWorkers(func(c *jobs.Config) {
			c.Now = func(context.Context) (time.Time, error) { return time.Time{}, errNoClock }
		})
		require.ErrorIs(t, w.Start(t.Context()), errNoClock)
		require.Error(t, w.Running())
	})
}
