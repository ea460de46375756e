package jobs

import (
	"context"
	"database/sql"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// queue is the database's queue, in which a job is never given up to a wrong clock, a restart of the database or a
// connection that has died without a word.
type queue struct {
	riverdriver.Driver[*sql.Tx]
	clock *clock
}

func (q queue) GetExecutor() riverdriver.Executor {
	return executor{q.Driver.GetExecutor(), q.clock}
}

type executor struct {
	riverdriver.Executor
	clock *clock
}

// JobGetStuck goes by the database's clock, where the queue passes the machine's.
func (e executor) JobGetStuck(ctx context.Context, params *riverdriver.JobGetStuckParams) ([]*rivertype.JobRow, error) {
	stuck := *params
	stuck.StuckHorizon = e.clock.NowUTC().Add(-rescueAfter)
	return e.Executor.JobGetStuck(ctx, &stuck)
}

// JobRescueMany has the jobs of a process that died done again now. The queue would add the pause after a failure, an
// hour after some, and their rows would say Processing all that time.
func (e executor) JobRescueMany(ctx context.Context, params *riverdriver.JobRescueManyParams) (*struct{}, error) {
	for i, state := range params.State {
		if state == string(rivertype.JobStateRetryable) {
			params.ScheduledAt[i] = e.clock.NowUTC()
		}
	}
	return e.Executor.JobRescueMany(ctx, params)
}

// fetchTimeout bounds a look for jobs. The queue waits for its answer before it looks again, and has no limit of its own:
// on a connection whose other side is gone it would wait until the kernel gives up.
const fetchTimeout = 10 * time.Second

// JobGetAvailable is what looks for jobs. Those that were taken by a look that was cut off are rescued.
func (e executor) JobGetAvailable(
	ctx context.Context, params *riverdriver.JobGetAvailableParams,
) ([]*rivertype.JobRow, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return e.Executor.JobGetAvailable(ctx, params)
}

// noteTimeout is how long each of the queue's three tries to note how jobs ended may last.
const noteTimeout = 5 * time.Second

// JobSetStateIfRunningMany goes on trying: the queue itself would have given up on a database that is away for three
// seconds, and the jobs would stay running until they are rescued.
func (e executor) JobSetStateIfRunningMany(
	ctx context.Context, params *riverdriver.JobSetStateIfRunningManyParams,
) ([]*rivertype.JobRow, error) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	for {
		rows, err := e.Executor.JobSetStateIfRunningMany(ctx, params)
		if err == nil {
			return rows, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(noteTimeout / 25):
		}
	}
}
