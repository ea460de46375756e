package app

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// The ids in the contract's examples of requests. All but the invitation's, which the group invitation has too, are in demo.yaml.
var (
	exampleInvitation = uuid.MustParse("0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11")
	exampleOwner      = uuid.MustParse("9b2e6d10-4c7f-4f5a-8d33-1e0a7c5b6f02")
	exampleProject    = uuid.MustParse("7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a02")
	exampleRole       = uuid.MustParse("3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e05") // not that of the example of a request to create one
)

// renewExample writes the invitation of the contract's examples, as if it had been delivered, in place of an earlier
// demonstration's: who sends the examples as they are finds what they name.
func renewExample(ctx context.Context, service *invitation.Service, staff directory.Actor) error {
	if err := service.Delete(ctx, staff, exampleInvitation); err != nil && !fault.Is(err, fault.KindNotFound) {
		return err
	}
	err := service.Store.Change(ctx, func(tx invitation.Tx) ([]invitation.Change, error) {
		owner, err := tx.FindActor(exampleOwner)
		if err != nil {
			return nil, err
		}
		scope, role, err := tx.FindTarget(directory.Project, exampleProject, exampleRole)
		if err != nil {
			return nil, err
		}
		email := "alice@example.com"
		return []invitation.Change{{
			After: &invitation.Invitation{
				UUID: exampleInvitation, StoredState: invitation.Pending, ExecutionState: invitation.OK, Created: tx.Now(),
				RoleUUID: role.UUID, Role: role, ScopeUUID: scope.UUID, Scope: scope, CustomerUUID: scope.CustomerUUID,
				CreatedByUUID: &owner.UUID, CreatedBy: &owner.User, Email: email, EmailFolded: directory.FoldEmail(email),
				FullName: "Alice Example", Organization: "Example University", JobTitle: "Researcher",
			},
			Event: &invitation.Event{
				InvitationUUID: exampleInvitation, Type: invitation.EventCreated, ToState: invitation.Pending,
				UserUUID: &owner.UUID, UserUsername: owner.Username, UserFullName: owner.FullName,
				Email: email, RoleUUID: role.UUID, RoleName: role.Name, ExecutionState: invitation.OK,
				ScopeUUID: &scope.UUID, CustomerUUID: &scope.CustomerUUID,
			},
		}}, nil
	})
	if errors.Is(err, invitation.ErrDuplicate) { // somebody has made such an invitation, and it waits for approval
		return nil
	}
	return err
}

// renewExampleLink writes the group invitation of the contract's examples in place of an earlier demonstration's, whose requests
// go with it: whoever asked before can ask again.
func renewExampleLink(ctx context.Context, s joining.Store) error {
	return s.Change(ctx, func(tx joining.Tx) ([]joining.Change, error) {
		var changes []joining.Change
		former, err := tx.FindGroup(exampleInvitation)
		if err == nil {
			changes = append(changes, joining.Change{Before: &former})
		} else if !fault.Is(err, fault.KindNotFound) {
			return nil, err
		}
		owner, err := tx.FindActor(exampleOwner)
		if err != nil {
			return nil, err
		}
		scope, role, err := tx.FindTarget(directory.Project, exampleProject, exampleRole)
		if err != nil {
			return nil, err
		}
		link := joining.NewGroupInvitation(owner.User, tx.Now())
		link.UUID, link.RoleUUID, link.Role = exampleInvitation, role.UUID, role
		link.ScopeUUID, link.Scope, link.CustomerUUID = scope.UUID, scope, scope.CustomerUUID
		link.CustomText = "For everybody in the Apollo workshop."
		return append(changes, joining.Creation(link, owner.User)), nil
	})
}
