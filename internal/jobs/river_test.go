package jobs_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/jobs"
)

// Package store inserts jobs with a statement of its own. Its rows equal those that River inserts, so that an upgrade of
// River that changes what a row holds is noticed.
func TestOwnInsertEqualsRivers(t *testing.T) {
	for name, test := range map[string]struct {
		kind   string
		policy func(*invitation.Policy)
	}{
		"delivery": {deliveryKind, func(*invitation.Policy) {}},
		"notice":   {noticeKind, onlyStaffInvites},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(t *testing.T, env *testEnv) {
				env.invite("ina@university.example")
				rows := env.jobs(test.kind)
				require.NotEmpty(t, rows)
				own := rows[0]
				// Insert would do as well on PostgreSQL. On SQLite it adds a nonce to the metadata, by which River finds the
				// row again that it returns.
				_, err := env.riverClient().InsertManyFast(t.Context(), []river.InsertManyParams{{
					Args:       rawJob{kind: test.kind, args: string(own.EncodedArgs)},
					InsertOpts: &river.InsertOpts{MaxAttempts: 30_000},
				}})
				require.NoError(t, err)
				rows = env.jobs(test.kind)
				last := rows[len(rows)-1]
				require.NotEqual(t, own.ID, last.ID)

				ownRow, riverRow := env.jobRow(own.ID), env.jobRow(last.ID)
				require.Contains(t, riverRow, "unique_states", "the row has River's columns")
				require.Equal(t, riverRow, ownRow)
				require.Equal(t, own.CreatedAt, own.ScheduledAt, "due at once")
			}, test.policy)
		})
	}
}

// jobRow returns every column of a row of the queue as text, with its storage class on SQLite. The id is left out, and each
// digit of a time is replaced by 0: the format of times counts on SQLite, which stores them as text.
func (env *testEnv) jobRow(id int64) (row map[string]any) {
	env.t.Helper()
	query := fmt.Sprintf("SELECT to_jsonb(river_job)::text FROM river_job WHERE id = %d", id)
	if env.engine == "sqlite" {
		columns := env.queryText("SELECT group_concat(format('''%s'', typeof(%s) || '' '' || quote(%s)', name, name, name), ', ')" +
			" FROM pragma_table_info('river_job')")
		query = fmt.Sprintf("SELECT json_object(%s) FROM river_job WHERE id = %d", columns, id)
	}
	require.NoError(env.t, json.Unmarshal([]byte(env.queryText(query)), &row))
	require.Contains(env.t, row, "id")
	delete(row, "id")
	for _, column := range []string{"created_at", "scheduled_at"} {
		require.Contains(env.t, row, column)
		row[column] = regexp.MustCompile(`\d`).ReplaceAllString(fmt.Sprint(row[column]), "0")
		if env.engine == "postgres" { // which drops trailing zeros when it writes a time
			row[column] = "timestamp"
		}
	}
	return row
}

// River rebuilds each of its indexes that exist.
func TestReindexNames(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		if env.engine != "postgres" {
			return // River rebuilds indexes on PostgreSQL only
		}
		existing := strings.Split(env.queryText("SELECT string_agg(indexname, ',') FROM pg_indexes WHERE tablename = 'river_job'"), ",")
		expected := slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool {
			return !slices.Contains(existing, name)
		})
		require.NotEmpty(t, expected)
		require.ElementsMatch(t, expected, jobs.ReindexNames())
	})
}
