package joining

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Submission is the outcome of a request to take up a group invitation.
type Submission struct {
	Request Request
	Project *directory.Scope // in which an approval at once granted a role; nil: none
	IsMade  bool             // Project was made, and not found
}

// Submit asks for what a group invitation offers. name and description are those of a project. A pending request is mailed to
// its approvers; where the group invitation says so, the request is approved at once instead, by the caller as its reviewer.
// Submit returns fault.KindInvalid where the name is not one that projects may have, fault.KindNotFound where there is no such
// group invitation, fault.KindRejected, with the reason, where a rule forbids to ask or to approve, and fault.KindThrottled
// beyond the limit of the policy. Of any number of submissions at once that exclude each other one succeeds.
func (s *Service) Submit(ctx context.Context, caller directory.Actor, id uuid.UUID, name, description string) (out Submission, err error) {
	if err := s.Policy.checkName(name); err != nil {
		return out, err
	}
	err = s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		out = Submission{}
		// Submissions of one user wait for each other, so what is read of the user stays true.
		if _, err := tx.LockUser(caller.UUID); err != nil && !fault.Is(err, fault.KindNotFound) {
			return nil, err
		}
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		g, err := tx.FindGroupToTakeUp(id)
		if err != nil {
			return nil, err
		}
		if err := s.checkSubmission(tx, admits, g, actor); err != nil {
			return nil, err
		}
		made := newRequest(g, actor.User, name, description, tx.Now())
		submitted := Change{RequestAfter: &made, Event: recordRequest(EventSubmitted, made, "", actor.User)}
		approves, err := s.approvesItself(tx, admits, g)
		if err != nil {
			return nil, err
		}
		if approves {
			approved, err := s.approve(tx, admits, nil, made, actor.User, "", &out)
			if err != nil {
				return nil, err
			}
			return []Change{{Event: submitted.Event}, approved}, s.throttle(tx, actor.User, &g.UUID)
		}
		if g.MakesProjects {
			// Refuse now a name that nobody could approve.
			if _, _, err := findProject(tx, made); err != nil {
				return nil, err
			}
		}
		submitted.Jobs = []Job{Announce{Request: made.UUID}}
		out.Request = made
		return []Change{submitted}, s.throttle(tx, actor.User, &g.UUID)
	})
	if errors.Is(err, ErrPending) {
		err = fault.Rejected(string(RefusedRequested))
	}
	if err != nil {
		return Submission{}, err
	}
	return out, nil
}

// checkSubmission returns fault.KindRejected, with the reason, where a user can't take a group invitation up.
func (s *Service) checkSubmission(tx Tx, admits admitter, g GroupInvitation, user directory.Actor) error {
	var hasRequest bool
	var err error
	if !g.MultipleRequests {
		hasRequest, err = tx.HasRequest(user.UUID, g.ScopeUUID)
	}
	if err == nil {
		err = s.Policy.checkMaySubmit(g, user, hasRequest, tx.Now())
	}
	if err != nil {
		return err
	}
	var found standing
	if len(g.IdentitySources) > 0 {
		if found.issuers, err = tx.IssuersOf(user.UUID); err != nil {
			return err
		}
	}
	if found.admitted, err = admits(g.EmailPatterns, g.Scope, user.Email); err != nil {
		return err
	}
	return checkRestrictions(g, found)
}

// approvesItself reports whether requests by a group invitation are approved at once. Where the policy forbids that by now, they
// wait for a person.
func (s *Service) approvesItself(tx Tx, admits admitter, g GroupInvitation) (bool, error) {
	if !g.AutoApprove {
		return false, nil
	}
	if isOpen, err := s.Policy.isOpenDoor(admits, g); err != nil || isOpen {
		return false, err
	}
	if !s.Policy.RecheckInviter {
		return true, nil
	}
	return s.mayStillOffer(tx, g)
}

// mayStillOffer reports whether the user on whose authority a group invitation stands is active and may offer what it offers
// now.
func (s *Service) mayStillOffer(tx Tx, g GroupInvitation) (bool, error) {
	if g.OfferedByUUID == nil {
		return false, nil
	}
	offerer, err := tx.FindActor(*g.OfferedByUUID)
	if fault.Is(err, fault.KindNotFound) || (err == nil && !offerer.IsActive) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	err = s.checkOffer(tx, g, offerer)
	if fault.Is(err, fault.KindNotFound) {
		return false, nil
	}
	return err == nil, err
}
