package store_test

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
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

// The list of permission requests, which is computed in SQL, shows exactly those that the rule in Go shows.
func TestRequestListShowsWhatTheRuleShows(t *testing.T) {
	t.Parallel()
	onRandomData(t, (*randomEnv).compareRequests)
}

func (c *randomEnv) compareRequests() {
	_, made := c.inventRequests()
	service := &joining.Service{Store: c.db.Joining()}
	for _, actor := range c.actors {
		for _, state := range joining.States {
			var want, got []uuid.UUID
			for _, r := range made {
				if r.State == state && joining.RequestsVisibleTo(actor).Includes(r) {
					want = append(want, r.UUID)
				}
			}
			rows, total, err := service.Requests(c.t.Context(), actor, joining.RequestQuery{States: []joining.State{state}}, 1, 300)
			require.NoError(c.t, err)
			for _, row := range rows {
				got = append(got, row.UUID)
			}
			require.ElementsMatch(c.t, want, got, "%s, user %q", state, actor.Username)
			require.Len(c.t, want, total)
		}
		for _, r := range made {
			_, err := service.Request(c.t.Context(), actor, r.UUID)
			require.Equal(c.t, joining.RequestsVisibleTo(actor).Includes(r), err == nil)
		}
	}
}

// Who may manage a group invitation reads its events, and of those about requests exactly those about requests that they see.
func TestGroupEventsShowWhatTheRuleShows(t *testing.T) {
	t.Parallel()
	onSomeRandomData(t, (*randomEnv).compareGroupEvents)
}

// onSomeRandomData is onRandomData for a test that returns how often it came to what it is about. Single seeds may not come to
// it; all of them together do.
func onSomeRandomData(t *testing.T, test func(*randomEnv) int) {
	t.Helper()
	var times atomic.Int64
	t.Cleanup(func() {
		require.True(t, times.Load() > 0 || os.Getenv(seedVariable) != "", "the data has nothing to compare")
	})
	onRandomData(t, func(c *randomEnv) { times.Add(int64(test(c))) })
}

// compareGroupEvents returns the number of events that are hidden from somebody who may manage their group invitation.
func (c *randomEnv) compareGroupEvents() (hidden int) {
	groups, requests := c.inventRequests()
	require.NoError(c.t, c.db.Joining().Change(c.t.Context(), func(joining.Tx) (changes []joining.Change, err error) {
		for _, g := range groups {
			changes = append(changes, joining.Change{Event: &joining.Event{GroupInvitationUUID: g.UUID, Type: joining.EventCreated}})
		}
		for _, r := range requests {
			changes = append(changes, joining.Change{Event: &joining.Event{
				GroupInvitationUUID: r.GroupInvitationUUID, PermissionRequestUUID: &r.UUID, Type: joining.EventSubmitted,
			}})
		}
		return changes, nil
	}))
	service := &joining.Service{Store: c.db.Joining()}
	for _, actor := range c.actors {
		for _, g := range groups {
			events, total, err := service.Events(c.t.Context(), actor, g.UUID, 1, 300)
			if !actor.IsStaff && !actor.MayManage(g.Scope) {
				require.True(c.t, fault.Is(err, fault.KindNotFound))
				continue
			}
			require.NoError(c.t, err)
			require.Len(c.t, events, total)
			want, got := []uuid.UUID{uuid.Nil}, make([]uuid.UUID, 0, len(events))
			for _, r := range requests {
				switch {
				case r.GroupInvitationUUID != g.UUID:
				case joining.RequestsVisibleTo(actor).Includes(r):
					want = append(want, r.UUID)
				default:
					hidden++
				}
			}
			for _, e := range events {
				if e.PermissionRequestUUID == nil {
					got = append(got, uuid.Nil)
				} else {
					got = append(got, *e.PermissionRequestUUID)
				}
			}
			require.ElementsMatch(c.t, want, got, "user %q", actor.Username)
		}
	}
	return hidden
}

// Among the approvers that are read are all whom the rule in Go makes one, each with what the rule needs of their grants, and
// with nothing of other scopes.
func TestApproversAreThoseOfTheRule(t *testing.T) {
	t.Parallel()
	onSomeRandomData(t, (*randomEnv).compareApprovers)
}

// compareApprovers returns the number of approvers.
func (c *randomEnv) compareApprovers() (some int) {
	approves := func(user directory.Actor, g joining.GroupInvitation) bool {
		return joining.IsApprover(user, g) && joining.RequestsVisibleTo(user).Includes(joining.Request{CustomerUUID: g.CustomerUUID})
	}
	for _, g := range c.inventGroups() {
		for _, g.MakesProjects = range []bool{false, true} {
			want, got := map[string]bool{}, map[string]bool{}
			for _, actor := range c.actors {
				decides := actor
				decides.IsStaff = false // staff are approvers by their roles too, and else only where there is nobody
				if actor.IsActive && actor.NotificationsEnabled && actor.Email != "" && approves(decides, g) {
					want[actor.Username] = true
				}
			}
			require.NoError(c.t, c.db.Joining().Read(c.t.Context(), func(tx joining.Tx) error {
				found, err := tx.ListApprovers(g)
				for _, actor := range found {
					for _, held := range actor.Grants {
						require.Contains(c.t, []uuid.UUID{g.ScopeUUID, g.CustomerUUID}, held.ScopeUUID)
					}
					actor.IsStaff = false
					if require.NotEmpty(c.t, actor.Grants); approves(actor, g) {
						got[actor.Username] = true
					}
				}
				return err
			}))
			require.Equal(c.t, want, got)
			some += len(want)
		}
	}
	return some
}

// inventRequests writes random group invitations with random requests, and returns both as they were written.
func (c *randomEnv) inventRequests() (groups []joining.GroupInvitation, made []joining.Request) {
	groups = c.inventGroups()
	for range 80 {
		g := groups[c.random.IntN(len(groups))]
		made = append(made, joining.Request{
			UUID: uuid.New(), GroupInvitationUUID: g.UUID, State: joining.States[c.random.IntN(len(joining.States))], Created: c.now,
			CreatedByUUID: c.users[c.random.IntN(len(c.users))].UUID, ScopeUUID: g.ScopeUUID, CustomerUUID: g.CustomerUUID,
		})
	}
	require.NoError(c.t, c.db.Joining().Change(c.t.Context(), func(joining.Tx) (changes []joining.Change, err error) {
		for _, r := range made {
			changes = append(changes, joining.Change{RequestAfter: &r})
		}
		return changes, nil
	}))
	return groups, made
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
