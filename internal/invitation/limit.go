package invitation

import (
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// A Limit allows Count of something in any period of the length Per. The zero Limit allows any number.
type Limit struct {
	Count int
	Per   time.Duration
}

// staffLimitFactor is the number by which the limits on what staff make are multiplied.
const staffLimitFactor = 10

// For returns the limit on what a user makes.
func (l Limit) For(user directory.User) Limit {
	if user.IsStaff {
		l.Count *= staffLimitFactor
	}
	return l
}

// Quota is a limit on the changes that have something in common. Exactly one of Invitation, Recipient and Inviter is set.
// Events are counted, which are written in the transaction of their changes: so all processes on a database count the
// same. Events outlive their invitations: to delete and to create again is to create twice.
type Quota struct {
	Limit
	Invitation uuid.UUID // counts what mails the invitee of this invitation
	Recipient  string    // counts what mails this address (folded), over all scopes
	Inviter    uuid.UUID // counts the addresses that this user invites: new invitations and other addresses
}

// quotas returns the quotas that a change by a user must leave room in. What the server does by itself is counted, and
// never refused.
func (p Policy) quotas(c Change, user directory.User) (all []Quota) {
	add := func(limit Limit, q Quota) {
		if limit.Count > 0 {
			q.Limit = limit
			all = append(all, q)
		}
	}
	if c.Event.MailTo != nil {
		add(p.LimitRecipient, Quota{Recipient: *c.Event.MailTo})
		if c.Before != nil {
			add(p.LimitInvitation, Quota{Invitation: c.Event.InvitationUUID})
		}
	}
	if c.Event.Type == EventCreated || (c.Event.Type == EventUpdated && c.Event.MailTo != nil) {
		add(p.LimitInviter.For(user), Quota{Inviter: user.UUID})
	}
	return all
}

// name returns the name of a quota's limit: that of its setting.
func (q Quota) name() string {
	switch {
	case q.Recipient != "":
		return "recipient"
	case q.Inviter != uuid.Nil:
		return "inviter"
	default:
		return "invitation"
	}
}

// throttled returns the time until there is room in all quotas, and the name of the limit that takes longest; 0 where none is
// used up. times are those of Tx.QuotaTimes.
func throttled(quotas []Quota, times []time.Time, now time.Time) (limit string, wait time.Duration) {
	for i, q := range quotas {
		if times[i].IsZero() {
			continue
		}
		if left := times[i].Add(q.Per).Sub(now); left > wait {
			limit, wait = q.name(), left
		}
	}
	return limit, wait
}

// throttle returns fault.KindThrottled where a change by a user would exceed a limit. It is the last check of a request:
// whoever may not make the change learns nothing from it. On PostgreSQL, changes at the same time do not see each other's
// events: of one address and of one inviter, a limit can be exceeded by the number of requests that are decided at once.
// To lock the address would be one more statement. The changes of one invitation exclude each other.
func (s *Service) throttle(tx Tx, c Change, user directory.User) error {
	quotas := s.Policy.quotas(c, user)
	if len(quotas) == 0 {
		return nil
	}
	times, err := tx.QuotaTimes(quotas)
	if err != nil {
		return err
	}
	if limit, wait := throttled(quotas, times, tx.Now()); wait > 0 {
		return s.Limits.Throttled(limit, wait)
	}
	return nil
}
