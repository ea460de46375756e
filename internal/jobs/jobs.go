package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"invited/internal/invitation"
	"invited/internal/mail"
	"invited/internal/webhook"
)

const (
	// jobTimeout bounds one attempt, a slow mail server included.
	jobTimeout = time.Minute
	// finishTimeout bounds the note of how an attempt ended, which is made even where the process is stopping. A mail
	// whose going out can't be noted for so long goes out again.
	finishTimeout = 45 * time.Second
	// rescueAfter is when the job of a process that died is taken up again: later than any attempt lasts but a sweep,
	// which the queue leaves alone until its own time is over.
	rescueAfter = 2 * time.Minute
	// sweepTimeout bounds a sweep, which goes on until nothing is due.
	sweepTimeout = 10 * time.Minute
)

// fetchCooldown is the least time between two looks at a queue that has more than is being done. The queue's own tenth of
// a second would allow eight workers 80 mails a second.
const fetchCooldown = 5 * time.Millisecond

// concurrency is how many jobs of a queue run at once in one process. Mail servers count a client's connections.
var concurrency = map[string]river.QueueConfig{
	invitation.QueueMail:    {MaxWorkers: 8},
	invitation.QueueNotices: {MaxWorkers: 2}, // all that is mailed for a sweep must not take the machine from who asks
	invitation.QueueWebhook: {MaxWorkers: 4},
	invitation.QueueSweep:   {MaxWorkers: 1},
}

// Config is what the workers are made of.
type Config struct {
	Queue     riverdriver.Driver[*sql.Tx]
	Now       func(context.Context) (time.Time, error) // the clock of the queue's database
	Service   *invitation.Service
	Renderer  *mail.Renderer
	Transport mail.Transport
	Webhook   *webhook.Client // for invitations into projects; nil where the policy has none go there
	MailHost  string          // the right side of Message-IDs
	Sweep     time.Duration   // how often time-driven work is looked at; 0: every 15 minutes
	Poll      time.Duration   // how often the queue is asked for new jobs; 0: every 500 ms
	Logger    *slog.Logger
}

// Workers takes jobs from the queue and does them.
type Workers struct {
	client  *river.Client[*sql.Tx]
	running atomic.Bool
	clock   *clock
	post    *post
}

// New returns workers that wait to be started.
func New(c Config) (*Workers, error) {
	c.Poll = cmp.Or(c.Poll, 500*time.Millisecond)
	c.Sweep = cmp.Or(c.Sweep, 15*time.Minute)
	w := &Workers{clock: &clock{ask: c.Now}}
	w.post = &post{Config: c, clock: w.clock}
	all, sweeping := river.NewWorkers(), &gate{}
	river.AddWorker(all, &deliverer{post: w.post})
	river.AddWorker(all, &notifier{post: w.post, gate: sweeping})
	river.AddWorker(all, &sweeper{service: c.Service, gate: sweeping})
	client, err := river.NewClient[*sql.Tx](queue{c.Queue, w.clock}, &river.Config{
		Queues:               concurrency,
		Workers:              all,
		PeriodicJobs:         []*river.PeriodicJob{sweeps(c.Sweep)},
		FetchCooldown:        fetchCooldown,
		FetchPollInterval:    c.Poll,
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		RetryPolicy:          pauses{w.clock},
		// Without those that migration 9 has dropped.
		ReindexerIndexNames: slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool {
			return name == "river_job_args_index" || name == "river_job_metadata_index"
		}),
		ErrorHandler: errorLog{c.Logger},
		Logger:       slog.New(quiet{c.Logger.Handler()}),
		// Meant for tests, and the one way to have the queue go by a clock that all of its processes share.
		Test: river.TestConfig{Time: w.clock},
	})
	if err != nil {
		return nil, fmt.Errorf("the job queue can't be opened: %w", err)
	}
	w.client = client
	return w, nil
}

// Start begins to take jobs. It returns once the queue has been reached; Stop ends what it began.
func (w *Workers) Start(ctx context.Context) error {
	if err := w.clock.start(ctx); err != nil {
		return fmt.Errorf("starting the workers: %w", err)
	}
	// Not stopped by ctx: a cancelled context would end jobs in the middle, where Stop lets them finish.
	if err := w.client.Start(context.WithoutCancel(ctx)); err != nil {
		w.clock.stop()
		return fmt.Errorf("starting the workers: %w", err)
	}
	w.running.Store(true)
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends first they are cancelled; they are done again
// later. In the end it closes what letters were sent with.
func (w *Workers) Stop(ctx context.Context) error {
	w.running.Store(false)
	defer func() {
		w.clock.stop()
		w.post.Transport.Close()
		if w.post.Webhook != nil {
			w.post.Webhook.Close()
		}
	}()
	if err := w.client.Stop(ctx); err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	return w.client.StopAndCancel(hard)
}

// Running returns an error where the workers take no jobs.
func (w *Workers) Running() error {
	if !w.running.Load() {
		return errors.New("the workers are not running")
	}
	return nil
}

// Troubles says of mail, webhook (where there is one) and clock what is wrong that only the operator can mend, in words;
// "" where nothing is that this process knows of. Nothing is lost for any of them.
func (w *Workers) Troubles() map[string]string {
	found := map[string]string{"mail": w.post.mailRoute.inTrouble(), "clock": w.clock.inTrouble()}
	if w.post.Webhook != nil {
		found["webhook"] = w.post.webhookRoute.inTrouble()
	}
	return found
}

// sweeps has a sweep enqueued at once and then every interval, by one of the processes on a database. Within an interval
// a sweep that still waits or runs is not joined by another: for longer, one whose process was killed would keep others
// away until it is rescued. One that fails is not tried again: the next will do.
func sweeps(interval time.Duration) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) {
			return invitation.Sweep{}, &river.InsertOpts{
				Queue: invitation.QueueSweep, MaxAttempts: 1,
				UniqueOpts: river.UniqueOpts{
					ByPeriod: max(interval, time.Second), // the shortest that there is
					ByState: []rivertype.JobState{
						rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
						rivertype.JobStateRetryable, rivertype.JobStateScheduled,
					},
				},
			}
		}, &river.PeriodicJobOpts{RunOnStart: true})
}
