package joining

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Requests returns one page of the permission requests that the caller sees and the query asks for, and the number of them
// on all pages; see directory.Paginate. Requests sets the query's Visible and Window.
func (s *Service) Requests(ctx context.Context, caller directory.Actor, q RequestQuery, page, size int) (out []Request, total int, err error) {
	q.Visible = RequestsVisibleTo(caller)
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		out, total, err = directory.Paginate(page, size, func(w directory.Window) ([]Request, int, error) {
			q.Window = w
			return tx.ListPermissionRequests(q)
		})
		return err
	})
	return out, total, err
}

// CountRequests returns the number of permission requests on all pages of Requests.
func (s *Service) CountRequests(ctx context.Context, caller directory.Actor, q RequestQuery) (total int, err error) {
	q.Visible = RequestsVisibleTo(caller)
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		total, err = tx.CountPermissionRequests(q)
		return err
	})
	return total, err
}

// Request returns a permission request that the caller sees; fault.KindNotFound otherwise.
func (s *Service) Request(ctx context.Context, caller directory.Actor, id uuid.UUID) (out Request, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		out, err = findVisible(caller, id, tx.FindRequest)
		return err
	})
	return out, err
}

func findVisible(user directory.Actor, id uuid.UUID, find func(uuid.UUID) (Request, error)) (Request, error) {
	found, err := find(id)
	if err == nil && !RequestsVisibleTo(user).Includes(found) {
		err = fault.NotFound()
	}
	if err != nil {
		return Request{}, err
	}
	return found, nil
}

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

// Approve grants what a pending request asks for. These checks are made, in this order:
//
//  1. the caller sees the request: fault.KindNotFound otherwise
//  2. the request is pending: fault.KindConflict otherwise
//  3. the caller decides about such requests, and may grant the role (see Policy.RoleCeiling): fault.KindNotFound otherwise
//  4. no rule forbids the membership: fault.KindRejected, with the reason, otherwise
func (s *Service) Approve(ctx context.Context, caller directory.Actor, id uuid.UUID, comment string) error {
	return s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		actor, found, err := s.findToReview(tx, caller, id)
		if err != nil {
			return nil, err
		}
		permissions, err := s.permissionsOf(tx, found.Group, actor)
		if err != nil {
			return nil, err
		}
		if !s.Policy.mayGrant(actor, found.Group, permissions) {
			return nil, fault.NotFound()
		}
		approved, err := s.approve(tx, admits, &found, found, actor.User, comment, &Submission{})
		return []Change{approved}, err
	})
}

// Reject refuses a pending request, and tells the requester. Reject returns the errors of Approve but those about the role
// and the membership.
func (s *Service) Reject(ctx context.Context, caller directory.Actor, id uuid.UUID, comment string) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, found, err := s.findToReview(tx, caller, id)
		if err != nil {
			return nil, err
		}
		return []Change{reject(found, actor.User, comment, tx.Now())}, nil
	})
}

// findToReview returns the caller as they are in the transaction, and a pending request that they see and decide about.
func (s *Service) findToReview(tx Tx, caller directory.Actor, id uuid.UUID) (actor directory.Actor, found Request, err error) {
	if actor, err = directory.Refresh(tx.FindActor, caller); err != nil {
		return actor, found, err
	}
	if found, err = findVisible(actor, id, tx.FindRequestForChange); err != nil {
		return actor, found, err
	}
	if err = checkPending(found); err == nil && !IsApprover(actor, found.Group) {
		err = fault.NotFound()
	}
	return actor, found, err
}

// approve returns the change by which a request is approved, and sets what became of it. before is nil where the request is
// new.
func (s *Service) approve(
	tx Tx, admits admitter, before *Request, r Request, reviewer directory.User, comment string, out *Submission,
) (Change, error) {
	given := grant{role: r.Group.Granted(), scope: r.Group.Scope}
	var made *directory.Scope
	if r.Group.MakesProjects {
		found, isNew, err := findProject(tx, r)
		if err != nil {
			return Change{}, err
		}
		if isNew {
			made = &found
		}
		given.scope, out.Project, out.IsMade = found, &found, isNew
	}
	if s.Policy.dependsOnMembers() && made == nil {
		// Nobody else may become a member between the look at the scope's members and the commit.
		if err := tx.LockScope(given.scope.UUID); err != nil {
			return Change{}, err
		}
	}
	var err error
	if given.requester, err = tx.FindActor(r.CreatedByUUID); err != nil {
		return Change{}, err
	}
	if made == nil {
		if given.hasManager, err = s.hasManager(tx, given.role, given.scope); err != nil {
			return Change{}, err
		}
	}
	if given.admitted, err = admits(nil, given.scope, given.requester.Email); err != nil {
		return Change{}, err
	}
	c, err := s.Policy.approve(before, r, given, made, reviewer, comment, tx.Now())
	if err == nil {
		out.Request = *c.RequestAfter
	}
	return c, err
}

// findProject returns the project in which an approval of a request grants a role, and whether the approval makes the project.
// findProject returns fault.KindRejected, with the reason, where the request needs another name.
func findProject(tx Tx, r Request) (found directory.Scope, isNew bool, err error) {
	name, isFixed := projectName(r)
	if err := checkLength(name); err != nil {
		return found, false, err
	}
	found, err = tx.FindProject(r.CustomerUUID, name, r.GroupInvitationUUID)
	switch {
	case fault.Is(err, fault.KindNotFound):
		isNew, err = true, nil
	case err == nil:
		isNew, err = checkFound(found, name, isFixed, r.GroupInvitationUUID)
	}
	if isNew {
		found = newProject(r, name, tx.Now())
	}
	found.Customer = r.Group.Scope.Customer
	return found, isNew, err
}

// CancelRequest takes back a request, and returns it. CancelRequest returns fault.KindNotFound where the caller does not see
// the request, fault.KindForbidden where it is neither theirs nor they are staff, and fault.KindRejected where it is decided.
func (s *Service) CancelRequest(ctx context.Context, caller directory.Actor, id uuid.UUID) (out Request, err error) {
	err = s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		if out, err = findVisible(actor, id, tx.FindRequestForChange); err != nil {
			return nil, err
		}
		if out.CreatedByUUID != actor.UUID && !actor.IsStaff {
			return nil, &fault.Error{Kind: fault.KindForbidden, Message: "You can only cancel your own permission requests."}
		}
		canceled, err := cancelRequest(out, actor.User)
		return []Change{canceled}, err
	})
	return out, err
}

// DestroyRequest removes a request. DestroyRequest returns fault.KindNotFound where the caller does not see the request, and
// fault.KindForbidden where they are not staff.
func (s *Service) DestroyRequest(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		found, err := findVisible(actor, id, tx.FindRequestForChange)
		if err != nil {
			return nil, err
		}
		if !actor.IsStaff {
			return nil, fault.Forbidden()
		}
		removed := recordRequest(EventRequestDeleted, found, found.State, actor.User)
		removed.ToState = ""
		return []Change{{RequestBefore: &found, Event: removed}}, nil
	})
}
