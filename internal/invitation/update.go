package invitation

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Edit is what a caller says to change an invitation: trimmed, and valid by the contract. What is nil stays as it is.
type Edit struct {
	Email *string
	Role  *uuid.UUID
}

// Update changes the e-mail and the role of a pending or project invitation that the caller sees in the list and may
// manage, and returns it. One that has another e-mail then, case aside, gets another link, and where it is pending a
// delivery of its own, for which it asks in the same transaction: the link and the delivery before are of no account any
// more. It returns fault.KindNotFound where the caller does not see or may not manage the invitation, fault.KindForbidden where
// only staff may invite and they are not, fault.KindRejected in any other state, and fault.KindInvalid where the role does not
// exist, or what would come of it is nothing that Create would make.
func (s *Service) Update(ctx context.Context, caller directory.User, id uuid.UUID, e Edit) (View, error) {
	var out View
	err := s.Store.Write(ctx, func(tx Tx) error {
		view, err := s.managed(tx, caller, id)
		if err != nil {
			return err
		}
		if s.Policy.OnlyStaffCanInvite && !caller.IsStaff {
			return fault.Forbidden() // what staff approved would be another thing
		}
		if !view.State.open() {
			return fault.Rejected("Only pending invitations can be edited.")
		}
		out = view
		edited, err := s.edited(tx, view.Invitation, e)
		if err != nil {
			return err
		}
		if edited.Email == view.Email && edited.RoleUUID == view.RoleUUID {
			return nil
		}
		readdressed := edited.EmailFolded != view.EmailFolded
		if readdressed {
			link := uuid.New() // random, as the first one
			edited.LinkUUID = &link
			// Whoever is told within the time of the reminder needs none.
			edited.Reminded = !tx.Now().Before(view.Expires.Add(-ReminderPeriod))
			edited.Delivery++
			edited.ExecutionState, edited.ErrorMessage = Scheduled, ""
		}
		if err := replace(tx, view.Invitation, edited, by(caller, EventUpdated)); err != nil {
			return err
		}
		out = s.view(edited, tx.Now())
		if readdressed {
			return s.announce(tx, edited)
		}
		return nil
	})
	if err != nil {
		return View{}, refuseTwice(err)
	}
	return out, nil
}

// edited is an invitation as an edit makes it; a refusal where that is another one, and not admissible.
func (s *Service) edited(tx Tx, was Invitation, e Edit) (Invitation, error) {
	i := was
	if e.Email != nil {
		i.Email, i.EmailFolded = *e.Email, directory.Fold(*e.Email)
	}
	admitted := i.Scope.AdmitsEmail(i.Email)
	if e.Role != nil && *e.Role != i.RoleUUID {
		role, err := tx.Role(*e.Role)
		if fault.Is(err, fault.KindNotFound) {
			wrong := fault.Fields{}
			wrong.Add("role", fmt.Sprintf("Object with uuid=%s does not exist.", *e.Role))
			if !admitted {
				wrong.Add("email", msgNotAdmitted)
			}
			return i, wrong.Err()
		} else if err != nil {
			return i, err
		}
		i.RoleUUID, i.Role = role.UUID, role
	}
	if i.Email == was.Email && i.RoleUUID == was.RoleUUID {
		return i, nil
	}
	if err := fits(i.Role, i.Scope); err != nil {
		return i, err
	}
	if err := s.oneManager(tx, i.Role, i.ScopeUUID, fault.Field(fault.NonField, msgOneManager)); err != nil {
		return i, err
	}
	if err := s.makeRoom(tx, i); err != nil {
		return i, err
	}
	if !admitted {
		return i, fault.Field("email", msgNotAdmitted)
	}
	return i, nil
}
