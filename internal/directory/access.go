package directory

import (
	"slices"

	"github.com/google/uuid"
)

// Actor is a user together with all that they hold at one moment: whatever is decided about a caller is decided
// from this value.
type Actor struct {
	User
	Grants []Grant // active memberships; may be left out for a user who sees all and manages all
}

// ScopeSet is a set of scopes. It is made here once, and read by queries and by rules on single scopes alike.
type ScopeSet struct {
	All       bool
	Customers []uuid.UUID               // all scopes of these, themselves included
	OfType    map[ScopeType][]uuid.UUID // of these customers, the scopes of the type
	Scopes    []uuid.UUID               // exactly these
}

// Has tells whether a scope is in the set.
func (r ScopeSet) Has(s Scope) bool {
	return r.All || slices.Contains(r.Scopes, s.UUID) || slices.Contains(r.Customers, s.CustomerUUID) ||
		slices.Contains(r.OfType[s.Type], s.CustomerUUID)
}

// Sees is the scopes that the actor can see: staff and support see all; others the scopes where they hold a role, every
// scope of a customer where they hold one, and the customer of any scope where they hold one.
func (a Actor) Sees() ScopeSet {
	if a.SeesAll() {
		return ScopeSet{All: true}
	}
	var r ScopeSet
	for _, g := range a.Grants {
		r.Scopes = append(r.Scopes, g.ScopeUUID, g.CustomerUUID)
		if g.ScopeType == Customer {
			r.Customers = append(r.Customers, g.ScopeUUID)
		}
	}
	return r
}

// Manages is the scopes whose invitations the actor may create, cancel and send, while they are not removed: staff all;
// others the scopes where a role of theirs carries the scope type's create permission, those of a customer where one
// carries it, and all of a customer where one carries CUSTOMER.CREATE_PERMISSION.
func (a Actor) Manages() ScopeSet {
	if a.IsStaff {
		return ScopeSet{All: true}
	}
	r := ScopeSet{OfType: map[ScopeType][]uuid.UUID{}}
	for _, g := range a.Grants {
		if g.carries(g.ScopeType.CreatePermission()) {
			r.Scopes = append(r.Scopes, g.ScopeUUID)
		}
		if g.ScopeType != Customer {
			continue
		}
		if g.carries(CustomerCreatePermission) {
			r.Customers = append(r.Customers, g.ScopeUUID)
			continue
		}
		for _, each := range ScopeTypes {
			if g.carries(each.CreatePermission()) {
				r.OfType[each] = append(r.OfType[each], g.ScopeUUID)
			}
		}
	}
	return r
}

// MayManage tells whether the actor may create, cancel and send invitations of a scope. Nobody may for a removed one.
func (a Actor) MayManage(s Scope) bool { return !s.Removed() && a.Manages().Has(s) }

// CanSee tells whether the actor can see a scope.
func (a Actor) CanSee(s Scope) bool { return a.Sees().Has(s) }

// HoldsRoleIn tells whether the actor holds any role in exactly this scope.
func (a Actor) HoldsRoleIn(scope uuid.UUID) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.ScopeUUID == scope })
}

// Visibility says which invitations somebody sees. It is made here once, and read by the query and by the rule
// on single invitations alike.
type Visibility struct {
	ScopeSet        // every invitation to a scope of these
	Email    string // folded; invitations to this address that wait for their invitee; empty: none
}

// Visibility of invitations: staff and support see all; others those of customers where a role of theirs
// carries INVITATION.LIST, those of scopes where a role of theirs carries the scope type's create permission,
// and those that wait for their own e-mail.
func (a Actor) Visibility() Visibility {
	if a.SeesAll() {
		return Visibility{ScopeSet: ScopeSet{All: true}}
	}
	v := Visibility{Email: a.EmailFolded}
	for _, g := range a.Grants {
		if g.ScopeType == Customer && g.carries(InvitationList) {
			v.Customers = append(v.Customers, g.ScopeUUID)
		}
		if g.carries(g.ScopeType.CreatePermission()) {
			v.Scopes = append(v.Scopes, g.ScopeUUID)
		}
	}
	return v
}

// PermissionVisibility says whose roles somebody sees: those held in the scopes that they manage, and their own.
type PermissionVisibility struct {
	ScopeSet
	User uuid.UUID
}

// PermissionVisibility of the actor: staff and support see all.
func (a Actor) PermissionVisibility() PermissionVisibility {
	v := PermissionVisibility{ScopeSet: a.Manages(), User: a.UUID}
	v.All = a.SeesAll()
	return v
}

// VisibleTo tells whether a permission is among those that a visibility shows.
func (p Permission) VisibleTo(v PermissionVisibility) bool {
	return p.UserUUID == v.User || v.Has(p.Scope)
}
