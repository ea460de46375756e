package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Draft holds the fields of a request to create an invitation: trimmed, and valid by the contract.
type Draft struct {
	Role                uuid.UUID
	RoleName            string // names the role where Role is uuid.Nil; only drafts of a Batch name roles
	ScopeURL            string
	Email               string
	FullName            string
	NativeName          string
	PhoneNumber         string
	Organization        string
	JobTitle            string
	CivilNumber         string
	ExtraInvitationText string
	// Expires is when the invitation ends, and MembershipExpires is when the membership ends that its invitee gets, in whole
	// microseconds; nil: by the policy's lifetime, and never. See Policy.checkEnds.
	Expires           *time.Time
	MembershipExpires *time.Time
}

// Create makes an invitation and asks for its delivery, unless staff have to approve the invitation or its project has
// not started. Create returns fault.KindInvalid where the scope is not among those that the caller sees;
// fault.KindNotFound where the caller may not manage the scope; fault.KindInvalid where the role is missing, inactive or
// for another type of scope; fault.KindNotFound where the caller may not offer the role (see Policy.RoleCeiling); and
// fault.KindInvalid where the project has its one manager, another invitation is open for the same address, role and
// scope, or the address is not admitted; and fault.KindThrottled beyond a limit of the policy. The checks are made in this
// order.
func (s *Service) Create(ctx context.Context, caller directory.Actor, d Draft) (View, error) {
	created, err := s.create(ctx, caller, d, false)
	if errors.Is(err, ErrDuplicate) || fault.Is(err, fault.KindThrottled) {
		// Another invitation is looked for only when the database says that there is one, because few have another in
		// the way. The other one may be expired. A duplicate is refused before what exceeds a limit.
		created, err = s.create(ctx, caller, d, true)
	}
	return created, refuseDuplicate(err)
}

// create is Create, and looks first for another open invitation if checkDuplicate says so. Otherwise it returns
// ErrDuplicate where there is another one.
func (s *Service) create(
	ctx context.Context, caller directory.Actor, d Draft, checkDuplicate bool,
) (created View, err error) {
	var unasked bool
	err = s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		scope, role, err := s.findTarget(tx, actor, d)
		if err != nil {
			return nil, err
		}
		if err := s.checkCeiling(tx, actor, role.UUID, scope); err != nil {
			return nil, err
		}
		c, err := s.decideCreation(tx, admits, actor, d, scope, role, checkDuplicate)
		if err != nil {
			return nil, err
		}
		created, unasked = s.view(tx, c.made), c.unasked
		return c.changes, nil
	})
	if err != nil {
		return View{}, err
	}
	if unasked {
		s.warnUnasked(ctx, "a request to approve an invitation")
	}
	return created, nil
}

// creation is a decision to make an invitation.
type creation struct {
	made    Invitation
	changes []Change   // the last one makes the invitation
	unasked bool       // the invitation waits for staff, and there is nobody to tell
	rival   *uuid.UUID // the open invitation in the way, of a duplicate
}

// decideCreation decides about an invitation into a scope with a role that the actor may offer there. It returns rival beside
// the refusal of a duplicate. Without checkDuplicate, the database finds a duplicate.
func (s *Service) decideCreation(
	tx Tx, admits admitter, actor directory.Actor, d Draft, scope directory.Scope, role directory.Role, checkDuplicate bool,
) (c creation, err error) {
	if taken, err := s.hasManager(tx, role, scope.UUID); err != nil {
		return c, err
	} else if taken {
		return c, fault.Field(fault.NonField, msgOneManager)
	}
	c.made = s.Policy.newInvitation(d, scope, role, actor.User, tx.Now())
	refusing, err := admits(scope, d.Email)
	if err != nil {
		return c, err
	}
	if checkDuplicate || refusing != "" { // a duplicate is refused before an address that is not admitted
		if c.rival, c.changes, err = s.findRival(tx, c.made); err != nil {
			return c, err
		}
		if c.rival != nil {
			return c, duplicate()
		}
	}
	if refusing != "" {
		return c, fault.Field("email", notAdmitted(refusing))
	}
	var staff []directory.User
	if c.made.StoredState == Requested {
		if staff, err = tx.ListStaffToNotify(); err != nil {
			return c, err
		}
	}
	c.unasked = isUnasked(c.made, staff)
	markUnasked(&c.made, staff)
	made := s.Policy.create(c.made, actor.User, staff)
	c.changes = append(c.changes, made)
	return c, s.throttle(tx, made, actor.User)
}

// findTarget returns the scope and the role that a draft names, or the refusal of Policy.checkTarget.
func (s *Service) findTarget(tx Tx, actor directory.Actor, d Draft) (directory.Scope, directory.Role, error) {
	scope, role, err := resolveTarget(tx, actor, d.ScopeURL, d.Role)
	if err == nil {
		err = s.Policy.checkTarget(actor, d, scope, role, tx.Now())
	}
	return scope, role, err
}

// checkTarget refuses a draft for its scope or its role, and reports together all fields that are wrong. The scope and the
// role are those of resolveTarget. checkTarget returns fault.KindNotFound for a scope that the actor may not manage: nothing
// else is theirs to know.
func (p Policy) checkTarget(
	actor directory.Actor, d Draft, scope directory.Scope, role directory.Role, now time.Time,
) error {
	if scope.UUID != uuid.Nil && !actor.MayManage(scope) {
		return fault.NotFound()
	}
	wrong := fault.Fields{}
	checkScope(wrong, scope, d.ScopeURL)
	checkRole(wrong, role, d)
	CheckCivilNumber(wrong, d.CivilNumber)
	p.checkEnds(wrong, Invitation{}, d.ends(scope, now), now)
	if err := wrong.Err(); err != nil {
		return err
	}
	return checkRoleFits(role, scope)
}

// ends returns what Policy.checkEnds asks of the invitation that a draft would make.
func (d Draft) ends(scope directory.Scope, now time.Time) Invitation {
	return Invitation{Scope: scope, Created: now, ExpiresAt: d.Expires, MembershipExpires: d.MembershipExpires}
}

// resolveTarget returns the scope of a URL and a role. A scope or role that is missing, or a scope that the actor does
// not see, has no UUID.
func resolveTarget(
	tx Tx, actor directory.Actor, scopeURL string, role uuid.UUID,
) (directory.Scope, directory.Role, error) {
	kind, id, _ := directory.ParseScopeURL(scopeURL) // any other URL is that of the scope uuid.Nil, which is missing
	scope, found, err := tx.FindTarget(kind, id, role)
	return seen(actor, scope), found, err
}

// seen returns a scope that the actor sees; any other one has no UUID.
func seen(actor directory.Actor, scope directory.Scope) directory.Scope {
	if scope.UUID != uuid.Nil && !actor.CanSee(scope) {
		return directory.Scope{}
	}
	return scope
}

// checkRoleFits refuses a role that can't be given in a scope.
func checkRoleFits(role directory.Role, scope directory.Scope) error {
	if !role.IsActive || role.ScopeType != scope.Type {
		return fault.Field(fault.NonField, "Role and scope should belong to the same content type.")
	}
	return nil
}
