package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

// The row of a job is the one that River's own insert writes.
func TestJobRowsEqualThoseOfRiver(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		pool := e.outside
		job := invitation.Notify{Notice: invitation.NoticeExpired, Invitation: uuid.New(), Delivery: 3, User: uuid.New()}
		require.NoError(t, e.change(invitation.Change{Jobs: []invitation.Job{job}}))
		client, err := river.NewClient(e.db.QueueDriver(), &river.Config{})
		require.NoError(t, err)
		_, err = client.Insert(t.Context(), job, &river.InsertOpts{Queue: job.Queue(), MaxAttempts: 30_000})
		require.NoError(t, err)

		rows, err := pool.Query("SELECT * FROM river_job ORDER BY id")
		require.NoError(t, err)
		defer func() { require.NoError(t, rows.Close()) }()
		columns, err := rows.ColumnTypes()
		require.NoError(t, err)
		var both [][]any
		for rows.Next() {
			values := make([]any, len(columns))
			to := make([]any, len(columns))
			for i := range values {
				to[i] = &values[i]
			}
			require.NoError(t, rows.Scan(to...))
			both = append(both, values)
		}
		require.NoError(t, rows.Err())
		require.Len(t, both, 2)
		for i, each := range columns {
			switch each.Name() {
			case "id":
			case "metadata": // River writes a note about its insert into it
				require.Equal(t, "{}", fmt.Sprintf("%s", both[0][i]))
			case "created_at", "scheduled_at":
				require.WithinDuration(t, both[0][i].(time.Time), both[1][i].(time.Time), time.Minute)
			default:
				require.Equal(t, both[1][i], both[0][i], each.Name())
			}
		}
		if !e.postgres { // a column of SQLite holds values of any type, and values of different types never equal
			var types int
			require.NoError(t, pool.QueryRow("SELECT count(DISTINCT typeof(created_at) || substr(created_at, 11, 1) || typeof(args) ||"+
				" typeof(metadata) || typeof(tags)) FROM river_job").Scan(&types))
			require.Equal(t, 1, types)
		}
	})
}

// A plan that was made while the queue was empty must not read the whole table once the queue is full.
func TestLookAtTheQueueReadsOnlyWhatItFinds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		if !e.postgres {
			return // SQLite plans each statement again
		}
		pool := e.outside
		look := func() {
			_, err := e.db.QueueDriver().GetExecutor().JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
				ClientID: "test", MaxAttemptedBy: 10, MaxToLock: 5, Queue: invitation.QueueWebhook,
			})
			require.NoError(t, err)
		}
		// A connection reports the rows that it read and wrote at most once a second, at the end of a statement.
		statistic := func(name string) (rows int) {
			look()
			query := "SELECT COALESCE(" + name + ", 0) FROM pg_stat_user_tables WHERE relname = 'river_job'"
			require.NoError(t, pool.QueryRow(query).Scan(&rows))
			return rows
		}
		_, err := pool.Exec("VACUUM ANALYZE river_job") // without it, PostgreSQL guesses that the empty table has rows
		require.NoError(t, err)
		for range 10 {
			look()
		}
		const many = 10_000
		jobs := make([]invitation.Job, many)
		for i := range jobs {
			jobs[i] = invitation.Deliver{Invitation: uuid.New()}
		}
		require.NoError(t, e.change(invitation.Change{Jobs: jobs}))
		deadline, tick := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
		defer tick.Stop()
		for statistic("n_tup_ins") != many {
			select {
			case <-tick.C:
			case <-deadline:
				require.Fail(t, "the statistics do not show the jobs")
			}
		}
		// Three seconds are long enough for each connection to report. The loop ends with the test: require.Never runs
		// its last look in the background, where the look found the database closed.
		before := statistic("seq_tup_read")
		for range 30 {
			<-time.After(100 * time.Millisecond)
			require.Less(t, statistic("seq_tup_read")-before, many, "a look reads the whole queue")
		}
	})
}
