package jobs_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/invitation"
	"invited/internal/jobs"
)

// Every queue is held but those whose jobs send nothing: a new queue has to be one or the other.
func TestEveryQueueThatSendsIsHeld(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		require.NoError(t, env.db.HoldDeliveries(t.Context()))
		rows, err := env.riverClient().QueueList(t.Context(), river.NewQueueListParams().First(100))
		require.NoError(t, err)
		var held []string
		for _, row := range rows.Queues {
			require.NotNil(t, row.PausedAt, row.Name)
			held = append(held, row.Name)
		}
		sends := maps.Clone(jobs.MaxWorkers)
		delete(sends, invitation.QueueSweep)
		delete(sends, bulk.QueueBulk)
		require.ElementsMatch(t, slices.Collect(maps.Keys(sends)), held)

		since, err := env.db.HeldSince(t.Context())
		require.NoError(t, err)
		require.NoError(t, env.db.HoldDeliveries(t.Context()))
		again, err := env.db.HeldSince(t.Context())
		require.NoError(t, err)
		require.Equal(t, since, again, "holding twice changes nothing")
		require.NoError(t, env.db.ReleaseDeliveries(t.Context()))
		since, err = env.db.HeldSince(t.Context())
		require.NoError(t, err)
		require.Zero(t, since)
	})
}
