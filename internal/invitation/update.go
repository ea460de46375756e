package invitation

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Edit holds the fields of a request to change an invitation: trimmed, and valid by the contract. A field that is nil
// stays as it is.
type Edit struct {
	Email *string
	Role  *uuid.UUID
	// Expires and MembershipExpires are those of Draft; a pointer to nil takes the end away. An end within the
	// millisecond of the present one changes nothing: clients without microseconds send back what they have read.
	Expires           **time.Time
	MembershipExpires **time.Time
}

// Update changes the address, the role and the ends of a pending or project invitation that the caller sees in the list
// and may manage, and returns the invitation. An invitation whose address changes, case aside, gets another link and,
// where it is pending, another delivery. Update returns fault.KindNotFound where the caller does not see or may not
// manage the invitation, or may not offer the role that it has or gets (see Policy.RoleCeiling); fault.KindForbidden
// where only staff may invite and they are not; fault.KindRejected in any other state; fault.KindInvalid where the role
// is missing or Create would refuse the edited invitation; and fault.KindThrottled beyond a limit of the policy.
func (s *Service) Update(ctx context.Context, caller directory.Actor, id uuid.UUID, e Edit) (View, error) {
	var out View
	err := s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		actor, view, err := s.findManagedForChange(tx, caller, id)
		if err != nil {
			return nil, err
		}
		if err := s.Policy.canUpdate(view, actor.User); err != nil {
			return nil, err
		}
		// The role that the invitation has is checked too: a new address gives that role to somebody else.
		if err := s.checkCeiling(tx, actor, view.RoleUUID, view.Scope); err != nil {
			return nil, err
		}
		edited, changes, err := s.edit(tx, admits, view, e)
		if err != nil {
			return nil, err
		}
		if edited.RoleUUID != view.RoleUUID {
			if err := s.checkCeiling(tx, actor, edited.RoleUUID, view.Scope); err != nil {
				return nil, err
			}
		}
		out = view
		if edited.sameOffer(view.Invitation) && edited.sameEnds(view.Invitation) {
			return nil, nil
		}
		updated := s.Policy.update(view, edited, actor.User, tx.Now())
		out = s.view(tx, *updated.After)
		return append(changes, updated), s.throttle(tx, updated, actor.User)
	})
	if err != nil {
		return View{}, refuseDuplicate(err)
	}
	return out, nil
}

// edit returns an invitation as an Edit makes it, and the changes of other invitations that have to come first. It
// refuses what Create would refuse; only the ends are looked at where the address and the role stay.
func (s *Service) edit(tx Tx, admits admitter, v View, e Edit) (Invitation, []Change, error) {
	i, edited := v.Invitation, v.Invitation
	if e.Email != nil {
		edited.Email, edited.EmailFolded = *e.Email, directory.FoldEmail(*e.Email)
	}
	if e.Expires != nil && !sameMillisecond(*e.Expires, &v.Expires) {
		edited.ExpiresAt = *e.Expires
	}
	if e.MembershipExpires != nil && !sameMillisecond(*e.MembershipExpires, v.MembershipExpires) {
		edited.MembershipExpires = *e.MembershipExpires
	}
	wrong := fault.Fields{}
	s.Policy.checkEnds(wrong, i, edited, tx.Now())
	refusing, err := admits(edited.Scope, edited.Email)
	if err != nil {
		return edited, nil, err
	}
	if e.Role != nil && *e.Role != i.RoleUUID {
		role, err := tx.FindRole(*e.Role)
		if fault.Is(err, fault.KindNotFound) {
			checkRole(wrong, role, Draft{Role: *e.Role})
			if refusing != "" {
				wrong.Add("email", notAdmitted(refusing))
			}
			return edited, nil, wrong.Err()
		} else if err != nil {
			return edited, nil, err
		}
		if role.ScopeType != i.Role.ScopeType {
			wrong.Add("role", fmt.Sprintf(msgOtherType, i.Role.ScopeType, role.ScopeType))
			return edited, nil, wrong.Err()
		}
		edited.RoleUUID, edited.Role = role.UUID, role
	}
	if err := wrong.Err(); err != nil || edited.sameOffer(i) {
		return edited, nil, err
	}
	if err := checkRoleFits(edited.Role, edited.Scope); err != nil {
		return edited, nil, err
	}
	if taken, err := s.hasManager(tx, edited.Role, edited.ScopeUUID); err != nil {
		return edited, nil, err
	} else if taken {
		return edited, nil, fault.Field(fault.NonField, msgOneManager)
	}
	changes, err := s.ensureNoDuplicate(tx, edited)
	if err == nil && refusing != "" {
		err = fault.Field("email", notAdmitted(refusing))
	}
	return edited, changes, err
}

// sameOffer reports whether two states of an invitation offer the same role to the same address, in the same spelling.
func (i Invitation) sameOffer(as Invitation) bool {
	return i.Email == as.Email && i.RoleUUID == as.RoleUUID
}

// sameEnds reports whether two states of an invitation have the same ends of their own.
func (i Invitation) sameEnds(as Invitation) bool {
	return sameTime(i.ExpiresAt, as.ExpiresAt) && sameTime(i.MembershipExpires, as.MembershipExpires)
}
