package invitation

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Accept gives the caller the role that a pending invitation offers. It returns fault.KindNotFound where the
// invitation is not pending, is not meant for the caller, or its scope was removed, and fault.KindRejected, with the
// reason, where a rule stands against it. Of any number of accepts at once one wins; the others find it accepted:
// fault.KindNotFound.
func (s *Service) Accept(ctx context.Context, caller directory.User, id uuid.UUID) error {
	if !s.Policy.byMembers() {
		if done, err := s.acceptUnlocked(ctx, caller, id); done || err != nil {
			return err
		}
	}
	err := s.Store.Write(ctx, func(tx Tx) error {
		found, err := s.offered(tx, caller, id, tx.Lock)
		if err != nil {
			return err
		}
		// The row that is in the way may be of a membership whose own time is over.
		if err := tx.Retire(membership(tx, caller, found)); err != nil {
			return err
		}
		return s.admit(tx, caller, found)
	})
	if errors.Is(err, ErrHeld) {
		return errHeld()
	}
	return err
}

// acceptUnlocked is Accept by which nobody waits. Where another has changed the invitation since it was read, or the role
// is held, it is not done, and nothing is written.
func (s *Service) acceptUnlocked(ctx context.Context, caller directory.User, id uuid.UUID) (done bool, err error) {
	var found Invitation
	err = s.Store.Read(ctx, func(tx Tx) (err error) {
		found, err = s.offered(tx, caller, id, tx.FindWithPatterns)
		return err
	})
	if err != nil {
		return false, err
	}
	err = s.Store.Write(ctx, func(tx Tx) error { return s.admit(tx, caller, found) })
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrHeld) {
		return false, nil
	}
	return err == nil, err
}

// offered returns the invitation, found by find, that the caller may accept.
func (s *Service) offered(
	tx Tx, caller directory.User, id uuid.UUID, find func(uuid.UUID) (Invitation, error),
) (Invitation, error) {
	found, byLink, err := s.offer(tx, id, find)
	if err != nil {
		return found, err
	}
	if s.view(found, tx.Now()).State != Pending || !s.meantFor(found, byLink, caller) || found.Scope.Removed() {
		return found, fault.NotFound()
	}
	if s.Policy.byMembers() {
		// What the rules below find out about the scope's members must still be so when the role is given.
		if err := tx.LockScope(found.ScopeUUID); err != nil {
			return found, err
		}
	}
	actor, err := tx.Actor(caller)
	if err != nil {
		return found, err
	}
	return found, s.acceptable(tx, found, actor)
}

// admit writes that the caller has accepted an invitation, and gives them its role.
func (s *Service) admit(tx Tx, caller directory.User, found Invitation) error {
	accepted := found
	accepted.StoredState = Accepted
	e := by(caller, EventAccepted).event(accepted, found.StoredState, accepted.StoredState)
	return tx.Admit(found, accepted, e, membership(tx, caller, found))
}

func membership(tx Tx, caller directory.User, i Invitation) directory.Membership {
	return directory.Membership{
		UUID:          uuid.New(),
		UserUUID:      caller.UUID,
		RoleUUID:      i.RoleUUID,
		ScopeUUID:     i.ScopeUUID,
		CreatedByUUID: i.CreatedByUUID,
		Created:       tx.Now(),
	}
}

func errHeld() error { return fault.Rejected("User has already the same role in this scope.") }

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
		return fault.Rejected("User’s email and email of the invitation are not equal.")
	case s.Policy.DisableMultipleRoles && held:
		return fault.Rejected("User already has role within this scope.")
	case !i.Scope.AdmitsEmail(actor.Email):
		return fault.Rejected("User’s email does not match the email patterns of the organization or the scope.")
	case !i.Role.IsActive:
		return fault.Rejected("Role of the invitation is not active any more.")
	}
	return s.oneManager(tx, i.Role, i.ScopeUUID, fault.Rejected(msgOneManager))
}
