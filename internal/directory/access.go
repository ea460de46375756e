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

// MayManage tells whether the actor may create, cancel and send invitations of a scope: staff; a member whose
// role in the scope carries the scope type's create permission; one whose role in the scope's customer carries
// it; one whose role in the customer carries CUSTOMER.CREATE_PERMISSION. Nobody may for a removed scope.
func (a Actor) MayManage(s Scope) bool {
	if s.Removed() {
		return false
	}
	if a.IsStaff {
		return true
	}
	return slices.ContainsFunc(a.Grants, func(g Grant) bool {
		switch g.ScopeUUID {
		case s.UUID:
			return g.carries(s.Type.CreatePermission())
		case s.CustomerUUID:
			return g.carries(s.Type.CreatePermission()) || g.carries(CustomerCreatePermission)
		default:
			return false
		}
	})
}

// CanSee tells whether the actor can see a scope: staff and support see all; others the scopes where they hold a
// role, every scope of a customer where they hold one, and the customer of any scope where they hold one.
func (a Actor) CanSee(s Scope) bool {
	if a.SeesAll() {
		return true
	}
	return slices.ContainsFunc(a.Grants, func(g Grant) bool {
		return g.ScopeUUID == s.UUID || g.ScopeUUID == s.CustomerUUID ||
			(s.Type == Customer && g.CustomerUUID == s.UUID)
	})
}

// HoldsRoleIn tells whether the actor holds any role in exactly this scope.
func (a Actor) HoldsRoleIn(scope uuid.UUID) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.ScopeUUID == scope })
}

// Visibility says which invitations somebody sees. It is made here once, and read by the query and by the rule
// on single invitations alike.
type Visibility struct {
	All       bool
	Customers []uuid.UUID // every invitation to a scope of these
	Scopes    []uuid.UUID // every invitation to exactly these
	Email     string      // folded; invitations to this address that wait for their invitee; empty: none
}

// Visibility of invitations: staff and support see all; others those of customers where a role of theirs
// carries INVITATION.LIST, those of scopes where a role of theirs carries the scope type's create permission,
// and those that wait for their own e-mail.
func (a Actor) Visibility() Visibility {
	if a.SeesAll() {
		return Visibility{All: true}
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
