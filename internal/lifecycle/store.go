package lifecycle

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/invitation"
)

// Store is the database as the use cases need it. Each method returns fault.KindUnavailable where the database is out
// of reach or busy.
type Store interface {
	// ListFeed returns the events that have a position and pass a query, in the order of their positions. Lists of one
	// caller wait for each other.
	ListFeed(ctx context.Context, caller uuid.UUID, q Query) ([]invitation.Event, error)
	// HasUnpositioned reports whether an event has no position.
	HasUnpositioned(ctx context.Context) (bool, error)
	// AssignPositions gives the next positions to at most limit events that have none, in the order of their ids, and
	// returns the number of those events. It writes a pending delivery for each event that deliver picks, and a job for
	// each invitation that has no other pending delivery. A nil deliver picks none. AssignPositions returns 0 while
	// another transaction assigns positions.
	AssignPositions(ctx context.Context, limit int, deliver func(invitation.Event) bool) (int, error)
	// RestoreJobs writes a job for each of at most limit invitations that have a pending delivery and no job, and returns
	// their number.
	RestoreJobs(ctx context.Context, limit int) (int, error)
	// NextDelivery returns the pending delivery of an invitation with the lowest position, with its event, which is the
	// zero Event where it is gone; nil: there is no pending delivery.
	NextDelivery(ctx context.Context, invitation uuid.UUID) (*Delivery, error)
	// FinishDelivery writes what finish makes of a delivery at the present time, and returns it with the next delivery of
	// its invitation; nil: there is none, and AssignPositions and Redeliver write another job with the next one. Where
	// the delivery is not pending any more FinishDelivery writes nothing, and returns the stored delivery; the zero
	// Delivery where that is gone.
	FinishDelivery(ctx context.Context, d Delivery, finish func(Delivery, time.Time) Delivery) (finished Delivery, next *Delivery, err error)
	// DeletedThrough returns the highest position of an event that DeleteEvents deleted; 0: there is none.
	DeletedThrough(ctx context.Context) (int64, error)
	// FindOld returns, of the first events that follow an id, at most limit, those that are older than a time, have a position
	// and are not to be sent to the webhook any more.
	FindOld(ctx context.Context, retention time.Duration, after int64, limit int) (Old, error)
	// DeleteEvents deletes events, with their deliveries, and returns their number. Those that are to be sent again by now
	// stay.
	DeleteEvents(ctx context.Context, ids []int64) (int, error)
	// DeleteGroupEvents deletes the first events of group invitations, at most limit, that are older than a time, and returns
	// their number.
	DeleteGroupEvents(ctx context.Context, retention time.Duration, limit int) (int, error)
	// FindEnded returns position and invitation of the deliveries that have ended in a period, in the order of their
	// positions.
	FindEnded(ctx context.Context, r Redelivery) ([]Delivery, error)
	// Redeliver makes deliveries that have ended pending again, with the jobs that AssignPositions would write.
	Redeliver(ctx context.Context, deliveries []Delivery) error
}

// Query asks for events of the feed.
type Query struct {
	After      int64 // the events that have a higher position
	Customer   *uuid.UUID
	Invitation *uuid.UUID
	Types      []invitation.EventType // any of these; none: all
	Limit      int
}

// Old are the old events of a part of all events.
type Old struct {
	IDs  []int64 // the old events that can be deleted
	Last int64   // the id of the last event that was looked at
	More bool    // the events after Last may be old too
}

// Redelivery says which deliveries are made again.
type Redelivery struct {
	Since      time.Time  // they ended then or later
	Until      *time.Time // they ended before; nil: until now
	Invitation *uuid.UUID // nil: those of all invitations
}
