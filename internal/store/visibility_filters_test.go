package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// The filters by roles show a part of what the caller sees, and the counts of customers count what the caller sees: both
// equal the rules of this test, which are written again from the documented behaviour.
func TestFiltersAndCountsShowNoMoreThanTheRules(t *testing.T) {
	t.Parallel()
	onRandomData(t, func(c *randomEnv) {
		found := map[string]int{}
		for _, caller := range c.actors {
			for _, kind := range []directory.ScopeType{directory.Customer, directory.Project} {
				for name, each := range c.narrowings(caller) {
					each.query.Type = kind
					sum, _, _ := strings.Cut(name, " of user")
					found[sum] += c.compareNarrowed(caller, name, each)
				}
			}
			found["counts"] += c.compareCounts(caller)
			found["users"] += c.compareScopeUsers(caller)
		}
		for name, rows := range found {
			if c.isKnown && name != "removed" {
				require.NotZero(c.t, rows, "%s: a test that finds nothing proves nothing", name)
			}
		}
	})
}

// narrowing is a query with its rule: whether a scope that the caller sees is listed.
type narrowing struct {
	query directory.ScopeQuery
	rule  func(directory.Scope) bool
}

func (c *randomEnv) narrowings(caller directory.Actor) map[string]narrowing {
	holds := func(s directory.Scope, fits func(directory.Role) bool) bool {
		return slices.ContainsFunc(c.memberships, func(m directory.Membership) bool {
			return m.UserUUID == caller.UUID && c.isActive(m) && m.ScopeUUID == s.UUID && fits(c.roleOf(m))
		})
	}
	asked := []string{c.roles[1].Name, c.roles[6].Name, c.roles[5].Name, c.roles[0].Name}
	all := map[string]narrowing{
		"roles": {directory.ScopeQuery{CallerRoles: asked}, func(s directory.Scope) bool {
			return holds(s, func(r directory.Role) bool { return slices.Contains(asked, r.Name) })
		}},
		"owned": {directory.ScopeQuery{Owned: true}, func(s directory.Scope) bool {
			return holds(s, func(r directory.Role) bool { return r.Name == "CUSTOMER.OWNER" })
		}},
		"creates projects": {directory.ScopeQuery{CreatesProjects: true}, func(s directory.Scope) bool {
			return caller.IsStaff || (s.Type == directory.Customer &&
				holds(s, func(r directory.Role) bool { return slices.Contains(r.Permissions, "PROJECT.CREATE") }))
		}},
		"managed": {directory.ScopeQuery{Managed: true}, func(s directory.Scope) bool {
			return caller.IsStaff || c.manages(caller.User, s)
		}},
		"removed":     {directory.ScopeQuery{Removed: new(true)}, func(directory.Scope) bool { return false }},
		"not removed": {directory.ScopeQuery{Removed: new(false)}, func(directory.Scope) bool { return true }},
	}
	for i, user := range c.users {
		all[fmt.Sprint("scopes of user ", i)] = narrowing{directory.ScopeQuery{Member: &user.UUID}, func(s directory.Scope) bool {
			return slices.ContainsFunc(c.memberships, func(m directory.Membership) bool {
				where := c.scopeOf(m)
				return m.UserUUID == user.UUID && c.isActive(m) && !c.removed(where) && c.seesMembership(caller, m) &&
					(where.UUID == s.UUID || where.UUID == s.CustomerUUID || where.CustomerUUID == s.UUID)
			})
		}}
	}
	return all
}

func (c *randomEnv) seesMembership(caller directory.Actor, m directory.Membership) bool {
	return caller.SeesAll() || m.UserUUID == caller.UUID || c.manages(caller.User, c.scopeOf(m))
}

// compareNarrowed returns the number of scopes that were found.
func (c *randomEnv) compareNarrowed(caller directory.Actor, name string, n narrowing) int {
	c.t.Helper()
	rows, total, err := c.reader.Scopes(c.t.Context(), caller, n.query, 1, 300)
	require.NoError(c.t, err)
	listed, ruled := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, each := range rows {
		listed[each.UUID] = true
	}
	require.Len(c.t, listed, total)
	for _, each := range c.scopes {
		if each.Type == n.query.Type && !c.removed(each) && c.seesScope(caller.User, each) && n.rule(each) {
			ruled[each.UUID] = true
		}
	}
	require.Equal(c.t, ruled, listed, "the %ss that %s sees with the filter %q", n.query.Type, caller.Username, name)
	counted, err := c.reader.CountScopes(c.t.Context(), caller, n.query)
	require.NoError(c.t, err)
	require.Equal(c.t, total, counted)
	return total
}

// compareCounts returns the sum of the counts.
func (c *randomEnv) compareCounts(caller directory.Actor) (sum int) {
	c.t.Helper()
	query := directory.ScopeQuery{Type: directory.Customer, WithCounts: true, WithPatterns: true}
	rows, _, err := c.reader.Scopes(c.t.Context(), caller, query, 1, 300)
	require.NoError(c.t, err)
	for _, customer := range rows {
		projects, users := 0, map[uuid.UUID]bool{}
		for _, each := range c.scopes {
			if each.Type == directory.Project && each.CustomerUUID == customer.UUID && !c.removed(each) && c.seesScope(caller.User, each) {
				projects++
			}
		}
		for _, m := range c.memberships {
			where := c.scopeOf(m)
			if where.CustomerUUID == customer.UUID && c.isActive(m) && !c.removed(where) && c.seesMembership(caller, m) {
				users[m.UserUUID] = true
			}
		}
		require.Equal(c.t, projects, customer.ProjectsCount, "projects of %s for %s", customer.Name, caller.Username)
		require.Len(c.t, users, customer.UsersCount, "users of %s for %s", customer.Name, caller.Username)
		one, err := c.reader.ScopeWithDetails(c.t.Context(), caller, directory.Customer, customer.UUID)
		require.NoError(c.t, err)
		require.Equal(c.t, customer, one)
		sum += projects + len(users)
	}
	return sum
}

// compareScopeUsers returns the number of users who were found in some scope.
func (c *randomEnv) compareScopeUsers(caller directory.Actor) (sum int) {
	c.t.Helper()
	for _, scope := range c.scopes {
		rows, total, err := c.reader.ScopeUsers(c.t.Context(), caller, scope.Type, scope.UUID, directory.PermissionQuery{}, 1, 300)
		counted, countErr := c.reader.CountScopeUsers(c.t.Context(), caller, scope.Type, scope.UUID, directory.PermissionQuery{})
		if c.removed(scope) || !c.seesScope(caller.User, scope) {
			require.True(c.t, fault.Is(err, fault.KindNotFound), "%v", err)
			require.True(c.t, fault.Is(countErr, fault.KindNotFound), "%v", countErr)
			continue
		}
		require.NoError(c.t, err)
		require.NoError(c.t, countErr)
		require.Equal(c.t, total, counted)
		listed, ruled := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
		for _, each := range rows {
			listed[each.UUID] = true
		}
		for _, m := range c.memberships {
			if m.ScopeUUID == scope.UUID && c.isActive(m) && c.seesMembership(caller, m) {
				ruled[m.UUID] = true
			}
		}
		require.Equal(c.t, ruled, listed, "the users of %s for %s", scope.Name, caller.Username)
		sum += total
	}
	return sum
}
