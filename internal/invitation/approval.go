package invitation

import (
	"context"
	"errors"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Approve lets a requested invitation go out, by the token that was mailed to a staff user. Approve returns
// fault.KindRejected, with the reason, where the token, its user or its invitation is not valid.
func (s *Service) Approve(ctx context.Context, text string) error {
	return s.review(ctx, text, token.Approve, s.Policy.approve)
}

// Reject ends a requested invitation, by the token that was mailed to a staff user, and tells the creator. Reject
// returns the errors that Approve returns.
func (s *Service) Reject(ctx context.Context, text string) error {
	return s.review(ctx, text, token.Reject, func(v View, staff directory.User, _ time.Time) (Change, error) {
		return reject(v, staff)
	})
}

// review makes the change that decide returns for the invitation and the staff user of a token, at the time of the
// transaction.
func (s *Service) review(
	ctx context.Context, text string, purpose token.Purpose, decide func(View, directory.User, time.Time) (Change, error),
) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		approval, err := s.Signer.Verify(text, purpose, tx.Now(), s.Policy.MaxAge)
		if errors.Is(err, token.ErrPayload) {
			return nil, fault.Rejected("Invalid payload.")
		} else if err != nil {
			return nil, fault.Rejected("Invalid signature.")
		}
		staff, err := tx.FindStaff(approval.User)
		if fault.Is(err, fault.KindNotFound) {
			return nil, fault.Rejected("Invalid user UUID.")
		} else if err != nil {
			return nil, err
		}
		found, err := tx.FindForChange(approval.Invitation)
		if fault.Is(err, fault.KindNotFound) {
			return nil, notRequested()
		} else if err != nil {
			return nil, err
		}
		reviewed, err := decide(s.view(tx, found), staff, tx.Now())
		return []Change{reviewed}, err
	})
}
