package invitation

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// UndoPeriod is how long an invitee can take a decline back. The inviter is told after it.
const UndoPeriod = 10 * time.Minute

// Decline ends a pending invitation that the caller does not want; the reason may be empty. The inviter is told when
// the caller can't undo it any more. Decline returns fault.KindNotFound where the invitation is not pending, its scope was
// removed, or it names another address or civil number than the caller's; and fault.KindInvalid where the reason is too
// long.
//
// Whoever has the link of an invitation can accept it for themselves, unless the policy forbids that. They can't decline
// it: that would end somebody else's invitation, and say in their name that they do not want it.
func (s *Service) Decline(ctx context.Context, caller directory.Actor, link uuid.UUID, reason string) error {
	reason, err := checkReason(reason)
	if err != nil {
		return err
	}
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, view, err := s.findOwn(tx, caller, link)
		if err != nil {
			return nil, err
		}
		declined, err := decline(view, actor.User, reason, tx.Now())
		return []Change{declined}, err
	})
}

// UndoDecline makes an invitation pending again that the caller, or another user with the caller's address, has declined
// less than UndoPeriod ago. UndoDecline returns fault.KindNotFound where Decline does, but for the state, and where nobody
// has declined the invitation; fault.KindRejected where it is too late, the invitation has expired since, or a decline of it
// was undone before: each undo is an event, and an invitee has one; and
// fault.KindInvalid where another invitation is open for the same address, role and scope.
func (s *Service) UndoDecline(ctx context.Context, caller directory.Actor, link uuid.UUID) error {
	err := s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, view, err := s.findOwn(tx, caller, link)
		if err != nil {
			return nil, err
		}
		undone, err := s.Policy.undoDecline(view, actor.User, tx.Now())
		if err != nil {
			return nil, err
		}
		switch _, err := tx.FindEvent(view.UUID, view.Created, EventDeclineUndone); {
		case err == nil:
			return nil, fault.Rejected("A decline can be undone once. Ask for another invitation.")
		case !fault.Is(err, fault.KindNotFound):
			return nil, err
		}
		// The index refuses a second open invitation too, and then PostgreSQL writes the address into its log.
		changes, err := s.ensureNoDuplicate(tx, view.Invitation)
		return append(changes, undone), err
	})
	return refuseDuplicate(err)
}

// findOwn returns an invitation to the caller, by its link or UUID, and the caller as they are in the transaction;
// fault.KindNotFound otherwise.
func (s *Service) findOwn(tx Tx, caller directory.Actor, link uuid.UUID) (directory.Actor, View, error) {
	actor, err := directory.Refresh(tx.FindActor, caller)
	if err != nil {
		return actor, View{}, err
	}
	found, _, err := resolveLink(tx, link, tx.FindForChange)
	if err == nil && (!isAddressee(found, actor.User) || found.Scope.Removed()) {
		err = fault.NotFound()
	}
	return actor, s.view(tx, found), err
}

// isAddressee reports whether an invitation names a user's address, and their civil number if it names one.
func isAddressee(i Invitation, user directory.User) bool {
	return i.EmailFolded == user.EmailFolded && (i.CivilNumber == "" || i.CivilNumber == user.CivilNumber)
}

// decline returns the change by which an invitee ends a pending invitation.
func decline(v View, user directory.User, reason string, now time.Time) (Change, error) {
	if !CanDo(ActionDecline, v.State) {
		return Change{}, fault.NotFound()
	}
	declined := v.Invitation
	declined.StoredState, declined.DeclinedAt, declined.DeclineReason = Canceled, &now, reason
	jobs := noticeToInviter(declined, NoticeDeclined)
	for n, job := range jobs {
		notify := job.(Notify)
		notify.DeclinedAt = now
		jobs[n] = notify
	}
	return change(v.Invitation, declined, byUser(user, EventDeclined).because(reason), jobs...), nil
}

// undoDecline returns the change by which an invitee makes an invitation pending again. An invitation that was delivered is
// not delivered again: its invitee has it before them.
func (p Policy) undoDecline(v View, user directory.User, now time.Time) (Change, error) {
	if !CanDo(ActionUndo, v.State) || !v.IsDeclined() {
		return Change{}, fault.NotFound()
	}
	undone := v.Invitation
	undone.StoredState, undone.DeclinedAt, undone.DeclineReason = Pending, nil, ""
	switch {
	case !now.Before(v.DeclinedAt.Add(UndoPeriod)):
		return Change{}, fault.Rejected("It is too late to undo the decline. Ask for another invitation.")
	case !now.Before(v.Expires):
		return Change{}, fault.Rejected("The invitation has expired. Ask for another invitation.")
	}
	var jobs []Job
	if v.ExecutionState != OK {
		scheduleDelivery(&undone)
		jobs = p.announce(undone, nil)
	}
	return change(v.Invitation, undone, byUser(user, EventDeclineUndone), jobs...), nil
}
