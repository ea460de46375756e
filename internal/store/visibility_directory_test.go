package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// The lists of scopes and permissions, which are computed in SQL, show exactly what the rules in Go show one by one.
// Both equal the rules of this test, which are written a third time from the documented behaviour.
func TestDirectoryShowsWhatTheRulesShow(t *testing.T) {
	t.Parallel()
	onRandomData(t, func(c *randomEnv) {
		partly := map[string]int{}
		for _, caller := range c.actors {
			for _, kind := range []directory.ScopeType{directory.Customer, directory.Project} {
				partly[string(kind)] += c.compareScopes(caller, kind)
			}
			partly["permissions"] += c.comparePermissions(caller)
		}
		if c.isKnown {
			require.NotZero(c.t, partly["customer"]+partly["project"], "where everybody sees all scopes, or none, the test finds no mistake")
			require.NotZero(c.t, partly["permissions"], "where everybody sees all permissions, or none, the test finds no mistake")
		}
	})
}

// compareScopes returns 1 where the caller sees some scopes and not others, and 0 otherwise.
func (c *randomEnv) compareScopes(caller directory.Actor, kind directory.ScopeType) int {
	c.t.Helper()
	listed, opened, ruled := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	const size = 2 // so that there are several pages
	for page := 1; ; page++ {
		rows, total, err := c.reader.Scopes(c.t.Context(), caller, directory.ScopeQuery{Type: kind}, page, size)
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
	counted, err := c.reader.CountScopes(c.t.Context(), caller, directory.ScopeQuery{Type: kind})
	require.NoError(c.t, err)
	require.Len(c.t, listed, counted)
	all := 0
	for _, each := range c.scopes {
		_, err := c.reader.Scope(c.t.Context(), caller, kind, each.UUID)
		if err == nil {
			opened[each.UUID] = true
		} else {
			require.True(c.t, fault.Is(err, fault.KindNotFound), "%v", err)
		}
		if each.Type != kind || c.removed(each) {
			continue
		}
		all++
		if c.seesScope(caller.User, each) {
			ruled[each.UUID] = true
		}
	}
	require.Equal(c.t, opened, listed, "the %ss that %s sees in the list are not those that the rule shows", kind, caller.Username)
	require.Equal(c.t, ruled, listed, "the %ss that %s sees are not those of the documented behaviour", kind, caller.Username)
	return seesPart(caller, len(listed), all)
}

func seesPart(caller directory.Actor, seen, all int) int {
	if !caller.SeesAll() && seen > 0 && seen < all {
		return 1
	}
	return 0
}

func (c *randomEnv) comparePermissions(caller directory.Actor) int {
	c.t.Helper()
	listed, shown, ruled := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	const size = 7
	for page := 1; ; page++ {
		rows, total, err := c.reader.Permissions(c.t.Context(), caller, directory.PermissionQuery{}, page, size)
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
	all := 0
	for _, m := range c.memberships {
		scope := c.scopeOf(m)
		if !c.isActive(m) || c.removed(scope) {
			continue
		}
		all++
		one := directory.Permission{Membership: m, Scope: scope}
		if one.VisibleTo(caller.PermissionVisibility()) {
			shown[m.UUID] = true
		}
		if caller.IsStaff || caller.IsSupport || m.UserUUID == caller.UUID || c.manages(caller.User, scope) {
			ruled[m.UUID] = true
		}
		require.Equal(c.t, caller.IsStaff || c.manages(caller.User, scope), caller.MayManage(scope))
	}
	require.Equal(c.t, shown, listed, "the permissions that %s sees in the list are not those that the rule shows", caller.Username)
	require.Equal(c.t, ruled, listed, "the permissions that %s sees are not those of the documented behaviour", caller.Username)
	return seesPart(caller, len(listed), all)
}

func (c *randomEnv) scopeOf(m directory.Membership) directory.Scope {
	for _, each := range c.scopes {
		if each.UUID == m.ScopeUUID {
			return each
		}
	}
	panic("no such scope")
}

func (c *randomEnv) roleOf(m directory.Membership) directory.Role {
	for _, each := range c.roles {
		if each.UUID == m.RoleUUID {
			return each
		}
	}
	panic("no such role")
}

func (c *randomEnv) isActive(m directory.Membership) bool {
	return m.Revoked == nil && (m.Expires == nil || m.Expires.After(c.now))
}

func (c *randomEnv) removed(s directory.Scope) bool {
	for _, each := range c.scopes {
		if each.UUID == s.CustomerUUID && each.IsRemoved {
			return true
		}
	}
	return s.IsRemoved
}

func (c *randomEnv) seesScope(user directory.User, s directory.Scope) bool {
	if user.IsStaff || user.IsSupport {
		return true
	}
	for _, m := range c.memberships {
		if m.UserUUID != user.UUID || !c.isActive(m) {
			continue
		}
		where := c.scopeOf(m)
		if where.UUID == s.UUID || where.UUID == s.CustomerUUID || where.CustomerUUID == s.UUID {
			return true
		}
	}
	return false
}

func (c *randomEnv) manages(user directory.User, s directory.Scope) bool {
	for _, m := range c.memberships {
		if m.UserUUID != user.UUID || !c.isActive(m) {
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
