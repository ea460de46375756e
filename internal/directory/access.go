package directory

import (
	"slices"

	"github.com/google/uuid"

	"invited/internal/fault"
)

// Actor is a user together with the grants that they hold at one moment. Every decision about a caller is made from this
// value.
type Actor struct {
	User
	Grants []Grant // one for each active membership
	Via    Via     // "": not by a request
	// TokenScopes are those of the API token that authenticated the request; see CheckScope.
	TokenScopes []TokenScope
}

// Via is the kind of credential that a request was authenticated by.
type Via string

// The kinds of credential.
const (
	ViaToken   Via = "token"   // an API token of this server
	ViaSession Via = "session" // the cookie of somebody who signed in on the pages
	ViaIssuer  Via = "issuer"  // an access token of an issuer of OpenID Connect
	ViaProxy   Via = "proxy"   // the headers of a trusted proxy
)

// ScopeSet is a set of scopes. The rules about who sees and manages what return sets; the store's queries and the rules
// about single scopes (Has) read the same set.
type ScopeSet struct {
	All       bool
	Customers []uuid.UUID               // all scopes of these customers, and the customers themselves
	OfType    map[ScopeType][]uuid.UUID // for a type, the customers whose scopes of that type are in the set
	Scopes    []uuid.UUID               // these scopes
}

// IsEmpty reports whether no scope can be in the set.
func (s ScopeSet) IsEmpty() bool {
	return !s.All && len(s.Customers) == 0 && len(s.OfType) == 0 && len(s.Scopes) == 0
}

// Has reports whether a scope is in the set.
func (s ScopeSet) Has(scope Scope) bool {
	return s.All || slices.Contains(s.Scopes, scope.UUID) || slices.Contains(s.Customers, scope.CustomerUUID) ||
		slices.Contains(s.OfType[scope.Type], scope.CustomerUUID)
}

// Sees returns the scopes that the actor can see. Staff and support see all. Others see the scopes in which they hold a
// role, every scope of a customer in which they hold a role, and the customer of every scope in which they hold a role.
func (a Actor) Sees() ScopeSet {
	if a.SeesAll() {
		return ScopeSet{All: true}
	}
	var set ScopeSet
	for _, g := range a.Grants {
		set.Scopes = append(set.Scopes, g.ScopeUUID, g.CustomerUUID)
		if g.ScopeType == Customer {
			set.Customers = append(set.Customers, g.ScopeUUID)
		}
	}
	return set
}

// Manages returns the scopes whose invitations the actor may create, cancel and send, as long as the scopes are not
// removed. Staff manage all scopes. With the create permission of a type, a role manages the scope of that type that it
// is held in; held in a customer, it manages all scopes of that type of the customer. With CUSTOMER.CREATE_PERMISSION in
// a customer, a role manages every scope of the customer.
func (a Actor) Manages() ScopeSet {
	if a.IsStaff {
		return ScopeSet{All: true}
	}
	set := ScopeSet{OfType: map[ScopeType][]uuid.UUID{}}
	for _, g := range a.Grants {
		if g.carries(g.ScopeType.CreatePermission()) {
			set.Scopes = append(set.Scopes, g.ScopeUUID)
		}
		if g.ScopeType != Customer {
			continue
		}
		if g.carries(CustomerCreatePermission) {
			set.Customers = append(set.Customers, g.ScopeUUID)
			continue
		}
		for _, each := range ScopeTypes {
			if g.carries(each.CreatePermission()) {
				set.OfType[each] = append(set.OfType[each], g.ScopeUUID)
			}
		}
	}
	return set
}

// Refresh returns a caller as find reads them in a transaction: their grants may have changed since the request was
// authenticated, and what is written must not depend on former grants. Refresh returns fault.KindUnauthenticated where the
// caller was deleted or made inactive since.
func Refresh(find func(user uuid.UUID) (Actor, error), caller Actor) (Actor, error) {
	actor, err := find(caller.UUID)
	if fault.Is(err, fault.KindNotFound) || (err == nil && !actor.IsActive) {
		return actor, fault.Unauthorized("User inactive or deleted.")
	}
	return actor, err
}

// MayManage reports whether the actor may create, cancel and send invitations of a scope. Nobody may in a removed scope.
func (a Actor) MayManage(s Scope) bool { return !s.Removed() && a.Manages().Has(s) }

// HoldsAll reports whether the actor's roles in a scope, or in its customer, carry each of the permissions.
// CUSTOMER.CREATE_PERMISSION in the customer counts as the create permission of every type: see Manages. Staff hold all.
func (a Actor) HoldsAll(permissions []string, s Scope) bool {
	if a.IsStaff {
		return true
	}
	return !slices.ContainsFunc(permissions, func(permission string) bool {
		return !slices.ContainsFunc(a.Grants, func(g Grant) bool {
			return (g.ScopeUUID == s.UUID || g.ScopeUUID == s.CustomerUUID) &&
				(g.carries(permission) || (g.carries(CustomerCreatePermission) && isCreatePermission(permission)))
		})
	})
}

// CanSee reports whether the actor can see a scope.
func (a Actor) CanSee(s Scope) bool { return a.Sees().Has(s) }

// HoldsRoleIn reports whether the actor holds a role in this very scope.
func (a Actor) HoldsRoleIn(scope uuid.UUID) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.ScopeUUID == scope })
}

// Holds returns the scopes in which the actor holds a role with one of the names.
func (a Actor) Holds(roleNames ...string) ScopeSet {
	var set ScopeSet
	for _, g := range a.Grants {
		if slices.Contains(roleNames, g.RoleName) {
			set.Scopes = append(set.Scopes, g.ScopeUUID)
		}
	}
	return set
}

// CreatesProjectsIn returns the customers in which a role of the actor carries CreateProject; all for staff.
func (a Actor) CreatesProjectsIn() ScopeSet {
	if a.IsStaff {
		return ScopeSet{All: true}
	}
	var set ScopeSet
	for _, g := range a.Grants {
		if g.ScopeType == Customer && g.carries(CreateProject) {
			set.Scopes = append(set.Scopes, g.ScopeUUID)
		}
	}
	return set
}

// Visibility describes the invitations that an actor sees. The store's list and the rule about single invitations read
// the same value.
type Visibility struct {
	ScopeSet        // every invitation into a scope of this set
	Email    string // folded; invitations to this address that wait for their invitee into scopes that are there; empty: none
}

// Visibility returns the invitations that the actor sees. Staff and support see all. Others see the invitations of
// customers in which their role carries INVITATION.LIST, the invitations that they manage, and those that wait for their own
// e-mail address. Who manages invitations into a scope sees them also when the scope is removed.
func (a Actor) Visibility() Visibility {
	if a.SeesAll() {
		return Visibility{ScopeSet: ScopeSet{All: true}}
	}
	v := Visibility{ScopeSet: a.Manages(), Email: a.EmailFolded}
	for _, g := range a.Grants {
		if g.ScopeType == Customer && g.carries(InvitationList) {
			v.Customers = append(v.Customers, g.ScopeUUID)
		}
	}
	return v
}

// PermissionVisibility describes the memberships that an actor sees: those in the scopes of the set, and those of one user.
type PermissionVisibility struct {
	ScopeSet
	User uuid.UUID
}

// PermissionVisibility returns the memberships that the actor sees: their own and those in the scopes that they manage.
// Staff and support see all.
func (a Actor) PermissionVisibility() PermissionVisibility {
	v := PermissionVisibility{ScopeSet: a.Manages(), User: a.UUID}
	v.All = a.SeesAll()
	return v
}

// VisibleTo reports whether a visibility includes the permission.
func (p Permission) VisibleTo(v PermissionVisibility) bool {
	return p.UserUUID == v.User || v.Has(p.Scope)
}
