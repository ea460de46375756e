package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/lifecycle"
	"invited/internal/storetest"
)

// What is made after the mark is sent, also where it shares its job with what is dropped.
func TestCancelDeliveriesUpToAMark(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		s, shared, other := &lifecycle.Service{Store: e.db.Lifecycle()}, uuid.New(), uuid.New()
		e.write(invitation.EventCreated, shared)
		assignPositions(t, s)
		until, err := e.db.Mark(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(1), until.Position)
		e.write(invitation.EventCreated, other)
		e.write(invitation.EventUpdated, shared)
		assignPositions(t, s)

		jobs, events, err := e.db.CancelDeliveries(t.Context(), until)
		require.NoError(t, err)
		require.Equal(t, int64(1), jobs)
		require.Equal(t, int64(1), events)
		require.Equal(t, []string{"given_up", "pending", "pending"}, e.texts("SELECT state FROM event_deliveries ORDER BY position"))
		require.NoError(t, s.Sweep(t.Context()))
		waiting := map[uuid.UUID]bool{}
		found, err := e.db.WaitingDeliveries(t.Context(), 10)
		require.NoError(t, err)
		for _, job := range found {
			waiting[job.Invitation.UUID] = true
		}
		require.Equal(t, map[uuid.UUID]bool{shared: true, other: true}, waiting)
		require.Len(t, storetest.Jobs(t, e.db, lifecycle.Deliver{}.Kind()), 3)
	})
}
