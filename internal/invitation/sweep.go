package invitation

import (
	"context"
	"time"
)

const (
	// ReminderPeriod is how long before its end an invitee is reminded. An invitation that lives no longer than
	// this gets no reminder.
	ReminderPeriod = 24 * time.Hour
	// sweepBatch is how many invitations are changed in one transaction: few enough to hold nobody up.
	sweepBatch = 75
	// sweepGap is for those who wait to write: SQLite has one writer at a time, and the others look each millisecond whether
	// it is their turn.
	sweepGap = 3 * time.Millisecond
)

// Sweep asks for a look at what time has made due.
type Sweep struct{}

// Kind names the job in the queue.
func (Sweep) Kind() string { return "sweep" }

// Queue is one of its own: what time makes due doesn't wait for a mail server.
func (Sweep) Queue() string { return QueueSweep }

// passage is what time does to an invitation.
type passage struct {
	due  Due
	to   func(*Invitation)
	what EventType
	tell func(Tx, Invitation) error // asks for what is sent then
	from time.Time                  // where the batch before ended: all that was due and older is done
}

// Sweep does what time has made due: it writes expiries and tells the creators, lets invitations out whose projects
// have started, and reminds invitees. Each is done once for an invitation however many sweeps run at once; what is
// left when ctx ends is the next one's. Nothing that reads depends on it.
func (s *Service) Sweep(ctx context.Context) error {
	left := []*passage{
		{due: DueExpiry, to: expired, what: EventExpired, tell: tellExpired},
		{due: DueActivation, to: active, what: EventActivated, tell: s.announce},
	}
	if s.Policy.Lifetime > ReminderPeriod {
		left = append(left, &passage{due: DueReminder, to: reminded, what: EventReminded, tell: tellInvitee})
	}
	// In turns: nobody waits to be let in until all are expired that ran out at once.
	for len(left) > 0 {
		var unfinished []*passage
		for _, each := range left {
			more, err := s.pass(ctx, each)
			if err != nil {
				return err
			}
			if !more {
				continue
			}
			unfinished = append(unfinished, each)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(sweepGap):
			}
		}
		left = unfinished
	}
	return nil
}

// pass does a batch of what is due, and tells whether there may be more. It begins where the one before ended, or an index
// would be gone through again and again past the rows that were due and are not.
func (s *Service) pass(ctx context.Context, p *passage) (more bool, err error) {
	err = s.Store.Write(ctx, func(tx Tx) error {
		found, err := tx.Due(p.due, tx.Now().Add(-s.Policy.Lifetime), p.from, sweepBatch)
		if err != nil || len(found) == 0 {
			return err
		}
		changes := make([]Change, len(found))
		for n, i := range found {
			changed := i
			p.to(&changed)
			changes[n] = Change{i, changed, itself(p.what).event(changed, i.StoredState, changed.StoredState)}
		}
		if err := tx.ReplaceAll(changes); err != nil {
			return err
		}
		for _, each := range changes {
			if err := p.tell(tx, each.Changed); err != nil {
				return err
			}
		}
		p.from, more = found[len(found)-1].Created, len(found) == sweepBatch
		return nil
	})
	return more, err
}

func expired(i *Invitation)  { i.StoredState = Expired }
func active(i *Invitation)   { i.StoredState = Pending }
func reminded(i *Invitation) { i.Reminded = true }

func expire(tx Tx, i Invitation) error {
	if _, err := lapse(tx, i); err != nil {
		return err
	}
	return tellExpired(tx, i)
}

// lapse writes that the time of an invitation is over, and returns it as it is then.
func lapse(tx Tx, i Invitation) (Invitation, error) {
	lapsed := i
	expired(&lapsed)
	return lapsed, replace(tx, i, lapsed, itself(EventExpired))
}

func tellExpired(tx Tx, i Invitation) error { return tellCreator(tx, i, NoticeExpired) }

func tellInvitee(tx Tx, i Invitation) error {
	return tx.Enqueue(Notify{Notice: NoticeReminder, Invitation: i.UUID, Delivery: i.Delivery})
}

// tellCreator asks for a notice to whoever created an invitation, where they are still there.
func tellCreator(tx Tx, i Invitation, notice Notice) error {
	if i.CreatedByUUID == nil {
		return nil
	}
	return tx.Enqueue(Notify{Notice: notice, Invitation: i.UUID, Delivery: i.Delivery, User: *i.CreatedByUUID})
}
