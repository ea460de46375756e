package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// Approve lets a requested invitation go out, by the token that was mailed to a staff user. Approve returns
// fault.KindRejected, with the reason, where the token, its user or its invitation is not valid, or Accept would refuse
// whoever the invitation is for; fault.KindNotFound
// where the inviter may not offer the role any more (see Policy.RoleCeiling), and fault.KindThrottled where the invitee's
// address has had as many mails as the policy allows.
func (s *Service) Approve(ctx context.Context, text string) error {
	return s.review(ctx, text, token.Approve, s.approve)
}

// Reject ends a requested invitation, by the token that was mailed to a staff user, and tells the inviter, also the reason,
// which may be empty. Reject returns the errors that Approve returns, and fault.KindInvalid where the reason is too long.
func (s *Service) Reject(ctx context.Context, text, reason string) error {
	reason, err := checkReason(reason)
	if err != nil {
		return err
	}
	return s.review(ctx, text, token.Reject, func(_ Tx, _ admitter, v View, staff directory.User) (Change, error) {
		return reject(v, staff, reason)
	})
}

// ApproveRequest is Approve by a signed-in user. ApproveRequest returns fault.KindNotFound where the caller does not see
// the invitation in the list, or the inviter may not offer the role any more; fault.KindForbidden where the caller is not
// staff; fault.KindRejected where the invitation is not requested, or its scope was removed; and fault.KindThrottled as
// Approve.
func (s *Service) ApproveRequest(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.reviewSignedIn(ctx, caller, id, func(tx Tx, admits admitter, v View, staff directory.User) (Change, error) {
		if v.Scope.Removed() {
			return Change{}, fault.Rejected("The scope of the invitation was removed. Reject the request.")
		}
		return s.approve(tx, admits, v, staff)
	})
}

// RejectRequest is Reject by a signed-in user. RejectRequest returns the errors that ApproveRequest returns, and
// fault.KindInvalid where the reason is too long.
func (s *Service) RejectRequest(ctx context.Context, caller directory.Actor, id uuid.UUID, reason string) error {
	reason, err := checkReason(reason)
	if err != nil {
		return err
	}
	return s.reviewSignedIn(ctx, caller, id, func(_ Tx, _ admitter, v View, staff directory.User) (Change, error) {
		return reject(v, staff, reason)
	})
}

// approve returns the change by which staff let a requested invitation go out, if its inviter may still offer the role, and
// Accept would not refuse whoever it is for.
func (s *Service) approve(tx Tx, admits admitter, v View, staff directory.User) (Change, error) {
	approved, err := s.Policy.approve(v, staff, tx.Now())
	if err != nil {
		return approved, err
	}
	if s.Policy.RoleCeiling {
		may, err := s.inviterMayOffer(tx, v.Invitation)
		if err == nil && !may {
			err = &fault.Error{Kind: fault.KindNotFound, Message: "The inviter may not give this role in this scope any more."}
		}
		if err != nil {
			return Change{}, err
		}
	}
	return approved, s.refuseObstacle(tx, admits, v)
}

// Requests returns a page of the invitations that wait for approval, without those into removed scopes, the oldest first, as
// Service.List does. CreatedBy of each is its inviter. Requests returns fault.KindForbidden where the caller is not staff.
func (s *Service) Requests(ctx context.Context, caller directory.Actor, page, size int) (out Page, err error) {
	if !caller.IsStaff {
		return Page{}, fault.Forbidden()
	}
	query := Query{States: []State{Requested}, WithoutRemoved: true, Order: []directory.Order{{By: ByCreated}}}
	if out, err = s.List(ctx, caller, query, page, size); err != nil {
		return Page{}, err
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		for n, each := range out.Invitations {
			if out.Invitations[n], err = s.viewFromInviter(tx, each.Invitation); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Decision returns the event by which staff decided about the request that an invitation was last. Decision returns
// fault.KindForbidden where the caller is not staff, and fault.KindNotFound where nobody has decided about the request.
func (s *Service) Decision(ctx context.Context, caller directory.Actor, id uuid.UUID) (out Event, err error) {
	if !caller.IsStaff {
		return Event{}, fault.Forbidden()
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, err := tx.Find(id)
		if err == nil {
			out, err = tx.FindEvent(id, found.Created, EventApproved, EventRejected)
		}
		return err
	})
	return out, err
}

// Review is a request as the page behind a token shows it.
type Review struct {
	View
	Decision *Event // how staff decided about the request; nil: nobody has
}

// Request returns the request of a token that was mailed to a staff user to approve, or else to reject. CreatedBy is the
// inviter. Request returns the errors of fault.KindRejected that Approve returns, but none because somebody has decided:
// see Review.
func (s *Service) Request(ctx context.Context, text string, approve bool) (out Review, err error) {
	purpose := token.Reject
	if approve {
		purpose = token.Approve
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		out = Review{}
		approval, _, err := s.verifyToken(tx, text, purpose)
		if err != nil {
			return err
		}
		found, err := tx.Find(approval.Invitation)
		if fault.Is(err, fault.KindNotFound) {
			return notRequested()
		} else if err != nil {
			return err
		}
		if out.View, err = s.viewFromInviter(tx, found); err != nil {
			return err
		}
		if out.State == Requested && !isOutdated(approval, found) {
			return nil
		}
		// The token was mailed while the request waited, and so the first decision after that is the one about the request.
		decision, err := tx.FindEvent(found.UUID, approval.Issued, EventApproved, EventRejected)
		if fault.Is(err, fault.KindNotFound) {
			return notRequested()
		}
		out.Decision = &decision
		return err
	})
	if err != nil {
		return Review{}, err
	}
	return out, nil
}

// verifyToken returns the content and the staff user of a token.
func (s *Service) verifyToken(tx Tx, text string, purpose token.Purpose) (token.Approval, directory.User, error) {
	approval, err := s.Signer.Verify(text, purpose, tx.Now(), s.Policy.MaxAge)
	if errors.Is(err, token.ErrPayload) {
		return approval, directory.User{}, fault.Rejected("Invalid payload.")
	} else if err != nil {
		return approval, directory.User{}, invalidSignature()
	}
	staff, err := tx.FindStaff(approval.User)
	if fault.Is(err, fault.KindNotFound) {
		err = fault.Rejected("Invalid user UUID.")
	}
	return approval, staff, err
}

// isOutdated reports whether a token is of an earlier request than the one that an invitation is, and is of no use for the
// later one. A token has whole seconds.
func isOutdated(approval token.Approval, i Invitation) bool {
	return approval.Issued.Before(i.Created.Truncate(time.Second))
}

// review makes the change that decide returns for the invitation and the staff user of a token.
func (s *Service) review(
	ctx context.Context, text string, purpose token.Purpose, decide func(Tx, admitter, View, directory.User) (Change, error),
) error {
	if !s.Signer.Signed(text) { // anybody may send a text, and what nobody signed makes no other writer wait
		return invalidSignature()
	}
	return s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		approval, staff, err := s.verifyToken(tx, text, purpose)
		if err != nil {
			return nil, err
		}
		found, err := tx.FindForChange(approval.Invitation)
		if fault.Is(err, fault.KindNotFound) || (err == nil && isOutdated(approval, found)) {
			return nil, notRequested()
		} else if err != nil {
			return nil, err
		}
		reviewed, err := decide(tx, admits, s.view(tx, found), staff)
		if err != nil {
			return nil, err
		}
		return []Change{reviewed}, s.throttle(tx, reviewed, staff)
	})
}

// reviewSignedIn makes the change that decide returns for a requested invitation and the caller, who has to be staff.
func (s *Service) reviewSignedIn(
	ctx context.Context, caller directory.Actor, id uuid.UUID, decide func(Tx, admitter, View, directory.User) (Change, error),
) error {
	return s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		view, err := s.findVisible(tx, actor, id, tx.FindForChange)
		if err != nil {
			return nil, err
		}
		if !actor.IsStaff {
			return nil, fault.Forbidden()
		}
		if view.State != Requested {
			return nil, fault.Rejected("Only requested invitations can be approved or rejected.")
		}
		reviewed, err := decide(tx, admits, view, actor.User)
		if err != nil {
			return nil, err
		}
		return []Change{reviewed}, s.throttle(tx, reviewed, actor.User)
	})
}

func invalidSignature() error { return fault.Rejected("Invalid signature.") }
