package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// RenewalInterval is the least time between two mails that ask for another life of an invitation.
const RenewalInterval = 24 * time.Hour

// AskAgain tells the inviter of an expired invitation by mail that the caller asks for a new one. Where the inviter is gone
// or can't send the invitation again, staff are told. AskAgain returns fault.KindNotFound where the invitation has not
// expired, is not meant for the caller, or its scope was removed, and fault.KindThrottled where somebody asked less than
// RenewalInterval ago.
func (s *Service) AskAgain(ctx context.Context, caller directory.Actor, link uuid.UUID) error {
	unasked := false
	err := s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		found, byLink, err := resolveLink(tx, link, tx.FindForChange)
		if err != nil {
			return nil, err
		}
		view := s.view(tx, found)
		if !s.Policy.mayAskAgain(view, byLink, actor) {
			return nil, fault.NotFound()
		}
		recipients, err := s.renewalRecipients(tx, found)
		if err != nil {
			return nil, err
		}
		view, changes := s.Policy.recordExpiry(view, tx.Now())
		unasked = len(recipients) == 0
		asked, err := askAgain(view, actor.User, recipients, tx.Now())
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.KindThrottled {
			err = s.Limits.Throttled("renewal", f.Wait)
		}
		return append(changes, asked), err
	})
	if err == nil && unasked {
		s.warnUnasked(ctx, "a request for another invitation")
	}
	return err
}

// renewalRecipients returns whom to tell that the invitee of an expired invitation asks for a new one: the inviter, or
// staff where the inviter can't be told or could do nothing.
func (s *Service) renewalRecipients(tx Tx, i Invitation) ([]uuid.UUID, error) {
	inviter, may, err := s.findInviter(tx, i)
	if err != nil {
		return nil, err
	}
	if may && inviter.Email != "" {
		return []uuid.UUID{inviter.UUID}, nil
	}
	staff, err := tx.ListStaffToNotify()
	recipients := make([]uuid.UUID, len(staff))
	for n, user := range staff {
		recipients[n] = user.UUID
	}
	return recipients, err
}

// mayAskAgain reports whether a user may ask for a new invitation in the place of one. byLink: the user has the
// invitation's link, and not only its UUID.
func (p Policy) mayAskAgain(v View, byLink bool, user directory.Actor) bool {
	return v.State == Expired && !v.Scope.Removed() && p.meantFor(v.Invitation, byLink, user.User) && !holdsRole(user, v.Invitation)
}

// askAgain returns the change by which a user asks for a new invitation in the place of an expired one.
func askAgain(v View, user directory.User, recipients []uuid.UUID, now time.Time) (Change, error) {
	if v.RenewalAskedAt != nil {
		if wait := v.RenewalAskedAt.Add(RenewalInterval).Sub(now); wait > 0 {
			return Change{}, fault.Throttled(wait)
		}
	}
	asked := v.Invitation
	asked.RenewalAskedAt = &now
	jobs := make([]Job, len(recipients))
	for n, recipient := range recipients {
		jobs[n] = Notify{Notice: NoticeRenewalAsked, Invitation: v.UUID, Delivery: v.Delivery, User: recipient, Asker: user.UUID}
	}
	return change(v.Invitation, asked, byUser(user, EventRenewalAsked), jobs...), nil
}
