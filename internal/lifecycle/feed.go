package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// Service has the use cases. Store must be set.
type Service struct {
	Store Store
	// Retention is how long events are kept; 0: for ever.
	Retention time.Duration
}

// DeletedThrough returns the highest position of an event that was deleted because of its age; 0: there is none. A reader of
// the feed who asks for what came after a lower position may miss events.
func (s *Service) DeletedThrough(ctx context.Context) (int64, error) {
	return s.Store.DeletedThrough(ctx)
}

// Feed returns events in the order of their positions, and whether there are more. Staff and support read the events of
// all invitations. Others read those of a customer whose invitations they see: Feed returns fault.KindForbidden where
// they name no customer, and fault.KindNotFound where they name any other customer.
func (s *Service) Feed(ctx context.Context, caller directory.Actor, q Query) (found []invitation.Event, more bool, err error) {
	if err := mayRead(caller, q.Customer); err != nil {
		return nil, false, err
	}
	limit := q.Limit
	q.Limit++
	found, err = s.Store.ListFeed(ctx, caller.UUID, q)
	if len(found) > limit {
		return found[:limit], true, err
	}
	return found, false, err
}

// mayRead returns why a caller may not read the events of a customer; nil: the caller may. No customer means all.
func mayRead(caller directory.Actor, customer *uuid.UUID) error {
	switch visible := caller.Visibility(); {
	case visible.All:
		return nil
	case customer == nil:
		return fault.Forbidden()
	case !slices.Contains(visible.Customers, *customer):
		return fault.NotFound()
	}
	return nil
}
