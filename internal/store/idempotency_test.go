package store_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/fault"
	"invited/internal/idempotency"
)

// A user can be deleted between a request's authentication and its answer.
func TestSaveAnswerOfDeletedUser(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		store := e.db.Idempotency()
		save := func(user uuid.UUID) error {
			id := idempotency.ID{UserUUID: user, Digest: "x"}
			return store.WriteTogether(t.Context(), id, func(ctx context.Context) error { return store.Save(ctx, id, []byte("answer")) })
		}
		require.NoError(t, save(oliviaID))
		require.True(t, fault.Is(save(uuid.New()), fault.KindUnauthenticated))
	})
}
