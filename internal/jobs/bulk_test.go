package jobs_test

import (
	"fmt"
	"testing"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
)

// newBulk returns the use cases of bulk invitations.
func (env *testEnv) newBulk() *bulk.Service {
	return &bulk.Service{Store: env.db.Bulk(), Invitations: env.service}
}

// bulkRows returns rows that invite count people into Apollo.
func bulkRows(count int) []bulk.Row {
	rows := make([]bulk.Row, count)
	for i := range rows {
		rows[i] = bulk.Row{Email: fmt.Sprintf("person%d@university.example", i), Role: "PROJECT.ADMIN", Scope: apollo.String()}
	}
	return rows
}

func TestBulkInvitationIsDoneByAJob(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		service, olivia := env.newBulk(), env.user("olivia")
		rows := bulkRows(250)
		rows[7].Email = "" // invalid
		rows[200] = rows[3]
		made, err := service.Submit(t.Context(), olivia, bulk.Submission{Rows: rows, OnDuplicate: bulk.Skip})
		require.NoError(t, err)
		require.Equal(t, bulk.Queued, made.State)
		env.startWorkers()
		var found bulk.ResultPage
		env.waitFor("the end of the bulk invitation", func() bool {
			found, err = service.Retrieve(t.Context(), olivia, made.UUID, nil, 1, 300)
			require.NoError(t, err)
			return found.State == bulk.Done
		})
		require.Equal(t, bulk.Counts{bulk.Created: 248, bulk.Invalid: 1, bulk.Duplicate: 1}, found.Counts)
		require.Len(t, found.Results, 250)
		require.Equal(t, found.Results[3].UUID, found.Results[200].UUID)
		for i, each := range found.Results {
			require.Equal(t, i, each.Index)
			require.Equal(t, rows[i], each.Row)
		}
		deliveries := env.jobs(deliveryKind)
		require.Len(t, deliveries, 248)
		require.Equal(t, river.PriorityDefault+1, deliveries[0].Priority, "the mails of others go first")
	})
}
