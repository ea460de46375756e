package invitation

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Accept gives the caller the role that a pending invitation offers. It returns fault.NotFound where the
// invitation is not pending, is not meant for the caller, or its scope was removed, and fault.Refused, with the
// reason, where a rule stands against it. Of any number of accepts at once one wins; the others find it accepted:
// fault.NotFound.
func (s *Service) Accept(ctx context.Context, caller directory.User, id uuid.UUID) error {
	// What they hold already. Where a rule goes by it, it is read again once nobody can change it; that nobody holds a role
	// twice, Grant sees to.
	var actor directory.Actor
	err := s.Store.Read(ctx, func(tx Tx) (err error) {
		actor, err = tx.Actor(caller)
		return err
	})
	if err != nil {
		return err
	}
	err = s.accept(ctx, caller, actor, id, false)
	if errors.Is(err, ErrHeld) { // the row that is in the way may be of a membership whose own time is over
		err = s.accept(ctx, caller, actor, id, true)
	}
	if errors.Is(err, ErrHeld) {
		return errHeld()
	}
	return err
}

// accept gives the role, with room made for it where that is wanted.
func (s *Service) accept(ctx context.Context, caller directory.User, actor directory.Actor, id uuid.UUID, room bool) error {
	return s.Store.Write(ctx, func(tx Tx) error {
		found, byLink, err := s.offer(tx, id, tx.Lock)
		if err != nil {
			return err
		}
		if s.view(found, tx.Now()).State != Pending || !s.meantFor(found, byLink, caller) || found.Scope.Removed() {
			return fault.Missing()
		}
		if s.Policy.DisableMultipleRoles || s.Policy.OneProjectManager {
			// What the rules below find out about the scope's members must still be so when the role is given.
			if err := tx.LockScope(found.ScopeUUID); err != nil {
				return err
			}
			if actor, err = tx.Actor(caller); err != nil {
				return err
			}
		}
		if err := s.acceptable(tx, found, actor); err != nil {
			return err
		}
		given := directory.Membership{
			UUID:          uuid.New(),
			UserUUID:      caller.UUID,
			RoleUUID:      found.RoleUUID,
			ScopeUUID:     found.ScopeUUID,
			CreatedByUUID: found.CreatedByUUID,
			Created:       tx.Now(),
		}
		if room {
			if err := tx.Retire(given); err != nil {
				return err
			}
		}
		if err := tx.Grant(given); err != nil {
			return err
		}
		accepted := found
		accepted.StoredState = Accepted
		return replace(tx, found, accepted, by(caller, EventAccepted))
	})
}

func errHeld() error { return fault.Refuse("User has already the same role in this scope.") }

// acceptable makes the checks on an invitation that the caller could accept, each with the reason they are told.
func (s *Service) acceptable(tx Tx, i Invitation, actor directory.Actor) error {
	held := false
	for _, g := range actor.Grants {
		if g.ScopeUUID == i.ScopeUUID && g.RoleUUID == i.RoleUUID {
			return errHeld()
		}
		held = held || g.ScopeUUID == i.ScopeUUID
	}
	switch {
	case s.Policy.StrictCheck && i.EmailFolded != actor.EmailFolded:
		return fault.Refuse("User’s email and email of the invitation are not equal.")
	case s.Policy.DisableMultipleRoles && held:
		return fault.Refuse("User already has role within this scope.")
	case !i.Scope.AdmitsEmail(actor.Email):
		return fault.Refuse("User’s email does not match the email patterns of the organization or the scope.")
	case !i.Role.IsActive:
		return fault.Refuse("Role of the invitation is not active any more.")
	}
	return s.oneManager(tx, i.Role, i.ScopeUUID, fault.Refuse(msgOneManager))
}
