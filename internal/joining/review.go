package joining

import (
	"context"

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
	if err := checkFilledIn(name); err != nil {
		return found, false, err
	}
	var madeFor *uuid.UUID
	if !isFixed {
		madeFor = &r.CreatedByUUID
	}
	found, err = tx.FindProject(r.CustomerUUID, name, madeFor)
	switch {
	case fault.Is(err, fault.KindNotFound):
		isNew, err = true, nil
	case err == nil:
		isNew, err = checkFound(found, name, madeFor)
	}
	if isNew {
		found = newProject(r, name, madeFor, tx.Now())
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
