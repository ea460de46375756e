package jobs

import (
	"context"
	"errors"
	"time"

	"invited/internal/delivery"
	"invited/internal/identity"
	"invited/internal/invitation"
)

// attempt describes one run of a job.
type attempt struct {
	kind      string
	args      string // JSON; ids, never addresses
	queue     string
	number    int       // 1 for the first
	enqueued  time.Time // when the job was enqueued
	lastError string    // of the attempt before this one; empty for none
}

// jobResult is the end of an attempt. The zero value means that the job is done.
type jobResult struct {
	err        error         // why the job failed; it is tried again after retryDelay
	final      bool          // the job failed for good
	retryAfter time.Duration // not zero: this was no attempt, and the job is due again after this time
}

// loggedError is an error that is already in the log. The queue stores its text: a sentence that any user may read, and
// that every database can store.
type loggedError string

func (e loggedError) Error() string { return string(e) }

// deliver sends an invitation to its invitee and records the outcome.
func (w *Workers) deliver(ctx context.Context, a attempt, job invitation.Deliver) jobResult {
	var message *invitation.Message
	var err error
	// An invitation that waits for its turn is Scheduled, not Processing. What is not sent any more takes no turn.
	if wait := w.sender.route(job.Webhook).begin(ctx, func() bool {
		message, err = w.config.Service.BeginDelivery(ctx, job)
		return message != nil
	}); wait > 0 {
		return jobResult{retryAfter: jitter(wait)}
	}
	if err != nil || message == nil {
		return jobResult{err: err}
	}
	sendErr := w.sender.send(ctx, message, a.enqueued)
	if sendErr != nil {
		w.logFailure(ctx, a, sendErr)
	}
	if err := retryUntilDone(ctx, func(ctx context.Context) error {
		return w.config.Service.FinishDelivery(ctx, job, message, outcome(sendErr))
	}); err != nil {
		// The delivery is made again soon: until then the invitation says Processing.
		w.config.Logger.ErrorContext(ctx, "the outcome of a delivery could not be recorded: the delivery is made again",
			"args", a.args, "attempt", a.number, "error", err)
		return jobResult{retryAfter: jitter(firstRetryDelay)}
	}
	return result(sendErr)
}

// notify sends a notice and records the outcome.
func (w *Workers) notify(ctx context.Context, a attempt, job invitation.Notify) jobResult {
	if a.queue == invitation.QueueNotices {
		w.barrier.wait(ctx)
	}
	message, wait, err := w.config.Service.BeginNotice(ctx, job)
	if err != nil || message == nil {
		return jobResult{err: err, retryAfter: wait}
	}
	if message.Withheld != "" {
		withheld := invitation.Outcome{Failed: true, Final: true, Reason: message.Withheld}
		return jobResult{err: w.config.Service.FinishNotice(ctx, job, message, withheld)}
	}
	return w.sendNotice(ctx, a, job.Gathered,
		func(a attempt) error { return w.sender.send(ctx, message, a.enqueued) },
		func(ctx context.Context, o invitation.Outcome) error {
			return w.config.Service.FinishNotice(ctx, job, message, o)
		})
}

// sendNotice sends the mail of a notice once the route lets it go, and records the outcome. Each attempt at a gathered notice
// is another mail, and has another date.
func (w *Workers) sendNotice(
	ctx context.Context, a attempt, gathered bool, send func(attempt) error, finish func(context.Context, invitation.Outcome) error,
) jobResult {
	if wait := w.sender.mailRoute.wait(ctx); wait > 0 { // only now: most notices about requests go out with another one
		return jobResult{retryAfter: jitter(wait)}
	}
	if gathered {
		a.enqueued = w.clock.NowUTC()
	}
	sendErr := send(a)
	if sendErr != nil {
		w.logFailure(ctx, a, sendErr)
	}
	if !isRepeated(a, sendErr) {
		if err := retryUntilDone(ctx, func(ctx context.Context) error { return finish(ctx, outcome(sendErr)) }); err != nil {
			// The job ends all the same: a mail is not sent again because its event is missing. The requests of a mail that
			// were gathered are sent again, with the job of one of the others.
			w.config.Logger.ErrorContext(ctx, "the outcome of a notice could not be recorded", "args", a.args, "error", err)
		}
	}
	return result(sendErr)
}

// sendCode mails the code of somebody who signs in. A code that does not work any more is not sent.
func (w *Workers) sendCode(ctx context.Context, a attempt, job identity.SendCode) jobResult {
	message, err := w.config.Identity.CodeMessage(ctx, job)
	if err != nil || message == nil {
		return jobResult{err: err}
	}
	if wait := w.sender.mailRoute.wait(ctx); wait > 0 {
		return jobResult{retryAfter: jitter(wait)}
	}
	sendErr := w.sender.sendCode(ctx, job, message, a.enqueued)
	if sendErr != nil {
		w.logFailure(ctx, a, sendErr)
	}
	return result(sendErr)
}

// isRepeated reports whether a notice failed as its last attempt did, or was not tried: neither is an event.
func isRepeated(a attempt, sendErr error) bool {
	return errors.As(sendErr, new(errCircuitOpen)) || sendErr != nil && a.lastError == outcome(sendErr).Reason
}

func outcome(sendErr error) invitation.Outcome {
	if sendErr == nil {
		return invitation.Outcome{}
	}
	reason, final := explain(sendErr)
	return invitation.Outcome{Failed: true, Final: final, Reason: reason}
}

func result(sendErr error) jobResult {
	if sendErr == nil {
		return jobResult{}
	}
	var open errCircuitOpen
	if errors.As(sendErr, &open) {
		return jobResult{retryAfter: jitter(open.retryAfter)}
	}
	reason, final := explain(sendErr)
	return jobResult{err: loggedError(reason), final: final}
}

// explain returns the reason of an error for users, and whether the failure is final. An error that is no
// delivery.Failure is not final.
func explain(err error) (reason string, final bool) {
	var f *delivery.Failure
	switch {
	case !errors.As(err, &f):
		return "The invitation could not be sent because of an internal error." + invitation.RetryPromise, false
	case f.Final:
		return f.Reason, true
	default:
		return f.Reason + invitation.RetryPromise, false
	}
}

// logFailure logs that a message was not sent, at the level of what somebody has to do about it.
func (w *Workers) logFailure(ctx context.Context, a attempt, err error) {
	logger := w.config.Logger.With("kind", a.kind, "args", a.args, "attempt", a.number, "error", err)
	var f *delivery.Failure
	switch {
	case errors.As(err, new(errCircuitOpen)):
		logger.DebugContext(ctx, "not delivered, and tried again later") // the attempt that opened the circuit was an error
	case !errors.As(err, &f):
		logger.ErrorContext(ctx, "not delivered, and tried again later")
	case f.Blocked:
		logger.ErrorContext(ctx, "nothing is delivered this way until the operator fixes it")
	case f.Operator:
		logger.ErrorContext(ctx, "not delivered until the operator fixes it")
	case f.Final:
		logger.WarnContext(ctx, "refused, and not tried again until somebody sends the invitation again")
	default:
		logger.WarnContext(ctx, "not delivered, and tried again later")
	}
}
