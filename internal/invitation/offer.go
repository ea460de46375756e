package invitation

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Standing says what an invitation is to the user who has opened its link.
type Standing string

// The standings.
const (
	StandingReady      Standing = "ready"      // the user can accept
	StandingUnverified Standing = "unverified" // the invitation names an address, and the user has no verified one
	StandingAddress    Standing = "address"    // the invitation names another address
	StandingPerson     Standing = "person"     // the invitation names another civil number
	StandingHeld       Standing = "held"       // the user holds the role
	StandingAccepted   Standing = "accepted"   // the user has accepted this invitation, and the role has ended since
	StandingRefused    Standing = "refused"    // a rule forbids the membership: Offer.Reason
	StandingStarts     Standing = "starts"     // the project has not started
	StandingRequested  Standing = "requested"  // staff have not approved
	StandingCanceled   Standing = "canceled"   // taken back
	StandingDeclined   Standing = "declined"   // the invitee does not want the role
	StandingExpired    Standing = "expired"
)

// Offer is an invitation as the page behind its link shows it.
type Offer struct {
	View
	Standing   Standing
	Reason     Refusal   // of StandingRefused
	AcceptedAt time.Time // when the user accepted this invitation; zero: they did not
	IsOwn      bool      // the invitation names the user's address: they can decline it, and undo that
	UndoUntil  time.Time // of StandingDeclined: when the user can't undo it any more; zero: they can't
	AskedUntil time.Time // of StandingExpired: somebody has asked for a new one, and can't ask again before; zero: they can
}

// Offer returns the invitation of a link as the caller may see it. CreatedBy is the inviter. Offer returns
// fault.KindNotFound, without a difference, where the link leads nowhere, the caller has only the invitation's UUID and not
// its address, somebody else has accepted it, staff have rejected it, or its scope is removed.
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
		var accepted Event
		if view.State == Accepted {
			accepted, err = tx.FindEvent(found.UUID, found.Created, EventAccepted)
			if err != nil && !fault.Is(err, fault.KindNotFound) {
				return err
			}
		}
		out, err = s.Policy.offer(view, byLink, caller, taken, accepted, tx.Now())
		return err
	})
	if err != nil {
		return Offer{}, err
	}
	return out, nil
}

// offer decides what an invitation is to a user. byLink: the user has the invitation's link, and not only its UUID.
// hasManager is that of accept. accepted is the event of an accepted invitation; it has no type where there is none.
func (p Policy) offer(v View, byLink bool, user directory.Actor, hasManager bool, accepted Event, now time.Time) (Offer, error) {
	out := Offer{View: v, IsOwn: isAddressee(v.Invitation, user.User)}
	if v.State == Accepted && accepted.UserUUID != nil && *accepted.UserUUID == user.UUID {
		out.AcceptedAt = accepted.Created
	}
	switch {
	case v.Scope.Removed() || v.State == Rejected:
		return Offer{}, fault.NotFound()
	case holdsRole(user, v.Invitation):
		out.Standing = StandingHeld
		return out, nil
	case !out.AcceptedAt.IsZero():
		out.Standing = StandingAccepted
		return out, nil
	case v.State == Accepted:
		return Offer{}, fault.NotFound()
	case !p.meantFor(v.Invitation, byLink, user.User):
		if !byLink {
			return Offer{}, fault.NotFound()
		}
		out.Standing = StandingAddress
		switch {
		case v.CivilNumber != "" && v.CivilNumber != user.CivilNumber:
			out.Standing = StandingPerson
		case user.Email == "":
			out.Standing = StandingUnverified
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
		if v.IsDeclined() {
			out.Standing = StandingDeclined
			if until := v.DeclinedAt.Add(UndoPeriod); out.IsOwn && now.Before(until) && now.Before(v.Expires) {
				out.UndoUntil = until
			}
		}
	case Expired:
		out.Standing = StandingExpired
		if v.RenewalAskedAt != nil && now.Before(v.RenewalAskedAt.Add(RenewalInterval)) {
			out.AskedUntil = v.RenewalAskedAt.Add(RenewalInterval)
		}
	default:
		out.Standing = StandingReady
		switch out.Reason = p.refusal(v, user, v.Scope.RefusesEmail(user.Email), hasManager); {
		case out.Reason == RefusedAddress && user.Email == "":
			out.Standing = StandingUnverified
		case out.Reason == RefusedAddress:
			out.Standing = StandingAddress
		case out.Reason != "":
			out.Standing = StandingRefused
		}
	}
	return out, nil
}
