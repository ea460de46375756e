package invitation

import (
	"cmp"
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Accept gives the caller the role that a pending invitation offers. Accept returns fault.KindNotFound where the
// invitation is not pending, is not meant for the caller, or its scope was removed, and fault.KindRejected, with the
// reason, where a rule forbids the membership or the inviter may not invite any more (see Policy.RecheckInviter). Of any
// number of accepts at once one wins; the others return fault.KindNotFound.
func (s *Service) Accept(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	var refused error // a refusal that is recorded
	err := s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		refused = nil
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		if s.Policy.dependsOnMembers() {
			// Nobody else may become a member between the look at the scope's members and the commit. The scope is locked
			// before the invitation, and both are read after the wait.
			seen, byLink, err := resolveLink(tx, id, tx.Find)
			if err != nil {
				return nil, err
			}
			if !s.Policy.offered(s.view(tx, seen), byLink, actor.User) {
				return nil, fault.NotFound() // a stranger locks nothing
			}
			if err := tx.LockScope(seen.ScopeUUID); err != nil {
				return nil, err
			}
			if actor, err = directory.Refresh(tx.FindActor, caller); err != nil {
				return nil, err
			}
		}
		found, byLink, err := resolveLink(tx, id, tx.FindForChange)
		if err != nil {
			return nil, err
		}
		view := s.view(tx, found)
		if !s.Policy.offered(view, byLink, actor.User) {
			return nil, fault.NotFound()
		}
		taken, err := s.hasManager(tx, found.Role, found.ScopeUUID)
		if err != nil {
			return nil, err
		}
		refusing, err := admits(found.Scope, actor.Email)
		if err != nil {
			return nil, err
		}
		accepted, err := s.Policy.accept(view, actor, refusing, taken, tx.Now())
		if err != nil {
			return nil, err
		}
		if !s.Policy.RecheckInviter {
			return []Change{accepted}, nil
		}
		if may, err := s.inviterMayOffer(tx, found); err != nil {
			return nil, err
		} else if !may {
			refused = fault.Rejected(string(RefusedInviter))
			return []Change{refuseAccept(view, actor.User)}, nil
		}
		return []Change{accepted}, nil
	})
	if errors.Is(err, ErrAlreadyMember) {
		return alreadyMember()
	}
	return cmp.Or(err, refused)
}

// inviterMayOffer reports whether an invitation's inviter is active and may offer its role in its scope now.
func (s *Service) inviterMayOffer(tx Tx, i Invitation) (bool, error) {
	_, may, err := s.findInviter(tx, i)
	return may, err
}

// findInviter returns an invitation's inviter, and whether they are active and may offer its role in its scope now. The
// inviter has no UUID where their user was deleted.
func (s *Service) findInviter(tx Tx, i Invitation) (inviter directory.Actor, may bool, err error) {
	id := i.InviterUUID()
	if id == nil {
		return inviter, false, nil
	}
	inviter, err = tx.FindActor(*id)
	if fault.Is(err, fault.KindNotFound) {
		return directory.Actor{}, false, nil
	} else if err != nil {
		return inviter, false, err
	}
	role, err := tx.FindRole(i.RoleUUID) // the invitation's role has no permissions
	return inviter, inviter.IsActive && s.Policy.mayOffer(inviter, role.Permissions, i.Scope), err
}
