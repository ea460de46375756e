package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"

	"invited/internal/delivery"
	"invited/internal/invitation"
	"invited/internal/lifecycle"
	"invited/internal/tracing"
	"invited/internal/webhook"
)

const (
	// positionsTimeout bounds a look for events that have no position yet.
	positionsTimeout = 20 * time.Second
	// After a look that finds nothing, the pause is at least idleLooks times as long as the look.
	idleLooks = 20
	// maxIdle bounds that pause: a look may have waited for the database.
	maxIdle = 5 * time.Second
	// deliverEventsFor is how long a job sends the events of one invitation before others have their turn.
	deliverEventsFor = jobTimeout / 3
)

// startPositioning gives positions to events about every Config.Poll until stop is called. What fails is tried again.
func (w *Workers) startPositioning(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		wait := w.config.Poll
		for failing := false; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			began := time.Now()
			found, err := w.assignPositions(ctx)
			// On PostgreSQL a look that finds nothing passes the index entries of all events since the last vacuum.
			if wait = w.config.Poll; !found && err == nil {
				wait = max(wait, min(idleLooks*time.Since(began), maxIdle))
			}
			if err != nil && !failing && ctx.Err() == nil {
				w.config.Logger.ErrorContext(ctx, "events can't be given their positions, which is tried again", "error", err)
			}
			failing = err != nil
		}
	})
	return func() { cancel(); running.Wait() }
}

// assignPositions gives positions to events. A panic is an error: the next try may work.
func (w *Workers) assignPositions(ctx context.Context) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, positionsTimeout)
	defer cancel()
	defer recoverAsError(&err)
	return w.config.Lifecycle.AssignPositions(ctx, w.config.EventsWebhook != nil)
}

// recoverAsError is deferred, and turns a panic into an error.
func recoverAsError(err *error) {
	if value := recover(); value != nil {
		*err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
	}
}

// deliverEvents sends the pending events of an invitation in their order, and ends at the first one that fails: the
// others wait for it.
func (w *Workers) deliverEvents(ctx context.Context, a attempt, job lifecycle.Deliver) jobResult {
	if w.config.EventsWebhook == nil {
		return jobResult{retryAfter: maxRetryDelay} // another replica, or a later start, may have one
	}
	next, err := w.config.Lifecycle.Next(ctx, job)
	if err != nil {
		return jobResult{err: err}
	}
	for began := time.Now(); next != nil; {
		if time.Since(began) > deliverEventsFor {
			return jobResult{retryAfter: queuePause}
		}
		if wait := w.sender.eventsRoute.wait(ctx); wait > 0 {
			return jobResult{retryAfter: jitter(wait)}
		}
		sendErr := w.sender.sendEvent(ctx, next)
		if sendErr != nil {
			w.logFailure(ctx, a, sendErr)
		}
		var open errCircuitOpen
		if errors.As(sendErr, &open) {
			return jobResult{retryAfter: jitter(open.retryAfter)} // nothing was sent
		}
		if ctx.Err() != nil && sendErr != nil {
			return jobResult{retryAfter: queuePause} // the process stops
		}
		finished, following := *next, next
		if err := retryUntilDone(ctx, func(ctx context.Context) (err error) {
			finished, following, err = w.config.Lifecycle.Finish(ctx, *next, sendErr != nil)
			return err
		}); err != nil {
			w.config.Logger.ErrorContext(ctx, "the delivery of an event could not be recorded: the event is sent again",
				"args", a.args, "error", err)
			return jobResult{retryAfter: jitter(firstRetryDelay)}
		}
		next = following
		switch finished.State {
		case lifecycle.Pending:
			return jobResult{retryAfter: eventRetryDelay(finished.Failures, sendErr)}
		case lifecycle.GivenUp:
			w.givenUp.note()
			w.config.Logger.ErrorContext(ctx, "an event was given up; send it again by invited events redeliver",
				"invitation", finished.InvitationUUID, "webhook_id", finished.ID(), "attempts", finished.Failures)
		case lifecycle.Delivered:
		}
	}
	return jobResult{}
}

// eventRetryDelay returns the delay after the last of some attempts that failed.
func eventRetryDelay(failures int, err error) time.Duration {
	delay := jitter(retryDelay(failures))
	var f *delivery.Failure
	if errors.As(err, &f) {
		delay = max(delay, f.RetryAfter)
	}
	return delay
}

// sendEvent posts an event. A panic is returned as an error: it must not hold up the events of the invitation for ever.
func (s *sender) sendEvent(ctx context.Context, d *lifecycle.Delivery) (err error) {
	defer recoverAsError(&err)
	ctx, span := tracing.Start(ctx, "send event", "invited.request_id", d.Event.RequestID) // of the request that caused it
	defer func() {
		failure := ""
		if err != nil {
			failure = "failed"
		}
		span.End(failure)
	}()
	return s.eventsRoute.do(func() error {
		return s.eventsWebhook.SendEvent(ctx, d.ID(), s.clock.NowUTC(), eventPayload(d.Event))
	})
}

func eventPayload(e invitation.Event) webhook.Event {
	kind := string(lifecycle.TypeOf(e))
	return webhook.Event{
		Type: kind, Timestamp: webhook.Time(e.Created),
		Data: webhook.EventData{
			ID:             *e.Position,
			Type:           kind,
			InvitationUUID: e.InvitationUUID.String(),
			ScopeUUID:      textOrEmpty(e.ScopeUUID),
			CustomerUUID:   textOrEmpty(e.CustomerUUID),
			Created:        webhook.Time(e.Created),
			EventType:      string(e.Type),
			UserUUID:       textOrEmpty(e.UserUUID),
			UserUsername:   e.UserUsername,
			UserFullName:   e.UserFullName,
			FromState:      string(e.FromState),
			ToState:        string(e.ToState),
			Email:          e.Email,
			RoleUUID:       e.RoleUUID.String(),
			RoleName:       e.RoleName,
			ExecutionState: string(e.ExecutionState),
			ErrorMessage:   e.ErrorMessage,
			Notice:         string(e.Notice),
			Channel:        string(e.Channel),
			Recipient:      e.Recipient,
			RequestID:      e.RequestID,
			Reason:         e.Reason,
		},
	}
}

func textOrEmpty(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

// occurrence is when something happened last in this process.
type occurrence struct {
	mu sync.Mutex
	at time.Time
}

func (o *occurrence) note() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = time.Now()
}

// isRecent reports whether it happened within staleAfter.
func (o *occurrence) isRecent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.at.IsZero() && time.Since(o.at) < staleAfter
}

// eventsTrouble returns what the operator has to know about the events; empty: nothing.
func (w *Workers) eventsTrouble() string {
	trouble := w.sender.eventsRoute.trouble()
	if trouble == "" && w.givenUp.isRecent() {
		trouble = "Events were given up after three days; the operator can send them again by invited events redeliver."
	}
	return trouble
}
