package storetest

import (
	"log/slog"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/store"
)

// Jobs returns up to 10,000 jobs of a kind in the queue of a database, the oldest first.
func Jobs(t *testing.T, db *store.Store, kind string) []*rivertype.JobRow {
	t.Helper()
	client, err := river.NewClient(db.QueueDriver(), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	found, err := client.JobList(t.Context(), river.NewJobListParams().Kinds(kind).First(10_000))
	require.NoError(t, err)
	return found.Jobs
}
