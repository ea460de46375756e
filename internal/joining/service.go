package joining

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Service has the use cases, one method for each operation of the API. A refusal is a *fault.Error: beside those that a
// method names, fault.KindUnauthenticated where the caller was deleted or made inactive since they were authenticated, and
// fault.KindUnavailable where the database is out of reach or busy. Any other error is internal. Store must be set.
type Service struct {
	Store  Store
	Policy Policy
	// FrontendURL is the base of the links in mails, with a slash at its end.
	FrontendURL string
	Limits      fault.Limits // nil: nobody counts what is refused
}

// List returns one page of the group invitations that the caller sees and the query asks for, and the number of them on all
// pages; see directory.Paginate. The zero Actor is a caller without a credential. List sets the query's Visible, Now and
// Window.
func (s *Service) List(ctx context.Context, caller directory.Actor, q Query, page, size int) (out []View, total int, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		q.Visible, q.Now = q.visibleTo(caller), tx.Now()
		rows, count, err := directory.Paginate(page, size, func(w directory.Window) ([]GroupInvitation, int, error) {
			q.Window = w
			return tx.ListGroups(q)
		})
		if err != nil {
			return err
		}
		out, total = make([]View, len(rows)), count
		for i, row := range rows {
			out[i] = view(row, caller, tx.Now())
		}
		return nil
	})
	return out, total, err
}

// Count returns the number of group invitations on all pages of List.
func (s *Service) Count(ctx context.Context, caller directory.Actor, q Query) (total int, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		q.Visible, q.Now = q.visibleTo(caller), tx.Now()
		total, err = tx.CountGroups(q)
		return err
	})
	return total, err
}

// Retrieve returns a group invitation: to a caller with a credential any, because its uuid is its link; to others one that
// is public and active. Retrieve returns fault.KindNotFound otherwise.
func (s *Service) Retrieve(ctx context.Context, caller directory.Actor, id uuid.UUID) (out View, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		found, err := tx.FindGroup(id)
		if err == nil && !isKnown(caller) && !VisibleTo(caller).Includes(found, tx.Now()) {
			err = fault.NotFound()
		}
		if err != nil {
			return err
		}
		out = view(found, caller, tx.Now())
		return nil
	})
	return out, err
}

// view returns a group invitation as a caller sees it. Who created a public one, and which
// users it is for, is known to those who manage it.
func view(g GroupInvitation, caller directory.Actor, now time.Time) View {
	return View{
		GroupInvitation: g, IsActive: g.IsActiveAt(now),
		ShowsCreator: !g.IsPublic || caller.SeesAll() || caller.MayManage(g.Scope),
	}
}

// Edit holds the fields of a request to make or change a group invitation: trimmed, and valid by the contract. A field that
// is nil stays as it is. Of the fields with two stars, a pointer to nil clears the field.
type Edit struct {
	Role     *uuid.UUID
	ScopeURL *string

	IsPublic         *bool
	MakesProjects    *bool
	ProjectRole      **uuid.UUID
	NameTemplate     **string
	CustomDetails    *bool
	AutoApprove      *bool
	MultipleRequests *bool
	EmailPatterns    *[]string
	Affiliations     *[]string
	IdentitySources  *[]string
	CustomText       *string
	Expires          **time.Time
}

// CheckTexts returns what is wrong with the texts of an edit, whatever is in the database. To check them can take a tenth of a
// second, and on SQLite everybody who writes waits for a transaction: the use cases call CheckTexts before theirs.
func (e Edit) CheckTexts() fault.Fields {
	wrong := fault.Fields{}
	if e.EmailPatterns != nil {
		checkPatterns(*e.EmailPatterns, wrong)
	}
	if e.NameTemplate != nil && *e.NameTemplate != nil {
		checkTemplate(**e.NameTemplate, wrong)
	}
	return wrong
}

// Create makes a group invitation. Create returns fault.KindInvalid where a field is not valid, the scope is not among those
// that the caller sees, or a rule forbids what the fields say together; fault.KindNotFound where the caller may not manage
// the scope or may not offer the role; and fault.KindThrottled beyond the limit of the policy. The checks are made in this
// order.
func (s *Service) Create(ctx context.Context, caller directory.Actor, e Edit) (out View, err error) {
	wrong := e.CheckTexts()
	err = s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		made := NewGroupInvitation(actor.User, tx.Now())
		if err := s.apply(tx, actor, e, wrong, &made); err != nil {
			return nil, err
		}
		if err := s.checkTogether(tx, admits, made, nil, actor); err != nil {
			return nil, err
		}
		if err := s.checkOffer(tx, made, actor); err != nil {
			return nil, err
		}
		out = view(made, actor, tx.Now())
		return []Change{Creation(made, actor.User)}, s.throttle(tx, actor.User, nil)
	})
	return out, err
}

// Update changes a group invitation, and returns it. These checks are made, in this order:
//
//  1. there is the group invitation: fault.KindNotFound otherwise
//  2. each field is valid: fault.KindInvalid otherwise
//  3. the group invitation is active: fault.KindInvalid otherwise
//  4. no rule forbids what the fields say together: fault.KindInvalid otherwise
//  5. the caller may manage the scope that it has and the one that it gets, and may offer the role that it grants:
//     fault.KindNotFound otherwise
//  6. what it offers stays the same once somebody has asked: fault.KindInvalid otherwise
func (s *Service) Update(ctx context.Context, caller directory.Actor, id uuid.UUID, e Edit) (out View, err error) {
	wrong := e.CheckTexts()
	err = s.changeAdmitting(ctx, func(tx Tx, admits admitter) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		found, err := tx.FindGroupForChange(id)
		if err != nil {
			return nil, err
		}
		edited := found
		edited.OfferedByUUID = &actor.UUID
		if err := s.apply(tx, actor, e, wrong, &edited); err != nil {
			return nil, err
		}
		if err := checkActive(found, tx.Now()); err != nil {
			return nil, err
		}
		if err := s.checkTogether(tx, admits, edited, &found, actor); err != nil {
			return nil, err
		}
		// The present state is checked too: whoever may not manage a group invitation must not take it elsewhere.
		for _, each := range []GroupInvitation{found, edited} {
			if err := s.checkOffer(tx, each, actor); err != nil {
				return nil, err
			}
		}
		if err := checkUnasked(tx, found, edited); err != nil {
			return nil, err
		}
		updated := change(found, edited, EventUpdated, actor.User)
		out = view(*updated.After, actor, tx.Now())
		return []Change{updated}, nil
	})
	return out, err
}

// checkUnasked refuses to change what a group invitation offers where people have asked already: what they asked for, and what
// was decided about it, was about the present offer.
func checkUnasked(tx Tx, before, after GroupInvitation) error {
	changed := changedOffer(before, after)
	if len(changed) == 0 {
		return nil
	}
	asked, err := tx.HasRequests(before.UUID)
	if err != nil || !asked {
		return err
	}
	wrong := fault.Fields{}
	for _, field := range changed {
		wrong.Add(field, msgAsked)
	}
	return wrong.Err()
}

// apply makes a group invitation what an edit says, and reports together what is wrong with the edit's fields: what
// Edit.CheckTexts has found, and what depends on the database.
func (s *Service) apply(tx Tx, actor directory.Actor, e Edit, found fault.Fields, g *GroupInvitation) error {
	wrong := maps.Clone(found) // Change may run again
	if err := setTarget(tx, actor, e, g, wrong); err != nil {
		return err
	}
	if e.ProjectRole != nil {
		if err := setProjectRole(tx, *e.ProjectRole, g, wrong); err != nil {
			return err
		}
	}
	set(&g.IsPublic, e.IsPublic)
	set(&g.MakesProjects, e.MakesProjects)
	set(&g.CustomDetails, e.CustomDetails)
	set(&g.AutoApprove, e.AutoApprove)
	set(&g.MultipleRequests, e.MultipleRequests)
	set(&g.Affiliations, e.Affiliations)
	set(&g.IdentitySources, e.IdentitySources)
	set(&g.CustomText, e.CustomText)
	set(&g.EmailPatterns, e.EmailPatterns)
	set(&g.NameTemplate, e.NameTemplate)
	if e.Expires != nil {
		g.Expires = *e.Expires
		checkExpires(g.Expires, tx.Now(), wrong)
	}
	return wrong.Err()
}

// set sets a field to a value, unless the value is nil.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

const msgNoRole = "Object with uuid=%s does not exist."

// setTarget sets the role and the scope that an edit names. A scope that the actor does not see is missing for them, and a
// role that is not active is missing for everybody.
func setTarget(tx Tx, actor directory.Actor, e Edit, g *GroupInvitation, wrong fault.Fields) error {
	var kind directory.ScopeType
	var scopeID, roleID uuid.UUID
	if e.ScopeURL != nil {
		kind, scopeID, _ = directory.ParseScopeURL(*e.ScopeURL) // any other URL is that of uuid.Nil, which is missing
	}
	if set(&roleID, e.Role); e.ScopeURL == nil && e.Role == nil {
		return nil
	}
	scope, role, err := tx.FindTarget(kind, scopeID, roleID)
	if err != nil {
		return err
	}
	if e.ScopeURL != nil {
		if scope.UUID == uuid.Nil || !actor.CanSee(scope) {
			wrong.Add("scope", directory.NoScope(*e.ScopeURL))
		} else {
			g.Scope, g.ScopeUUID, g.CustomerUUID = scope, scope.UUID, scope.CustomerUUID
		}
	}
	if e.Role != nil {
		if !role.IsActive {
			wrong.Add("role", fmt.Sprintf(msgNoRole, roleID))
		} else {
			g.Role, g.RoleUUID = role, role.UUID
		}
	}
	return nil
}

// setProjectRole sets the role that is granted in made projects; nil: none.
func setProjectRole(tx Tx, id *uuid.UUID, g *GroupInvitation, wrong fault.Fields) error {
	g.ProjectRole, g.ProjectRoleUUID = nil, id
	if id == nil {
		return nil
	}
	role, err := tx.FindRole(*id)
	switch {
	case fault.Is(err, fault.KindNotFound) || (err == nil && (!role.IsActive || !IsProjectRole(role))):
		wrong.Add("project_role", fmt.Sprintf(msgNoRole, *id))
		return nil
	case err != nil:
		return err
	}
	g.ProjectRole = &role
	return nil
}

// checkTogether makes the checks of what the fields of a group invitation say together. before is the row that an update found;
// nil: the group invitation is new.
func (s *Service) checkTogether(tx Tx, admits admitter, g GroupInvitation, before *GroupInvitation, actor directory.Actor) error {
	err := checkPublic(g, before != nil && before.IsPublic, actor)
	if err == nil {
		err = checkRoleFits(g)
	}
	if err == nil && before == nil {
		err = checkProjectRole(g)
	}
	if err == nil {
		var isOpen bool
		if isOpen, err = s.Policy.isOpenDoor(admits, g); err == nil && isOpen {
			err = fault.Field("auto_approve", msgOpenDoor)
		}
	}
	// Waldur refuses also where the body repeats the role; a PUT of unchanged fields passes here.
	if err != nil || (before != nil && before.RoleUUID == g.RoleUUID && before.ScopeUUID == g.ScopeUUID) {
		return err
	}
	taken, err := s.hasManager(tx, g.Role, g.Scope)
	if err == nil && taken {
		err = fault.Field(fault.NonField, string(RefusedManager))
	}
	return err
}

// hasManager reports whether the policy allows a project one manager, the role is the manager's, and the project has its
// manager.
func (s *Service) hasManager(tx Tx, role directory.Role, scope directory.Scope) (bool, error) {
	if !s.Policy.OneProjectManager || role.Name != directory.ProjectManager || scope.Type != directory.Project {
		return false, nil
	}
	return tx.HasMember(scope.UUID, directory.ProjectManager)
}

// checkOffer returns fault.KindNotFound where the actor may not offer what a group invitation offers.
func (s *Service) checkOffer(tx Tx, g GroupInvitation, actor directory.Actor) error {
	permissions, err := s.permissionsOf(tx, g, actor)
	if err == nil && !s.Policy.mayOffer(actor, g, permissions) {
		err = fault.NotFound()
	}
	return err
}

// permissionsOf returns the permissions of the role that a group invitation grants, where the actor has to hold them. The roles
// of the group invitation itself have none.
func (s *Service) permissionsOf(tx Tx, g GroupInvitation, actor directory.Actor) ([]string, error) {
	if !s.Policy.RoleCeiling || actor.IsStaff {
		return nil, nil
	}
	role, err := tx.FindRole(g.Granted().UUID)
	return role.Permissions, err
}

// throttle returns fault.KindThrottled where a user has made as much as the policy allows, of all or of requests by one group
// invitation; nil: no request is made. It is the last check of a request: whoever may not make the change learns nothing
// from it.
func (s *Service) throttle(tx Tx, user directory.User, group *uuid.UUID) error {
	var (
		wait time.Duration
		name string
	)
	check := func(setting string, limit Limit, of *uuid.UUID) error {
		if limit.Count == 0 {
			return nil
		}
		made, err := tx.MadeTime(user.UUID, of, limit.Count)
		if err == nil && !made.IsZero() {
			if left := made.Add(limit.Per).Sub(tx.Now()); left > wait {
				name, wait = setting, left
			}
		}
		return err
	}
	err := check("inviter", s.Policy.LimitUser.For(user), nil)
	if err == nil && group != nil {
		err = check("invitation", s.Policy.LimitRequests, group)
	}
	if err == nil && wait > 0 {
		err = s.Limits.Throttled(name, wait)
	}
	return err
}

// Cancel ends an active group invitation whose scope the caller may manage. Its pending requests stay as they are. Cancel
// returns fault.KindNotFound where the caller may not, and fault.KindRejected where the group invitation is not active.
func (s *Service) Cancel(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.changeManaged(ctx, caller, id, cancel)
}

// Destroy removes a group invitation that is not active, and its requests, where the caller may manage its scope. Destroy
// returns fault.KindNotFound where the caller may not, and fault.KindRejected where the group invitation is active.
func (s *Service) Destroy(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.changeManaged(ctx, caller, id, remove)
}

func (s *Service) changeManaged(
	ctx context.Context, caller directory.Actor, id uuid.UUID, decide func(GroupInvitation, directory.User, time.Time) (Change, error),
) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return nil, err
		}
		found, err := tx.FindGroupForChange(id)
		if err != nil {
			return nil, err
		}
		if !actor.MayManage(found.Scope) {
			return nil, fault.NotFound()
		}
		changed, err := decide(found, actor.User, tx.Now())
		return []Change{changed}, err
	})
}

// Projects returns one page of the projects of the customer that a group invitation is for, and their number; see
// directory.Paginate. Projects returns fault.KindNotFound where the scope is no customer.
func (s *Service) Projects(ctx context.Context, caller directory.Actor, id uuid.UUID, page, size int) (out []uuid.UUID, total int, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		found, err := tx.FindGroup(id)
		if err == nil && (found.Scope.Type != directory.Customer || found.Scope.Removed()) {
			err = fault.NotFound()
		}
		if err != nil {
			return err
		}
		out, total, err = directory.Paginate(page, size, func(w directory.Window) ([]uuid.UUID, int, error) {
			return tx.ListProjects(found.CustomerUUID, w)
		})
		return err
	})
	return out, total, err
}

// Events returns one page of the events of a group invitation and its requests, the newest first, and their number; see
// directory.Paginate. Staff read the events of every group invitation, also of one that was deleted; others those of what
// they may manage. The events of a request are for those who see the request; see RequestsVisibleTo. Events returns
// fault.KindNotFound otherwise.
func (s *Service) Events(ctx context.Context, caller directory.Actor, id uuid.UUID, page, size int) (out []Event, total int, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		found, err := tx.FindGroup(id)
		switch {
		case fault.Is(err, fault.KindNotFound) && caller.IsStaff:
		case err != nil:
			return err
		case !caller.IsStaff && !caller.MayManage(found.Scope):
			return fault.NotFound()
		}
		missing := err != nil
		var requester *uuid.UUID
		if !RequestsVisibleTo(caller).Includes(Request{CustomerUUID: found.CustomerUUID}) {
			requester = &caller.UUID
		}
		out, total, err = directory.Paginate(page, size, func(w directory.Window) ([]Event, int, error) {
			return tx.ListGroupEvents(id, requester, w)
		})
		if err == nil && total == 0 && missing {
			err = fault.NotFound()
		}
		return err
	})
	return out, total, err
}
