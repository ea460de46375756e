package jobs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A try that hangs, as on a connection to a server that is lost, leaves time for the next one.
func TestRetryUntilDoneGivesUpTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, tries := time.Now(), 0
		require.NoError(t, retryUntilDone(t.Context(), func(ctx context.Context) error {
			if tries++; tries == 1 {
				<-ctx.Done()
			}
			return ctx.Err()
		}))
		require.Equal(t, 2, tries)
		require.Less(t, time.Since(start), recordTimeout/4)
	})
}
