package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
)

// sqliteQueue is the queue's driver, which inserts the jobs of a transaction at once. By itself it has a statement for
// each, prepared anew every time, and a sweep would spend most of its time on that.
type sqliteQueue struct{ *riversqlite.Driver }

// UnwrapExecutor implements riverdriver.Driver.
func (q sqliteQueue) UnwrapExecutor(tx *sql.Tx) riverdriver.ExecutorTx {
	return sqliteInserter{q.Driver.UnwrapExecutor(tx), tx}
}

type sqliteInserter struct {
	riverdriver.ExecutorTx
	tx *sql.Tx
}

// JobInsertFastMany returns of each job no more than was passed. What Tx.Enqueue has no use for is left to the driver.
func (i sqliteInserter) JobInsertFastMany(
	ctx context.Context, params *riverdriver.JobInsertFastManyParams,
) ([]*riverdriver.JobInsertFastResult, error) {
	rows := make([][]any, len(params.Jobs))
	results := make([]*riverdriver.JobInsertFastResult, len(params.Jobs))
	for n, j := range params.Jobs {
		if j.ID != nil || j.CreatedAt != nil || j.ScheduledAt != nil || j.UniqueKey != nil ||
			len(j.Tags) > 0 || string(j.Metadata) != "{}" {
			return i.ExecutorTx.JobInsertFastMany(ctx, params)
		}
		rows[n] = []any{string(j.EncodedArgs), j.Kind, j.MaxAttempts, j.Priority, j.Queue, j.State}
		results[n] = &riverdriver.JobInsertFastResult{Job: &rivertype.JobRow{
			EncodedArgs: j.EncodedArgs, Kind: j.Kind, MaxAttempts: j.MaxAttempts, Priority: j.Priority, Queue: j.Queue, State: j.State,
		}}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	_, err = i.tx.ExecContext(ctx, `INSERT INTO river_job
		(args, kind, max_attempts, priority, queue, state, created_at, scheduled_at, metadata, tags)
		SELECT CAST(value->>0 AS BLOB), value->>1, value->>2, value->>3, value->>4, value->>5,
			datetime('now', 'subsec'), datetime('now', 'subsec'), '{}', '[]' FROM json_each(?)`, string(list))
	return results, err
}
