package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/invitation"
)

// GiveUpAfter is how long a delivery is tried after its first failure.
const GiveUpAfter = 3 * 24 * time.Hour

// dispatchBatch is the number of events that one transaction numbers.
const dispatchBatch = 1_000

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
	Delivered DeliveryState = "sent"
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

// ID returns the webhook-id: that of every attempt at the delivery, and of no other event.
func (d Delivery) ID() string { return fmt.Sprintf("%s.event.%d", d.InvitationUUID, d.Position) }

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
		d.State, d.Ended = GivenUp, &now
	}
	return d
}

// Dispatch gives a position to each event that is committed and has none, and reports whether there was one.
func (s *Service) Dispatch(ctx context.Context) (found bool, err error) {
	found, err = s.Store.HasUnnumbered(ctx)
	if err != nil || !found {
		return false, err
	}
	var deliver func(invitation.Event) bool
	if s.Webhook {
		deliver = func(e invitation.Event) bool { return TypeOf(e) != "" }
	}
	for n := dispatchBatch; n == dispatchBatch && err == nil; {
		n, err = s.Store.Number(ctx, dispatchBatch, deliver)
	}
	return true, err
}

// Sweep writes the jobs of invitations whose deliveries are pending while their job is gone, for example by hand.
func (s *Service) Sweep(ctx context.Context) error {
	for {
		n, err := s.Store.RestoreJobs(ctx, restoreBatch)
		if err != nil || n < restoreBatch {
			return err
		}
	}
}

// Next returns the delivery of an invitation that is to be made next, with its event; nil: there is none.
func (s *Service) Next(ctx context.Context, job Deliver) (*Delivery, error) {
	return s.Store.NextDelivery(ctx, job.Invitation)
}

// Finish records how an attempt at a delivery ended. It returns the delivery as it is then, and the next one of its
// invitation, which is the same one where it is to be tried again; nil: there is none, and the job is done.
func (s *Service) Finish(ctx context.Context, d Delivery, failed bool) (finished Delivery, next *Delivery, err error) {
	if failed {
		return s.Store.FinishDelivery(ctx, d, fail)
	}
	return s.Store.FinishDelivery(ctx, d, succeed)
}

// Redeliver has the deliveries made again that were made or given up in a period, in their order and with their
// webhook-ids. It returns how many deliveries of how many invitations those are. It changes nothing where dry is true.
func (s *Service) Redeliver(ctx context.Context, r Redelivery, dry bool) (deliveries, invitations int, err error) {
	return s.Store.Redeliver(ctx, r, dry)
}
