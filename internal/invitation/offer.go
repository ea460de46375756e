package invitation

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Standing says what an invitation is to the user who has opened its link.
type Standing string

// The standings.
const (
	StandingReady     Standing = "ready"     // the user can accept
	StandingAddress   Standing = "address"   // the invitation names another address
	StandingPerson    Standing = "person"    // the invitation names another civil number
	StandingHeld      Standing = "held"      // the user holds the role already; they may have accepted this invitation
	StandingRefused   Standing = "refused"   // a rule forbids the membership: Offer.Reason
	StandingStarts    Standing = "starts"    // the project has not started
	StandingRequested Standing = "requested" // staff have not approved
	StandingCanceled  Standing = "canceled"
	StandingExpired   Standing = "expired"
)

// Offer is an invitation as the page behind its link shows it.
type Offer struct {
	View
	Standing Standing
	Reason   string // of StandingRefused: why, as Accept says it
}

// Offer returns the invitation of a link as the caller may see it. Offer returns fault.KindNotFound, without a difference,
// where the link leads nowhere, the caller has only the invitation's UUID and not its address, somebody else has accepted
// it, staff have rejected it, or its scope is removed.
func (s *Service) Offer(ctx context.Context, caller directory.Actor, link uuid.UUID) (out Offer, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, byLink, err := resolveLink(tx, link, tx.FindForChange) // with the e-mail patterns
		if err != nil {
			return err
		}
		taken, err := s.hasManager(tx, found.Role, found.ScopeUUID)
		if err != nil {
			return err
		}
		view, err := s.viewFromInviter(tx, found)
		if err != nil {
			return err
		}
		out, err = s.Policy.offer(view, byLink, caller, taken)
		return err
	})
	if err != nil {
		return Offer{}, err
	}
	return out, nil
}

// offer decides what an invitation is to a user. byLink: the user has the invitation's link, and not only its UUID.
// hasManager is that of accept.
func (p Policy) offer(v View, byLink bool, user directory.Actor, hasManager bool) (Offer, error) {
	out := Offer{View: v}
	switch {
	case v.Scope.Removed() || v.State == Rejected:
		return Offer{}, fault.NotFound()
	case holdsRole(user, v.Invitation):
		out.Standing = StandingHeld
		return out, nil
	case v.State == Accepted:
		return Offer{}, fault.NotFound()
	case !p.meantFor(v.Invitation, byLink, user.User):
		if !byLink {
			return Offer{}, fault.NotFound()
		}
		out.Standing = StandingAddress
		if v.CivilNumber != "" && v.CivilNumber != user.CivilNumber {
			out.Standing = StandingPerson
		}
		return out, nil
	}
	switch v.State {
	case Project:
		out.Standing = StandingStarts
	case Requested:
		out.Standing = StandingRequested
	case Canceled:
		out.Standing = StandingCanceled
	case Expired:
		out.Standing = StandingExpired
	default:
		out.Standing = StandingReady
		if p.StrictCheck && v.EmailFolded != user.EmailFolded {
			out.Standing = StandingAddress
			return out, nil
		}
		admitted := v.Scope.AdmitsEmail(user.Email)
		if _, err := p.accept(v, user, admitted, hasManager, v.Created); err != nil {
			var refusal *fault.Error
			if !errors.As(err, &refusal) {
				return Offer{}, err
			}
			out.Standing, out.Reason = StandingRefused, refusal.Message
		}
	}
	return out, nil
}
