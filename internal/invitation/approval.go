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
// fault.KindRejected, with the reason, where the token, its user or its invitation is not valid, fault.KindNotFound
// where the inviter may not offer the role any more (see Policy.RoleCeiling), and fault.KindThrottled where the invitee's
// address has had as many mails as the policy allows.
func (s *Service) Approve(ctx context.Context, text string) error {
	return s.review(ctx, text, token.Approve, func(tx Tx, v View, staff directory.User) (Change, error) {
		approved, err := s.Policy.approve(v, staff, tx.Now())
		if err != nil || !s.Policy.RoleCeiling {
			return approved, err
		}
		may, err := s.inviterMayOffer(tx, v.Invitation)
		if err == nil && !may {
			err = &fault.Error{Kind: fault.KindNotFound, Message: "The inviter may not give this role in this scope any more."}
		}
		return approved, err
	})
}

// Reject ends a requested invitation, by the token that was mailed to a staff user, and tells the inviter. Reject
// returns the errors that Approve returns.
func (s *Service) Reject(ctx context.Context, text string) error {
	return s.review(ctx, text, token.Reject, func(_ Tx, v View, staff directory.User) (Change, error) {
		return reject(v, staff)
	})
}

// Request returns the requested invitation of a token that was mailed to a staff user to approve, or else to reject.
// Request returns the errors of fault.KindRejected that Approve returns.
func (s *Service) Request(ctx context.Context, text string, approve bool) (out View, err error) {
	purpose := token.Reject
	if approve {
		purpose = token.Approve
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, _, err := s.verify(tx, text, purpose, tx.Find)
		if err != nil {
			return err
		}
		out, err = s.viewFromInviter(tx, found)
		if err == nil && out.State != Requested {
			err = notRequested()
		}
		return err
	})
	if err != nil {
		return View{}, err
	}
	return out, nil
}

// verify returns the invitation and the staff user of a token.
func (s *Service) verify(tx Tx, text string, purpose token.Purpose, find finder) (Invitation, directory.User, error) {
	approval, err := s.Signer.Verify(text, purpose, tx.Now(), s.Policy.MaxAge)
	if errors.Is(err, token.ErrPayload) {
		return Invitation{}, directory.User{}, fault.Rejected("Invalid payload.")
	} else if err != nil {
		return Invitation{}, directory.User{}, invalidSignature()
	}
	staff, err := tx.FindStaff(approval.User)
	if fault.Is(err, fault.KindNotFound) {
		return Invitation{}, staff, fault.Rejected("Invalid user UUID.")
	} else if err != nil {
		return Invitation{}, staff, err
	}
	found, err := find(approval.Invitation)
	if fault.Is(err, fault.KindNotFound) {
		err = notRequested()
	}
	// A token has whole seconds. One of an earlier request is of no use for a later one.
	if err == nil && approval.Issued.Before(found.Created.Truncate(time.Second)) {
		err = notRequested()
	}
	return found, staff, err
}

// review makes the change that decide returns for the invitation and the staff user of a token.
func (s *Service) review(
	ctx context.Context, text string, purpose token.Purpose, decide func(Tx, View, directory.User) (Change, error),
) error {
	if !s.Signer.Signed(text) { // anybody may send a text, and what nobody signed makes no other writer wait
		return invalidSignature()
	}
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		found, staff, err := s.verify(tx, text, purpose, tx.FindForChange)
		if err != nil {
			return nil, err
		}
		reviewed, err := decide(tx, s.view(tx, found), staff)
		if err != nil {
			return nil, err
		}
		return []Change{reviewed}, s.throttle(tx, reviewed, staff)
	})
}

func invalidSignature() error { return fault.Rejected("Invalid signature.") }
