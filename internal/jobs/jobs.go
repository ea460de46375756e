package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"invited/internal/invitation"
	"invited/internal/mail"

	"invited/internal/delivery"
)

const (
	workers = 8 // at once, in one process
	// jobTimeout bounds one attempt, a slow mail server included.
	jobTimeout = time.Minute
	// rescueAfter is when the job of a process that died is taken up again: later than any attempt lasts.
	rescueAfter = 2 * time.Minute
	// finishTimeout bounds the note of how an attempt ended, which is made even where the process is stopping.
	finishTimeout = 10 * time.Second
)

// Pauses between the attempts at one job: the first, doubled each time up to the longest.
const (
	firstPause   = 10 * time.Second
	longestPause = time.Hour
)

// Config is what the workers are made of.
type Config struct {
	Queue     riverdriver.Driver[*sql.Tx]
	Service   *invitation.Service
	Renderer  *mail.Renderer
	Transport mail.Transport
	MailHost  string        // the right side of Message-IDs
	Sweep     time.Duration // how often time-driven work is looked at; 0: every 15 minutes
	Poll      time.Duration // how often the queue is asked for new jobs; 0: every 500 ms
	Logger    *slog.Logger
}

// Workers takes jobs from the queue and does them.
type Workers struct {
	client  *river.Client[*sql.Tx]
	running atomic.Bool
}

// New returns workers that wait to be started.
func New(c Config) (*Workers, error) {
	c.Poll = cmp.Or(c.Poll, 500*time.Millisecond)
	c.Sweep = cmp.Or(c.Sweep, 15*time.Minute)
	all := river.NewWorkers()
	post := post{c}
	river.AddWorker(all, &deliverer{post: post})
	river.AddWorker(all, &notifier{post: post})
	river.AddWorker(all, &sweeper{service: c.Service})
	client, err := river.NewClient(c.Queue, &river.Config{
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers:              all,
		PeriodicJobs:         []*river.PeriodicJob{sweeps(c.Sweep)},
		FetchCooldown:        min(c.Poll, 100*time.Millisecond),
		FetchPollInterval:    c.Poll,
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		RetryPolicy:          pauses{},
		ErrorHandler:         errorLog{c.Logger},
		Logger:               slog.New(quiet{c.Logger.Handler()}),
	})
	if err != nil {
		return nil, fmt.Errorf("the job queue can't be opened: %w", err)
	}
	return &Workers{client: client}, nil
}

// Start begins to take jobs. It returns once the queue has been reached; Stop ends what it began.
func (w *Workers) Start(ctx context.Context) error {
	// Not stopped by ctx: a cancelled context would end jobs in the middle, where Stop lets them finish.
	if err := w.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the workers: %w", err)
	}
	w.running.Store(true)
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends first they are cancelled; they are done again
// later.
func (w *Workers) Stop(ctx context.Context) error {
	w.running.Store(false)
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

// post renders and sends letters.
type post struct{ Config }

// send hands a letter over, dated when it was asked for: a second attempt is the same mail. The error is what
// mail.Transport says of it. A panic is an error too: the row must not stay Processing for it.
func (p post) send(ctx context.Context, l *invitation.Letter, asked time.Time) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic while sending: %v\n%s", value, debug.Stack())
		}
	}()
	v := l.Invitation
	content := mail.Invitation{
		Email:           v.Email,
		ScopeName:       v.Scope.Name,
		ScopeType:       string(v.Scope.Type),
		RoleName:        v.Role.Name,
		RoleDescription: v.Role.Description,
		ExtraText:       v.ExtraInvitationText,
		Link:            l.Link,
		ApproveLink:     l.ApproveLink,
		RejectLink:      l.RejectLink,
		Expires:         v.Expires,
		Reminder:        l.Notice == invitation.NoticeReminder,
	}
	if l.Notice == invitation.NoticeRequested {
		content.Expires = l.LinksEnd
	}
	if v.CreatedBy != nil {
		content.Inviter = v.CreatedBy.DisplayName()
		if content.Reminder && v.CreatedBy.FullName == "" && v.CreatedBy.Email != "" {
			content.Inviter = v.CreatedBy.Email
		}
	}
	if v.Scope.UUID != v.CustomerUUID {
		content.CustomerName = v.Scope.Customer.Name
	}
	message, err := p.Renderer.Render(kinds[l.Notice], l.To, l.ID+"@"+p.MailHost, asked, content)
	if err != nil {
		return err
	}
	return p.Transport.Send(ctx, message)
}

// kinds names the mail of each notice; the empty one is the invitation itself.
var kinds = map[invitation.Notice]mail.Kind{
	"":                         mail.InvitationCreated,
	invitation.NoticeRequested: mail.InvitationRequested,
	invitation.NoticeRejected:  mail.InvitationRejected,
	invitation.NoticeExpired:   mail.InvitationExpired,
	invitation.NoticeReminder:  mail.InvitationCreated,
}

// failure says of an error why and whether for good. One that the transport did not explain may pass.
func failure(err error) (reason string, final bool) {
	var f *delivery.Failure
	if errors.As(err, &f) {
		return f.Reason, f.Final
	}
	return "The mail could not be sent because of an internal error. It is tried again.", false
}

// deliverer delivers invitations.
type deliverer struct {
	river.WorkerDefaults[invitation.Deliver]
	post
}

func (w *deliverer) Work(ctx context.Context, job *river.Job[invitation.Deliver]) error {
	letter, err := w.Service.BeginDelivery(ctx, job.Args)
	if err != nil || letter == nil {
		return err
	}
	sent := w.send(ctx, letter, job.CreatedAt)
	var outcome invitation.Outcome
	final := false
	if sent != nil {
		outcome.Failed = true
		outcome.Reason, final = failure(sent)
	}
	// Noted even where the process is stopping: the mail may have gone out.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := w.Service.FinishDelivery(finish, job.Args, outcome); err != nil {
		return errors.Join(err, sent)
	}
	if final {
		return river.JobCancel(sent)
	}
	return sent
}

// notifier sends notices.
type notifier struct {
	river.WorkerDefaults[invitation.Notify]
	post
}

func (w *notifier) Work(ctx context.Context, job *river.Job[invitation.Notify]) error {
	letter, err := w.Service.Letter(ctx, job.Args)
	if err != nil || letter == nil {
		return err
	}
	if err := w.send(ctx, letter, job.CreatedAt); err != nil {
		if _, final := failure(err); final {
			return river.JobCancel(err)
		}
		return err
	}
	return nil
}

// sweeper does what time has made due.
type sweeper struct {
	river.WorkerDefaults[invitation.Sweep]
	service *invitation.Service
}

func (w *sweeper) Work(ctx context.Context, _ *river.Job[invitation.Sweep]) error {
	return w.service.Sweep(ctx)
}

// sweeps has a sweep enqueued at once and then every interval, by one of the processes on a database. A sweep that
// still waits or runs is not joined by another, and one that fails is not tried again: the next will do.
func sweeps(interval time.Duration) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) {
			return invitation.Sweep{}, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{
				ByState: []rivertype.JobState{
					rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
					rivertype.JobStateRetryable, rivertype.JobStateScheduled,
				},
			}}
		}, &river.PeriodicJobOpts{RunOnStart: true})
}

// pauses grow from attempt to attempt, each a little off so that what failed together is not tried together.
type pauses struct{}

// NextRetry is when a job that failed is tried again.
func (pauses) NextRetry(job *rivertype.JobRow) time.Time {
	pause := longestPause
	if doublings := job.Attempt - 1; doublings < 16 {
		pause = min(longestPause, firstPause<<max(0, doublings))
	}
	return time.Now().Add(pause + rand.N(pause/5)) //nolint:gosec // spreads load; nothing secret
}

// errorLog logs every failed attempt once, with what it was about.
type errorLog struct{ logger *slog.Logger }

func (l errorLog) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	l.logger.ErrorContext(ctx, "job failed", "kind", job.Kind, "args", string(job.EncodedArgs),
		"attempt", job.Attempt, "error", err)
	return nil
}

func (l errorLog) HandlePanic(
	ctx context.Context, job *rivertype.JobRow, value any, trace string,
) *river.ErrorHandlerResult {
	l.logger.ErrorContext(ctx, "job panicked", "kind", job.Kind, "args", string(job.EncodedArgs),
		"attempt", job.Attempt, "panic", fmt.Sprint(value), "trace", trace)
	return nil
}

// quiet passes on the queue's own warnings and errors: its news of the ordinary course of things is noise.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// Handle drops what the queue says of its own stopping.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	stopping := false
	r.Attrs(func(a slog.Attr) bool {
		stopping = stopping || strings.Contains(a.Value.String(), context.Canceled.Error())
		return !stopping
	})
	if stopping {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
