package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"invited/internal/bulk"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/lifecycle"
	"invited/internal/tracing"
)

// Queue is the driver of the database's job queue.
type Queue = riverdriver.Driver[*sql.Tx]

type riverClient = river.Client[*sql.Tx]

const (
	// fetchCooldown is the least time between two looks at a queue that holds more jobs than are running. River's default
	// of a tenth of a second would allow eight workers 80 mails a second.
	fetchCooldown = 5 * time.Millisecond
	// fetchTimeout bounds a look for jobs. River sets no limit, and looks again only after the answer: on a connection
	// whose other side is gone it would wait until the kernel gives up.
	fetchTimeout = 10 * time.Second
	// completeTimeout bounds each of River's three tries to record how jobs ended.
	completeTimeout = 5 * time.Second
)

func newRiverClient(w *Workers) (*riverClient, error) {
	queues := map[string]river.QueueConfig{}
	for name, n := range maxWorkers {
		if name == lifecycle.QueueEvents && w.config.EventsWebhook == nil {
			continue // its jobs, if there are any, wait for a webhook
		}
		queues[name] = river.QueueConfig{MaxWorkers: n}
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[invitation.Deliver]) error {
		return w.riverError(w.deliver(ctx, newAttempt(job.JobRow), job.Args))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[invitation.Notify]) error {
		return w.riverError(w.notify(ctx, newAttempt(job.JobRow), job.Args))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[identity.SendCode]) error {
		return w.riverError(w.sendCode(ctx, newAttempt(job.JobRow), job.Args))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[joining.Announce]) error {
		return w.config.Joining.Announce(ctx, job.Args)
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[joining.Notify]) error {
		return w.riverError(w.notifyPermissionRequest(ctx, newAttempt(job.JobRow), job.Args))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[lifecycle.Deliver]) error {
		return w.riverError(w.deliverEvents(ctx, newAttempt(job.JobRow), job.Args))
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[bulk.Job]) error {
		return w.riverError(w.bulk(ctx, job.Args))
	}))
	river.AddWorker(workers, &sweepWorker{workers: w})
	return river.NewClient[*sql.Tx](driver{w.config.Queue, w.clock}, &river.Config{
		Queues:               queues,
		Workers:              workers,
		Middleware:           []rivertype.Middleware{river.WorkerMiddlewareFunc(w.trace)},
		PeriodicJobs:         []*river.PeriodicJob{periodicSweep(w.config.Sweep)},
		FetchCooldown:        fetchCooldown,
		FetchPollInterval:    w.config.Poll,
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		RetryPolicy:          retryPolicy{w.clock},
		ReindexerIndexNames:  reindexNames(),
		ErrorHandler:         errorHandler{w.config.Logger},
		Logger:               slog.New(logFilter{w.config.Logger.Handler()}),
		// Meant for tests, and River's only way to give every process the same clock.
		Test: river.TestConfig{Time: w.clock},
	})
}

// trace runs an attempt at a job as a part of the trace of the request that the job is of.
func (w *Workers) trace(ctx context.Context, job *rivertype.JobRow, attempt func(context.Context) error) error {
	ctx, span := w.config.Tracer.StartJob(ctx, job.Kind, job.Queue, job.Attempt, job.Metadata)
	failure := "panic"
	defer func() { span.End(failure) }()
	err := attempt(ctx)
	switch {
	case err == nil:
		failure = ""
	case errors.As(err, new(*river.JobSnoozeError)):
		failure = ""
		span.Set("invited.job.result", results[river.EventKindJobSnoozed])
	case errors.As(err, new(*river.JobCancelError)):
		failure = results[river.EventKindJobCancelled]
	default:
		failure = results[river.EventKindJobFailed]
	}
	return err
}

// results are the results of attempts that Config.Observe is called with.
var results = map[river.EventKind]string{
	river.EventKindJobCompleted: "completed",
	river.EventKindJobFailed:    "failed",
	river.EventKindJobSnoozed:   "postponed",
	river.EventKindJobCancelled: "canceled",
}

// observe calls tell with each attempt at a job until stop is called. River drops attempts where tell is much slower than they
// are.
func observe(client *riverClient, tell func(kind, result string, took time.Duration)) (stop func()) {
	attempts, stop := client.Subscribe(slices.Collect(maps.Keys(results))...)
	go func() {
		for each := range attempts {
			tell(each.Job.Kind, results[each.Kind], each.JobStats.RunDuration)
		}
	}()
	return stop
}

// reindexNames lists River's indexes without the two that migration 9 drops.
func reindexNames() []string {
	return slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool {
		return name == "river_job_args_index" || name == "river_job_metadata_index"
	})
}

func newAttempt(row *rivertype.JobRow) attempt {
	a := attempt{
		kind: row.Kind, args: string(row.EncodedArgs), queue: row.Queue, number: row.Attempt, enqueued: row.CreatedAt,
	}
	if n := len(row.Errors); n > 0 {
		a.lastError = row.Errors[n-1].Error
	}
	return a
}

// riverError returns what a River worker returns for a result.
func (w *Workers) riverError(r jobResult) error {
	switch {
	case r.retryAfter != 0:
		// River adds the time to the machine's clock and the database compares the sum with its own.
		return river.JobSnooze(max(0, r.retryAfter-w.clock.skew()))
	case r.final:
		return river.JobCancel(r.err)
	default:
		return r.err
	}
}

// sweepWorker runs sweeps.
type sweepWorker struct {
	river.WorkerDefaults[invitation.Sweep]
	workers *Workers
}

func (*sweepWorker) Timeout(*river.Job[invitation.Sweep]) time.Duration { return sweepTimeout }

func (s *sweepWorker) Work(ctx context.Context, _ *river.Job[invitation.Sweep]) error {
	return s.workers.sweep(ctx)
}

// periodicSweep enqueues a sweep at once and then every interval, from one of the processes on a database. While a sweep
// waits or runs, no other is enqueued within the same interval. A longer bound would let the sweep of a process that was
// killed keep others away until it is rescued. A sweep that fails is not tried again: the next one does its work.
func periodicSweep(interval time.Duration) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) {
			return invitation.Sweep{}, &river.InsertOpts{
				Queue: invitation.QueueSweep, MaxAttempts: 1,
				UniqueOpts: river.UniqueOpts{
					ByPeriod: max(interval, time.Second), // River allows no shorter one
					ByState: []rivertype.JobState{
						rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
						rivertype.JobStateRetryable, rivertype.JobStateScheduled,
					},
				},
			}
		}, &river.PeriodicJobOpts{RunOnStart: true})
}

// retryPolicy schedules a failed job by the database's clock.
type retryPolicy struct{ clock *clock }

func (p retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return p.clock.NowUTC().Add(jitter(retryDelay(job.Attempt)))
}

// NowUTCOrNil completes rivertype.TimeGenerator. Nil makes River use the database's own clock in its statements, where it
// can.
func (c *clock) NowUTCOrNil() *time.Time { return nil }

// errorHandler logs every job that failed, once.
type errorHandler struct{ logger *slog.Logger }

func (h errorHandler) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if !errors.As(err, new(loggedError)) {
		h.logger.ErrorContext(tracing.OfMetadata(ctx, job.Metadata), "job failed", "kind", job.Kind, "args", string(job.EncodedArgs),
			"attempt", job.Attempt, "error", err)
	}
	return nil
}

func (h errorHandler) HandlePanic(
	ctx context.Context, job *rivertype.JobRow, value any, trace string,
) *river.ErrorHandlerResult {
	h.logger.ErrorContext(tracing.OfMetadata(ctx, job.Metadata), "job panicked", "kind", job.Kind, "args", string(job.EncodedArgs),
		"attempt", job.Attempt, "panic", fmt.Sprint(value), "trace", trace)
	return nil
}

// driver wraps the database's driver, so that no job is lost or delayed by a machine's wrong clock, a database that
// restarts or a connection that has died in silence.
type driver struct {
	Queue
	clock *clock
}

func (d driver) GetExecutor() riverdriver.Executor { return executor{d.Queue.GetExecutor(), d.clock} }

type executor struct {
	riverdriver.Executor
	clock *clock
}

// JobGetStuck uses the database's clock, where River passes the machine's.
func (e executor) JobGetStuck(ctx context.Context, params *riverdriver.JobGetStuckParams) ([]*rivertype.JobRow, error) {
	stuck := *params
	stuck.StuckHorizon = e.clock.NowUTC().Add(-rescueAfter)
	return e.Executor.JobGetStuck(ctx, &stuck)
}

// JobRescueMany makes the jobs of a process that died due now. River would add the delay after a failure, up to an hour,
// and their invitations would say Processing all that time.
func (e executor) JobRescueMany(ctx context.Context, params *riverdriver.JobRescueManyParams) (*struct{}, error) {
	for i, state := range params.State {
		if state == string(rivertype.JobStateRetryable) {
			params.ScheduledAt[i] = e.clock.NowUTC()
		}
	}
	return e.Executor.JobRescueMany(ctx, params)
}

// JobGetAvailable takes jobs, within fetchTimeout. Jobs that were taken by a call that timed out are rescued.
func (e executor) JobGetAvailable(
	ctx context.Context, params *riverdriver.JobGetAvailableParams,
) ([]*rivertype.JobRow, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return e.Executor.JobGetAvailable(ctx, params)
}

// JobSetStateIfRunningMany records how jobs ended, and tries again until completeTimeout. River would give up after three
// seconds without the database, and the jobs would stay running until they are rescued. A job that somebody has
// deleted meanwhile is left out: SQLite's driver returns nil for it, and River would panic.
func (e executor) JobSetStateIfRunningMany(
	ctx context.Context, params *riverdriver.JobSetStateIfRunningManyParams,
) ([]*rivertype.JobRow, error) {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	for {
		rows, err := e.Executor.JobSetStateIfRunningMany(ctx, params)
		if err == nil {
			return slices.DeleteFunc(rows, func(row *rivertype.JobRow) bool { return row == nil }), nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(completeTimeout / 25):
		}
	}
}

// logFilter passes River's warnings and errors on. River logs its ordinary work at lower levels.
type logFilter struct{ slog.Handler }

func (f logFilter) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && f.Handler.Enabled(ctx, level)
}

// Handle drops records about contexts that were cancelled: River logs them when it stops. A database that was locked for a
// moment is a warning: River repeats its upkeep.
func (f logFilter) Handle(ctx context.Context, r slog.Record) error {
	isStopping := false
	r.Attrs(func(a slog.Attr) bool {
		text := a.Value.String()
		isStopping = isStopping || strings.Contains(text, context.Canceled.Error())
		if strings.Contains(text, "database is locked") {
			r.Level = slog.LevelWarn
		}
		return !isStopping
	})
	if isStopping {
		return nil
	}
	return f.Handler.Handle(ctx, r)
}

func (f logFilter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logFilter{f.Handler.WithAttrs(attrs)}
}

func (f logFilter) WithGroup(name string) slog.Handler { return logFilter{f.Handler.WithGroup(name)} }
