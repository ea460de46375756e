package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"invited/internal/invitation"
)

// GiveUpAfter is how long a delivery is tried after its first failure.
const GiveUpAfter = 3 * 24 * time.Hour

// batch is the number of events or deliveries that one transaction changes. On SQLite everybody who writes waits for
// it: 100 events take it 8 ms, 1,000 take it 200 ms. On PostgreSQL both sizes change as many in a second.
const batch = 100

// restoreBatch is the number of jobs that one transaction of a sweep writes.
const restoreBatch = 1_000

// QueueEvents is the queue of the jobs that send events.
const QueueEvents = "events"

// Deliver is the job that sends the pending deliveries of an invitation.
type Deliver struct {
	Invitation uuid.UUID `json:"invitation"`
}

// Kind implements invitation.Job.
func (Deliver) Kind() string { return "deliver_events" }

// Queue implements invitation.Job.
func (Deliver) Queue() string { return QueueEvents }

// DeliveryState says how far the delivery of an event is.
type DeliveryState string

// The states of a delivery, as the database has them.
const (
	Pending   DeliveryState = "pending"
	Delivered DeliveryState = "sent" // to the webhook; the type Sent is about an invitation
	GivenUp   DeliveryState = "given_up"
)

// Delivery is the sending of one event to the webhook.
type Delivery struct {
	Position       int64 `gorm:"primaryKey;autoIncrement:false"` // of the event
	InvitationUUID uuid.UUID
	State          DeliveryState
	Failures       int        // attempts that failed since the delivery became pending
	FirstFailed    *time.Time // the first of them; nil: none
	Ended          *time.Time // nil: pending

	Event invitation.Event `gorm:"-"`
}

// TableName implements gorm's Tabler.
func (Delivery) TableName() string { return "event_deliveries" }

// ID returns the webhook-id. All attempts at one delivery share it, and no other event has it. It has no dot: the signature
// joins the parts of what is signed by dots.
func (d Delivery) ID() string { return fmt.Sprintf("%s_event_%d", d.InvitationUUID, d.Position) }

// succeed returns a delivery that was made.
func succeed(d Delivery, now time.Time) Delivery {
	d.State, d.Ended = Delivered, &now
	return d
}

// fail returns a delivery after an attempt that failed.
func fail(d Delivery, now time.Time) Delivery {
	d.Failures++
	if d.FirstFailed == nil {
		d.FirstFailed = &now
	}
	if now.Sub(*d.FirstFailed) >= GiveUpAfter {
		return giveUp(d, now)
	}
	return d
}

// giveUp returns a delivery that is tried no more.
func giveUp(d Delivery, now time.Time) Delivery {
	d.State, d.Ended = GivenUp, &now
	return d
}

// AssignPositions gives a position to each event that is committed and has none, and reports whether there was one.
// Events that get their position while send is false are never sent to the webhook.
func (s *Service) AssignPositions(ctx context.Context, send bool) (found bool, err error) {
	found, err = s.Store.HasUnpositioned(ctx)
	if err != nil || !found {
		return false, err
	}
	var deliver func(invitation.Event) bool
	if send {
		deliver = func(e invitation.Event) bool { return TypeOf(e) != "" }
	}
	for n := batch; n == batch && err == nil; {
		n, err = s.Store.AssignPositions(ctx, batch, deliver)
	}
	return true, err
}

// Sweep writes the jobs of invitations whose deliveries are pending while their job is gone, for example by hand. Then it
// deletes events that are older than Retention.
func (s *Service) Sweep(ctx context.Context) error {
	for n := restoreBatch; n == restoreBatch; {
		var err error
		if n, err = s.Store.RestoreJobs(ctx, restoreBatch); err != nil {
			return err
		}
	}
	if s.Retention == 0 {
		return nil
	}
	return s.deleteOld(ctx)
}

// maxDeleted is the number of events of each kind that one sweep deletes: notices wait while a sweep runs. What is left is left
// to the next sweeps.
const maxDeleted = 20_000

// deleteOld deletes the events of invitations and of group invitations that are older than Retention. It reads in the order of
// writing, and so stops at the first event that is kept. An event that has no position yet, or that is still to be sent to the
// webhook, stays.
func (s *Service) deleteOld(ctx context.Context) error {
	for deleted, last := 0, int64(0); deleted < maxDeleted; {
		old, err := s.Store.FindOld(ctx, s.Retention, last, batch)
		if err != nil {
			return err
		}
		if len(old.IDs) > 0 {
			n, err := s.Store.DeleteEvents(ctx, old.IDs)
			if err != nil {
				return err
			}
			deleted += n
		}
		if !old.More {
			break
		}
		last = old.Last
	}
	for deleted, n := 0, batch; deleted < maxDeleted && n == batch; deleted += n {
		var err error
		if n, err = s.Store.DeleteGroupEvents(ctx, s.Retention, batch); err != nil {
			return err
		}
	}
	return nil
}

// Next returns the delivery of an invitation that is to be made next, with its event; nil: there is none.
func (s *Service) Next(ctx context.Context, job Deliver) (*Delivery, error) {
	next, err := s.Store.NextDelivery(ctx, job.Invitation)
	if err != nil {
		return nil, err
	}
	return s.withEvent(ctx, next)
}

// withEvent gives up a delivery whose event is gone, and those behind it, and returns the next one that has its event.
func (s *Service) withEvent(ctx context.Context, next *Delivery) (*Delivery, error) {
	for next != nil && next.Event.Position == nil {
		var err error
		if _, next, err = s.Store.FinishDelivery(ctx, *next, giveUp); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// Finish records how an attempt at a delivery ended. It returns the delivery as it is then, and the next one of its
// invitation, which is the same one where it is to be tried again; nil: there is none, and the job is done. Where
// another job has ended the delivery, Finish returns what that one has recorded; no state: the delivery was deleted.
func (s *Service) Finish(ctx context.Context, d Delivery, failed bool) (finished Delivery, next *Delivery, err error) {
	finish := succeed
	if failed {
		finish = fail
	}
	if finished, next, err = s.Store.FinishDelivery(ctx, d, finish); err != nil {
		return finished, nil, err
	}
	next, err = s.withEvent(ctx, next)
	return finished, next, err
}

// Redeliver makes ended deliveries of a period pending again. They are made in their order and with their webhook-ids.
// Redeliver returns how many deliveries of how many invitations those are. It changes nothing where dry is true. An
// error leaves a part of them pending.
func (s *Service) Redeliver(ctx context.Context, r Redelivery, dry bool) (deliveries, invitations int, err error) {
	found, err := s.Store.FindEnded(ctx, r)
	if err != nil {
		return 0, 0, err
	}
	ids := map[uuid.UUID]bool{}
	for _, d := range found {
		ids[d.InvitationUUID] = true
	}
	if !dry {
		for part := range slices.Chunk(found, batch) {
			if err := s.Store.Redeliver(ctx, part); err != nil {
				return 0, 0, err
			}
		}
	}
	return len(found), len(ids), nil
}
