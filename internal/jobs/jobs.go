package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"invited/internal/bulk"
	"invited/internal/idempotency"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/lifecycle"
	"invited/internal/mail"
	"invited/internal/tracing"
	"invited/internal/webhook"
)

const (
	// jobTimeout bounds one attempt, with a slow mail server.
	jobTimeout = time.Minute
	// sweepTimeout bounds a sweep, which runs until nothing is due. The next sweep does what is left.
	sweepTimeout = 10 * time.Minute
	// recordTimeout bounds the recording of an outcome, which goes on while the process is stopping. A mail whose sending
	// can't be recorded for this long is sent again.
	recordTimeout = 45 * time.Second
	// rescueAfter is when the job of a process that died is taken up again. It is longer than every attempt but a sweep,
	// which River leaves alone until the sweep's own timeout has passed.
	rescueAfter = 2 * time.Minute
)

// maxWorkers is how many jobs of a queue run at once in one process. Mail servers count a client's connections.
var maxWorkers = map[string]int{
	identity.QueueSignIn:    2,
	invitation.QueueMail:    8,
	invitation.QueueNotices: 2, // the mails of a sweep must leave processor time for requests
	invitation.QueueWebhook: 4,
	invitation.QueueSweep:   1,
	bulk.QueueBulk:          1, // the bulk invitations of several users take turns
	lifecycle.QueueEvents:   8,
}

// Config holds the parts that New needs. Every field is required but Webhook, EventsWebhook, MailInterval, Sweep,
// Poll, Observe and Tracer.
type Config struct {
	Queue       Queue
	Now         func(context.Context) (time.Time, error) // reads the clock of the queue's database
	Service     *invitation.Service
	Joining     *joining.Service
	Bulk        *bulk.Service
	Identity    *identity.Service
	Idempotency *idempotency.Service
	Lifecycle   *lifecycle.Service
	Renderer    *mail.Renderer
	Transport   mail.Transport
	Webhook     *webhook.Client // delivers invitations into projects; nil: every invitation is a mail
	// EventsWebhook is where events are sent; nil: nowhere. Events that get their positions from workers without it are
	// never sent.
	EventsWebhook *webhook.Client
	Mails         MailSettings
	// MailInterval is the least time between two mails of this process; 0: as fast as the mail server takes them.
	MailInterval time.Duration
	Sweep        time.Duration // between two sweeps; 0: 15 minutes
	Poll         time.Duration // between two looks for new jobs; 0: 500 ms
	Logger       *slog.Logger
	// Observe is called with each attempt at a job: its kind, its result and the time that it took. Results are completed,
	// failed, which is tried again, postponed and canceled. nil: no calls.
	Observe func(kind, result string, took time.Duration)
	Tracer  *tracing.Tracer // nil: no traces
}

// Workers takes jobs from the queue and runs them.
type Workers struct {
	config    Config
	client    *riverClient
	clock     *clock
	stopClock func()
	sender    *sender
	barrier   sweepBarrier
	running   atomic.Bool
	stopping  atomic.Bool

	stopPositioning func()
	stopObserving   func()
	givenUp         occurrence // of an event
}

// New returns workers, which take no jobs before Start. It doesn't connect to the database.
func New(c Config) (*Workers, error) {
	c.Poll = cmp.Or(c.Poll, 500*time.Millisecond)
	c.Sweep = cmp.Or(c.Sweep, 15*time.Minute)
	w := &Workers{config: c, clock: &clock{read: c.Now}, stopClock: func() {}, stopPositioning: func() {}, stopObserving: func() {}}
	w.sender = &sender{
		renderer: c.Renderer, transport: c.Transport, webhook: c.Webhook, mails: c.Mails, clock: w.clock,
		mailRoute: route{pace: newPace(c.MailInterval)}, webhookRoute: route{pace: newPace(0)},
		eventsWebhook: c.EventsWebhook, eventsRoute: route{pace: newPace(0)},
	}
	var err error
	if w.client, err = newRiverClient(w); err != nil {
		return nil, fmt.Errorf("the job queue can't be opened: %w", err)
	}
	return w, nil
}

// Start begins to take jobs, until Stop is called; the end of ctx doesn't stop the workers. The error is that of the
// first use of the database.
func (w *Workers) Start(ctx context.Context) error {
	stop, err := w.clock.start(ctx)
	if err != nil {
		return fmt.Errorf("starting the workers: %w", err)
	}
	if err := w.config.Bulk.Resume(ctx); err != nil {
		stop()
		return fmt.Errorf("starting the workers: %w", err)
	}
	if w.config.Observe != nil {
		w.stopObserving = observe(w.client, w.config.Observe)
	}
	// A cancelled context would end jobs in the middle, where Stop lets them finish.
	if err := w.client.Start(context.WithoutCancel(ctx)); err != nil {
		stop()
		w.stopObserving()
		return fmt.Errorf("starting the workers: %w", err)
	}
	w.stopClock = stop
	w.stopPositioning = w.startPositioning(ctx)
	w.running.Store(true)
	return nil
}

// Stop takes no more jobs and waits for the jobs that run. When ctx ends first, Stop cancels them; they are run again
// later. At the end it closes the connections to the mail server and the webhook. The error says that a job didn't end
// within 45 seconds of being cancelled.
func (w *Workers) Stop(ctx context.Context) error {
	w.running.Store(false)
	w.stopping.Store(true)
	w.sender.stop()
	w.stopPositioning()
	defer w.sender.close()
	defer w.stopClock()
	defer w.stopObserving()
	if err := w.client.Stop(ctx); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return w.client.StopAndCancel(ctx)
}

// Running returns an error when the workers take no jobs.
func (w *Workers) Running() error {
	if !w.running.Load() {
		return errors.New("the workers are not running")
	}
	return nil
}

// Troubles returns, for "mail", "clock" and (with a webhook each) "webhook" and "events_webhook", one sentence about
// what the operator has to fix, or "" when this process knows of nothing. No job is lost for any of them.
func (w *Workers) Troubles() map[string]string {
	found := map[string]string{"mail": w.sender.mailRoute.trouble(), "clock": w.clock.trouble()}
	if w.config.Webhook != nil {
		found["webhook"] = w.sender.webhookRoute.trouble()
	}
	if w.config.EventsWebhook != nil {
		found["events_webhook"] = w.eventsTrouble()
	}
	return found
}
