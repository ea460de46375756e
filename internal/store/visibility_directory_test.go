package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// The lists of scopes and permissions, made in SQL, show exactly what the rules in Go let through one by one, and what
// behaviour says of them, said a third time here.
func TestDirectoryShowsWhatTheRulesLetThrough(t *testing.T) {
	t.Parallel()
	inRandomWorlds(t, func(c *chance) {
		some := map[string]int{}
		for _, user := range c.users {
			for _, kind := range []directory.ScopeType{directory.Customer, directory.Project} {
				some[string(kind)] += c.compareScopes(user, kind)
			}
			some["permissions"] += c.comparePermissions(user)
		}
		if c.proves {
			require.NotZero(c.t, some["customer"]+some["project"], "a world in which everybody sees all scopes, or none, proves nothing")
			require.NotZero(c.t, some["permissions"], "nor does one in which they do so of permissions")
		}
	})
}

// compareScopes returns 1 where the user sees some scopes and not others.
func (c *chance) compareScopes(user directory.User, kind directory.ScopeType) int {
	c.t.Helper()
	listed, opened, ruled := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	const size = 2 // so that there are several pages
	for page := 1; ; page++ {
		rows, total, err := c.reader.Scopes(c.t.Context(), user, directory.ScopeQuery{Type: kind}, page, size)
		require.NoError(c.t, err)
		for _, each := range rows {
			require.False(c.t, listed[each.UUID], "shown on two pages")
			listed[each.UUID] = true
		}
		if page*size >= total {
			require.Len(c.t, listed, total)
			break
		}
	}
	counted, err := c.reader.CountScopes(c.t.Context(), user, directory.ScopeQuery{Type: kind})
	require.NoError(c.t, err)
	require.Len(c.t, listed, counted)
	all := 0
	for _, each := range c.scopes {
		_, err := c.reader.Scope(c.t.Context(), user, kind, each.UUID)
		if err == nil {
			opened[each.UUID] = true
		} else {
			require.True(c.t, fault.Is(err, fault.KindNotFound), "%v", err)
		}
		if each.Type != kind || c.removed(each) {
			continue
		}
		all++
		if c.seesScope(user, each) {
			ruled[each.UUID] = true
		}
	}
	require.Equal(c.t, opened, listed, "the %ss that %s sees in the list are not those that the rule opens", kind, user.Username)
	require.Equal(c.t, ruled, listed, "the %ss that %s sees are not those of behaviour", kind, user.Username)
	return partly(user, len(listed), all)
}

func partly(user directory.User, seen, all int) int {
	if !user.SeesAll() && seen > 0 && seen < all {
		return 1
	}
	return 0
}

func (c *chance) comparePermissions(user directory.User) int {
	c.t.Helper()
	listed, let, ruled := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	const size = 7
	for page := 1; ; page++ {
		rows, total, err := c.reader.Permissions(c.t.Context(), user, directory.PermissionQuery{}, page, size)
		require.NoError(c.t, err)
		for _, each := range rows {
			require.False(c.t, listed[each.UUID], "shown on two pages")
			listed[each.UUID] = true
		}
		if page*size >= total {
			require.Len(c.t, listed, total)
			break
		}
	}
	actor := directory.Actor{User: user}
	for _, m := range c.memberships {
		if m.UserUUID == user.UUID && c.inForce(m) {
			scope := c.scopeOf(m)
			actor.Grants = append(actor.Grants, directory.Grant{
				ScopeUUID: scope.UUID, ScopeType: scope.Type, CustomerUUID: scope.CustomerUUID, RoleUUID: m.RoleUUID,
				Permissions: c.roleOf(m).Permissions,
			})
		}
	}
	all := 0
	for _, m := range c.memberships {
		scope := c.scopeOf(m)
		if !c.inForce(m) || c.removed(scope) {
			continue
		}
		all++
		one := directory.Permission{Membership: m, Scope: scope}
		if one.VisibleTo(actor.PermissionVisibility()) {
			let[m.UUID] = true
		}
		if user.IsStaff || user.IsSupport || m.UserUUID == user.UUID || c.manages(user, scope) {
			ruled[m.UUID] = true
		}
		require.Equal(c.t, user.IsStaff || c.manages(user, scope), actor.MayManage(scope))
	}
	require.Equal(c.t, let, listed, "the permissions that %s sees in the list are not those that the rule lets through", user.Username)
	require.Equal(c.t, ruled, listed, "the permissions that %s sees are not those of behaviour", user.Username)
	return partly(user, len(listed), all)
}

func (c *chance) scopeOf(m directory.Membership) directory.Scope {
	for _, each := range c.scopes {
		if each.UUID == m.ScopeUUID {
			return each
		}
	}
	panic("no such scope")
}

func (c *chance) roleOf(m directory.Membership) directory.Role {
	for _, each := range c.roles {
		if each.UUID == m.RoleUUID {
			return each
		}
	}
	panic("no such role")
}

func (c *chance) inForce(m directory.Membership) bool {
	return m.Revoked == nil && (m.Expires == nil || m.Expires.After(c.now))
}

func (c *chance) removed(s directory.Scope) bool {
	for _, each := range c.scopes {
		if each.UUID == s.CustomerUUID && each.IsRemoved {
			return true
		}
	}
	return s.IsRemoved
}

func (c *chance) seesScope(user directory.User, s directory.Scope) bool {
	if user.IsStaff || user.IsSupport {
		return true
	}
	for _, m := range c.memberships {
		if m.UserUUID != user.UUID || !c.inForce(m) {
			continue
		}
		where := c.scopeOf(m)
		if where.UUID == s.UUID || where.UUID == s.CustomerUUID || where.CustomerUUID == s.UUID {
			return true
		}
	}
	return false
}

func (c *chance) manages(user directory.User, s directory.Scope) bool {
	for _, m := range c.memberships {
		if m.UserUUID != user.UUID || !c.inForce(m) {
			continue
		}
		for _, permission := range c.roleOf(m).Permissions {
			if permission == "" {
				continue
			}
			if (m.ScopeUUID == s.UUID || m.ScopeUUID == s.CustomerUUID) && permission == s.Type.CreatePermission() {
				return true
			}
			if m.ScopeUUID == s.CustomerUUID && permission == directory.CustomerCreatePermission {
				return true
			}
		}
	}
	return false
}
