package invitation

import (
	"context"
	"errors"
	"time"
)

const (
	// ReminderPeriod is how long before its end an invitee is reminded. An invitation that lives no longer than
	// this gets no reminder.
	ReminderPeriod = 24 * time.Hour
	// sweepBatch is how many invitations are changed in one transaction: few enough to hold nobody up.
	sweepBatch = 100
)

// Sweep asks for a look at what time has made due.
type Sweep struct{}

// Kind names the job in the queue.
func (Sweep) Kind() string { return "sweep" }

// Queue is one of its own: what time makes due doesn't wait for a mail server.
func (Sweep) Queue() string { return QueueSweep }

// Sweep does what time has made due: it writes expiries and tells the creators, lets invitations out whose projects
// have started, and reminds invitees. Each is done once for an invitation however many sweeps run at once; what is
// left when ctx ends is the next one's. Nothing that reads depends on it.
func (s *Service) Sweep(ctx context.Context) error {
	for _, each := range []struct {
		due Due
		do  func(Tx, Invitation) error
	}{
		{DueExpiry, expire},
		{DueActivation, s.activate},
		{DueReminder, remind},
	} {
		if each.due == DueReminder && s.Policy.Lifetime <= ReminderPeriod {
			continue
		}
		// Each batch begins where the one before ended, or an index would be gone through again and again past the rows that
		// were due and are not.
		var from time.Time
		for more := true; more; {
			err := s.Store.Write(ctx, func(tx Tx) error {
				found, err := tx.Due(each.due, tx.Now().Add(-s.Policy.Lifetime), from, sweepBatch)
				if err != nil {
					return err
				}
				for _, i := range found {
					if err := each.do(tx, i); err != nil {
						return err
					}
					from = i.Created
				}
				more = len(found) == sweepBatch
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// errMoved says that an invitation that was locked is not what it was, which no transaction can have made it.
var errMoved = errors.New("invitation: a locked row was changed")

func expire(tx Tx, i Invitation) error {
	if _, err := lapse(tx, i); err != nil {
		return err
	}
	return tellCreator(tx, i, NoticeExpired)
}

// lapse writes that the time of an invitation is over, and returns it as it is then.
func lapse(tx Tx, i Invitation) (Invitation, error) {
	expired := i
	expired.StoredState = Expired
	return expired, replace(tx, i, expired, itself(EventExpired), errMoved)
}

func (s *Service) activate(tx Tx, i Invitation) error {
	active := i
	active.StoredState = Pending
	if err := replace(tx, i, active, itself(EventActivated), errMoved); err != nil {
		return err
	}
	return s.announce(tx, active)
}

func remind(tx Tx, i Invitation) error {
	reminded := i
	reminded.Reminded = true
	if err := replace(tx, i, reminded, itself(EventReminded), errMoved); err != nil {
		return err
	}
	return tx.Enqueue(Notify{Notice: NoticeReminder, Invitation: i.UUID, Delivery: i.Delivery})
}

// tellCreator asks for a notice to whoever created an invitation, where they are still there.
func tellCreator(tx Tx, i Invitation, notice Notice) error {
	if i.CreatedByUUID == nil {
		return nil
	}
	return tx.Enqueue(Notify{Notice: notice, Invitation: i.UUID, Delivery: i.Delivery, User: *i.CreatedByUUID})
}
