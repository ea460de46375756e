package invitation

import (
	"context"
	"errors"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Approve lets a requested invitation go out, by the token that a staff user was mailed. It returns fault.KindRejected
// with what does not hold of the token, its user or its invitation.
func (s *Service) Approve(ctx context.Context, text string) error {
	return s.decide(ctx, text, token.Approve, func(tx Tx, staff directory.User, i Invitation) error {
		if i.Scope.Removed() {
			return errNotRequested()
		}
		approved := i
		approved.StoredState = openState(i.Scope, tx.Now())
		if !tx.Now().Before(i.Expires(s.Policy.Lifetime)) {
			approved.Created = tx.Now() // it waited longer than it lives: what is approved goes out
		}
		if err := replace(tx, i, approved, by(staff, EventApproved)); err != nil {
			return err
		}
		return s.announce(tx, approved)
	})
}

// Reject ends a requested invitation, by the token that a staff user was mailed, and tells its creator. It
// returns what Approve does.
func (s *Service) Reject(ctx context.Context, text string) error {
	return s.decide(ctx, text, token.Reject, func(tx Tx, staff directory.User, i Invitation) error {
		rejected := i
		rejected.StoredState = Rejected
		if err := replace(tx, i, rejected, by(staff, EventRejected)); err != nil {
			return err
		}
		return tellCreator(tx, i, NoticeRejected)
	})
}

func errNotRequested() error { return fault.Rejected("Invalid invitation UUID.") }

// decide runs f on the requested invitation, locked, that a token is good for, and on the staff user whom it names.
func (s *Service) decide(
	ctx context.Context, text string, purpose token.Purpose, f func(Tx, directory.User, Invitation) error,
) error {
	return s.Store.Write(ctx, func(tx Tx) error {
		said, err := s.Signer.Verify(text, purpose, tx.Now(), s.Policy.MaxAge)
		if errors.Is(err, token.ErrPayload) {
			return fault.Rejected("Invalid payload.")
		} else if err != nil {
			return fault.Rejected("Invalid signature.")
		}
		staff, err := tx.Staff(said.User)
		if fault.Is(err, fault.KindNotFound) {
			return fault.Rejected("Invalid user UUID.")
		} else if err != nil {
			return err
		}
		found, err := tx.Lock(said.Invitation)
		if fault.Is(err, fault.KindNotFound) || (err == nil && found.StoredState != Requested) {
			return errNotRequested()
		} else if err != nil {
			return err
		}
		return f(tx, staff, found)
	})
}
