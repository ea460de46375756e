package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// A plan that was made when the queue was empty does not read all of it once it is full.
func TestALookAtTheQueueReadsNoMoreThanItFinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if e.Name == "sqlite" {
			return // which plans each time
		}
		address := e.Fresh(t)
		db, behind := storetest.Open(t, address, nil), outside(t, address)
		look := func() {
			_, err := db.Queue().GetExecutor().JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
				ClientID: "it", MaxAttemptedBy: 10, MaxToLock: 5, Queue: invitation.QueueWebhook,
			})
			require.NoError(t, err)
		}
		// A connection tells what it has read and written once a second at most, at the end of a statement.
		told := func(what string) (rows int) {
			look()
			query := "SELECT COALESCE(" + what + ", 0) FROM pg_stat_user_tables WHERE relname = 'river_job'"
			require.NoError(t, behind.QueryRow(query).Scan(&rows))
			return rows
		}
		_, err := behind.Exec("VACUUM ANALYZE river_job") // or its size is guessed to be more than none
		require.NoError(t, err)
		for range 10 {
			look()
		}
		const many = 10_000
		require.NoError(t, db.Write(t.Context(), func(tx *store.Tx) error {
			for range many {
				if err := tx.Enqueue(invitation.Deliver{Invitation: uuid.New()}); err != nil {
					return err
				}
			}
			return nil
		}))
		require.Eventually(t, func() bool { return told("n_tup_ins") == many }, 20*time.Second, 10*time.Millisecond)
		before := told("seq_tup_read")
		require.Never(t, func() bool { return told("seq_tup_read")-before >= many }, 2500*time.Millisecond, 100*time.Millisecond)
	})
}
