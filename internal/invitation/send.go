package invitation

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Send delivers a pending invitation once more, or reopens an expired or canceled one with a full new life. Where
// its project starts in the future it waits for that day instead. It returns fault.KindNotFound where the caller does
// not see or may not manage it, fault.KindRejected in any other state, and fault.KindInvalid where another invitation is
// open for the same e-mail, role and scope.
func (s *Service) Send(ctx context.Context, caller directory.User, id uuid.UUID) error {
	return refuseTwice(s.Store.Write(ctx, func(tx Tx) error {
		view, err := s.managed(tx, caller, id)
		if err != nil {
			return err
		}
		again := view.Invitation
		again.StoredState = openState(view.Scope, tx.Now())
		switch view.State {
		case Pending:
			if again.StoredState == Project {
				again.Created, again.Reminded = tx.Now(), false
			}
		case Expired, Canceled:
			again.Created, again.Reminded = tx.Now(), false
			if err := s.makeRoom(tx, view.Invitation); err != nil {
				return err
			}
		default:
			return fault.Rejected("Only pending, expired and canceled invitations can be resent.")
		}
		again.Delivery++
		again.ExecutionState, again.ErrorMessage = Scheduled, ""
		if err := replace(tx, view.Invitation, again, by(caller, EventSent)); err != nil {
			return err
		}
		return s.announce(tx, again)
	}))
}
