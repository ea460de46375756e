package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"invited/internal/invitation"
)

// deliverer delivers invitations.
type deliverer struct {
	river.WorkerDefaults[invitation.Deliver]
	*post
}

func (w *deliverer) Work(ctx context.Context, job *river.Job[invitation.Deliver]) error {
	letter, err := w.Service.BeginDelivery(ctx, job.Args)
	if err != nil || letter == nil {
		return err
	}
	sent := w.send(ctx, letter, job.CreatedAt)
	outcome := outcomeOf(sent)
	if sent != nil {
		w.log(ctx, job.JobRow, sent)
	}
	if err := insist(ctx, func(ctx context.Context) error {
		return w.Service.FinishDelivery(ctx, job.Args, letter, outcome)
	}); err != nil {
		// Whoever reads the row is not to wait for long because this could not be written.
		w.Logger.ErrorContext(ctx, "how a delivery ended could not be noted: it is made again", "args",
			string(job.EncodedArgs), "attempt", job.Attempt, "error", err)
		return river.JobSnooze(w.clock.sleep(jittered(firstPause)))
	}
	return w.concluded(sent)
}

// outcomeOf is what is noted of a letter that was sent or not.
func outcomeOf(sent error) invitation.Outcome {
	if sent == nil {
		return invitation.Outcome{}
	}
	reason, _ := failure(sent)
	return invitation.Outcome{Failed: true, Reason: reason}
}

// told is what the queue keeps of an error that was logged: words for anybody, and fit for every database.
type told string

func (t told) Error() string { return string(t) }

// concluded is what the queue is told of a letter that was sent or not.
func (p *post) concluded(sent error) error {
	if sent == nil {
		return nil
	}
	reason, final := failure(sent)
	var held heldBack
	switch {
	case errors.As(sent, &held): // which was no attempt
		return river.JobSnooze(p.clock.sleep(jittered(time.Duration(held))))
	case final:
		return river.JobCancel(told(reason))
	default:
		return told(reason)
	}
}

// notifier sends notices.
type notifier struct {
	river.WorkerDefaults[invitation.Notify]
	*post
	gate *gate
}

func (w *notifier) Work(ctx context.Context, job *river.Job[invitation.Notify]) error {
	if job.Queue == invitation.QueueNotices {
		w.gate.pass(ctx)
	}
	letter, err := w.Service.BeginNotice(ctx, job.Args)
	if err != nil || letter == nil {
		return err
	}
	sent := w.send(ctx, letter, job.CreatedAt)
	if sent != nil {
		w.log(ctx, job.JobRow, sent)
	}
	if outcome := outcomeOf(sent); !old(job.JobRow, sent, outcome) {
		if err := insist(ctx, func(ctx context.Context) error {
			return w.Service.FinishNotice(ctx, letter, outcome)
		}); err != nil {
			// A mail is not sent again for the sake of its event.
			w.Logger.ErrorContext(ctx, "how a notice ended could not be noted", "args", string(job.EncodedArgs), "error", err)
		}
	}
	return w.concluded(sent) // that it went out is noted by the queue: see executor
}

// old tells whether a notice failed without its being tried, or as it did the last time.
func old(job *rivertype.JobRow, sent error, outcome invitation.Outcome) bool {
	last := len(job.Errors) - 1
	return errors.As(sent, new(heldBack)) ||
		sent != nil && last >= 0 && job.Errors[last].Error == outcome.Reason
}

// insist repeats f until it succeeds or its time is over, even where the process is stopping: what it notes has happened,
// and would happen a second time if it were not noted. A database that restarts is back within that time.
func insist(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(finishTimeout / 100):
		}
	}
}

// sweepFirst is how long a notice lets a sweep of its process go on before it is sent all the same.
const sweepFirst = 20 * time.Second

// gate is shut while a sweep runs: to mail what it asks for at the same time would have both take twice as long, and who
// asks the server wait. There is one sweep at a time.
type gate struct{ shut atomic.Pointer[chan struct{}] }

// pass waits until no sweep runs, for sweepFirst at most.
func (g *gate) pass(ctx context.Context) {
	shut := g.shut.Load()
	if shut == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sweepFirst)
	defer cancel()
	select {
	case <-*shut:
	case <-ctx.Done():
	}
}

// sweeper does what time has made due.
type sweeper struct {
	river.WorkerDefaults[invitation.Sweep]
	service *invitation.Service
	gate    *gate
}

// Timeout is how long a sweep may go on; what is left then is the next one's.
func (w *sweeper) Timeout(*river.Job[invitation.Sweep]) time.Duration { return sweepTimeout }

func (w *sweeper) Work(ctx context.Context, _ *river.Job[invitation.Sweep]) error {
	over := make(chan struct{})
	w.gate.shut.Store(&over)
	defer func() {
		w.gate.shut.Store(nil)
		close(over)
	}()
	return w.service.Sweep(ctx)
}
