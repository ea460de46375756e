package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// inserts is the queue's driver for jobs that a transaction asks for.
type inserts struct {
	riverdriver.Driver[*sql.Tx]
	dialect dialect
}

// UnwrapExecutor returns what writes within a transaction.
func (i inserts) UnwrapExecutor(tx *sql.Tx) riverdriver.ExecutorTx {
	return inserting{i.Driver.UnwrapExecutor(tx), tx, i.dialect}
}

type inserting struct {
	riverdriver.ExecutorTx
	tx      *sql.Tx
	dialect dialect
}

// JobInsertFastManyNoReturning writes jobs that are due at once, in one statement and dated by the database. The library's
// own statement takes PostgreSQL as long as writing the invitation does, is one for each job on SQLite, and dates them by
// this machine: where its clock is ahead of the others', every job would wait by as much.
func (i inserting) JobInsertFastManyNoReturning(ctx context.Context, params *riverdriver.JobInsertFastManyParams) (int, error) {
	jobs := make([][]any, len(params.Jobs))
	for at, each := range params.Jobs {
		if each.State != rivertype.JobStateAvailable || len(each.UniqueKey) > 0 || len(each.Tags) > 0 {
			return 0, fmt.Errorf("store: a job of kind %s asks for what is not written", each.Kind)
		}
		jobs[at] = []any{json.RawMessage(each.EncodedArgs), each.Kind, each.Queue, each.Priority, each.MaxAttempts}
	}
	list, err := json.Marshal(jobs)
	if err != nil {
		return 0, err
	}
	text, arguments := i.dialect.statement(i.dialect.insertJobs(), []any{string(list)})
	result, err := i.tx.ExecContext(ctx, text, arguments...)
	if err != nil {
		return 0, err
	}
	written, err := result.RowsAffected()
	return int(written), err
}
