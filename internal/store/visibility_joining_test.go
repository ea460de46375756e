package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/joining"
)

// The list of group invitations, which is computed in SQL, shows exactly those that the rule in Go shows, and each is listed
// as active or not, as the rule says.
func TestGroupListShowsWhatTheRuleShows(t *testing.T) {
	t.Parallel()
	onRandomData(t, (*randomEnv).compareGroups)
}

func (c *randomEnv) compareGroups() {
	made := c.inventGroups()
	service := &joining.Service{Store: c.db.Joining()}
	actors := append([]directory.Actor{{}}, c.actors...)
	for _, actor := range actors {
		want := map[bool][]uuid.UUID{}
		for _, g := range made {
			if joining.VisibleTo(actor).Includes(g, c.now) {
				want[g.IsActiveAt(c.now)] = append(want[g.IsActiveAt(c.now)], g.UUID)
			}
		}
		for _, active := range []bool{true, false} {
			rows, total, err := service.List(c.t.Context(), actor, joining.Query{IsActive: &active}, 1, 300)
			require.NoError(c.t, err)
			var got []uuid.UUID
			for _, row := range rows {
				require.Equal(c.t, active, row.IsActive)
				got = append(got, row.UUID)
			}
			require.ElementsMatch(c.t, want[active], got, "active: %t, user %q", active, actor.Username)
			require.Len(c.t, want[active], total)
			counted, err := service.Count(c.t.Context(), actor, joining.Query{IsActive: &active})
			require.NoError(c.t, err)
			require.Equal(c.t, total, counted)
		}
	}
}

// inventGroups writes random group invitations, and returns them as they were written.
func (c *randomEnv) inventGroups() (made []joining.GroupInvitation) {
	customers := map[uuid.UUID]*directory.Scope{}
	for i, scope := range c.scopes {
		if scope.Type == directory.Customer {
			customers[scope.UUID] = &c.scopes[i]
		}
	}
	for range 60 {
		scope := c.scopes[c.random.IntN(len(c.scopes))]
		scope.Customer = customers[scope.CustomerUUID]
		g := joining.GroupInvitation{
			UUID: uuid.New(), Created: c.now, NotCanceled: c.random.IntN(4) > 0, IsPublic: c.random.IntN(2) == 0,
			RoleUUID: c.roles[c.random.IntN(len(c.roles))].UUID, ScopeUUID: scope.UUID, Scope: scope, CustomerUUID: scope.CustomerUUID,
			EmailPatterns: []string{}, Affiliations: []string{}, IdentitySources: []string{},
		}
		if n := c.random.IntN(5); n < 3 {
			g.Expires = new(c.now.Add(time.Duration(n-1) * time.Microsecond))
		}
		made = append(made, g)
	}
	require.NoError(c.t, c.db.Joining().Change(c.t.Context(), func(joining.Tx) (changes []joining.Change, err error) {
		for _, g := range made {
			changes = append(changes, joining.Change{After: &g})
		}
		return changes, nil
	}))
	return made
}
