package store_test

import (
	"cmp"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
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
		var overseen []uuid.UUID
		for _, g := range made {
			if joining.OverseenBy(actor).Includes(g, c.now) {
				overseen = append(overseen, g.UUID)
			}
			require.Equal(c.t, joining.OverseenBy(actor).Includes(g, c.now), slices.Contains(joining.VisibleTo(actor).Customers, g.CustomerUUID) ||
				actor.SeesAll() || actor.MayManage(g.Scope), "user %q", actor.Username)
		}
		rows, _, err := service.List(c.t.Context(), actor, joining.Query{Overseen: true}, 1, 300)
		require.NoError(c.t, err)
		got := make([]uuid.UUID, len(rows))
		for i, row := range rows {
			got[i] = row.UUID
		}
		require.ElementsMatch(c.t, overseen, got, "user %q oversees", actor.Username)
		require.True(c.t, len(overseen) == 0 || !joining.OverseenBy(actor).IsEmpty(), "user %q", actor.Username)
		// Anybody signed in opens each by its uuid, and so what is listed; without a credential what is listed, and no more.
		for _, g := range made {
			_, err := service.Retrieve(c.t.Context(), actor, g.UUID)
			isListed := slices.Contains(want[true], g.UUID) || slices.Contains(want[false], g.UUID)
			require.Equal(c.t, isListed || actor.UUID != uuid.Nil, err == nil, "user %q", actor.Username)
			require.Equal(c.t, c.seesGroup(actor.User, g), isListed, "user %q: what the documented behavior says", actor.Username)
		}
		for range 10 {
			c.compareGroupQuery(service, actor, made)
		}
	}
}

// seesGroup is the rule of the list of group invitations, written again from the documented behavior, by the random rows.
func (c *randomEnv) seesGroup(user directory.User, g joining.GroupInvitation) bool {
	lists := slices.ContainsFunc(c.grants(user), func(held directory.Grant) bool {
		return held.ScopeUUID == g.CustomerUUID && slices.Contains(held.Permissions, directory.InvitationList)
	})
	isActive := g.NotCanceled && (g.Expires == nil || g.Expires.After(c.now)) && !c.isRemoved(g.ScopeUUID) && !c.isRemoved(g.CustomerUUID)
	return user.IsStaff || user.IsSupport || lists || (g.IsPublic && isActive)
}

// maybe returns a value or, more often, nil.
func maybe[T any](c *randomEnv, value T) *T {
	if c.one(3) {
		return &value
	}
	return nil
}

// equals reports whether a filter lets a value through.
func equals[T comparable](filter *T, value T) bool { return filter == nil || *filter == value }

// compareGroupQuery compares a random page of a random list with the rows that the rule and the filters leave, in order.
func (c *randomEnv) compareGroupQuery(service *joining.Service, actor directory.Actor, made []joining.GroupInvitation) {
	c.t.Helper()
	like := pick(c, made)
	q := joining.Query{
		Customer: maybe(c, like.CustomerUUID), IsActive: maybe(c, like.IsActiveAt(c.now)), IsPublic: maybe(c, like.IsPublic), Role: maybe(c, like.RoleUUID),
		Scope: maybe(c, invitation.ScopeRef{Type: like.Scope.Type, UUID: like.ScopeUUID}),
		Order: pick(c, [][]directory.Order{nil, {{By: directory.ByCreated}}, {{By: directory.ByCreated, Descending: true}}}),
	}
	var want []joining.GroupInvitation
	for _, g := range made {
		if joining.VisibleTo(actor).Includes(g, c.now) && equals(q.Customer, g.CustomerUUID) && equals(q.IsActive, g.IsActiveAt(c.now)) &&
			equals(q.IsPublic, g.IsPublic) && equals(q.Role, g.RoleUUID) && (q.Scope == nil || q.Scope.UUID == g.ScopeUUID) {
			want = append(want, g)
		}
	}
	slices.SortFunc(want, func(a, b joining.GroupInvitation) int {
		order := b.Created.Compare(a.Created)
		if len(q.Order) > 0 && !q.Order[0].Descending {
			order = -order
		}
		return cmp.Or(order, slices.Compare(a.UUID[:], b.UUID[:]))
	})
	page, size := c.window(len(want))
	rows, total, err := service.List(c.t.Context(), actor, q, page, size)
	require.NoError(c.t, err)
	require.Len(c.t, want, total, "%+v", q)
	counted, err := service.Count(c.t.Context(), actor, q)
	require.NoError(c.t, err)
	require.Equal(c.t, total, counted, "%+v", q)
	var got, expected []uuid.UUID
	for _, row := range rows {
		got = append(got, row.UUID)
	}
	for _, g := range pageOf(want, page, size) {
		expected = append(expected, g.UUID)
	}
	require.Equal(c.t, expected, got, "page %d of %d: %+v", page, size, q)
}

// window returns the number of a page that a list has, and the size of its pages.
func (c *randomEnv) window(total int) (page, size int) {
	size = 1 + c.random.IntN(20)
	return 1 + c.random.IntN(max(1, (total+size-1)/size)), size
}

// pageOf returns a page of a list.
func pageOf[T any](list []T, page, size int) []T {
	return list[min((page-1)*size, len(list)):min(page*size, len(list))]
}

// compareRequestQuery is compareGroupQuery for permission requests.
func (c *randomEnv) compareRequestQuery(service *joining.Service, actor directory.Actor, made []joining.Request) {
	c.t.Helper()
	like := pick(c, made)
	q := joining.RequestQuery{
		CreatedBy: maybe(c, like.CreatedByUUID), Customer: maybe(c, like.CustomerUUID), Invitation: maybe(c, like.GroupInvitationUUID),
		Scope: maybe(c, invitation.ScopeRef{Type: like.Group.Scope.Type, UUID: like.ScopeUUID}),
		Order: pick(c, [][]directory.Order{
			nil, {{By: directory.ByCreated}}, {{By: joining.ByState}}, {{By: joining.ByState, Descending: true}, {By: directory.ByCreated}},
		}),
	}
	for range c.random.IntN(7) {
		q.States = append(q.States, pick(c, append([]joining.State{"unknown"}, joining.States...)))
	}
	var want []joining.Request
	for _, r := range made {
		if joining.RequestsVisibleTo(actor).Includes(r) && equals(q.CreatedBy, r.CreatedByUUID) && equals(q.Customer, r.CustomerUUID) &&
			equals(q.Invitation, r.GroupInvitationUUID) && (q.Scope == nil || q.Scope.UUID == r.ScopeUUID) &&
			(q.States == nil || slices.Contains(q.States, r.State)) {
			want = append(want, r)
		}
	}
	slices.SortFunc(want, func(a, b joining.Request) int {
		byCreated, byState, byUUID := a.Created.Compare(b.Created), cmp.Compare(a.State, b.State), slices.Compare(a.UUID[:], b.UUID[:])
		switch {
		case q.Order == nil:
			return cmp.Or(-byCreated, byUUID)
		case q.Order[0].By == directory.ByCreated:
			return cmp.Or(byCreated, byUUID)
		case len(q.Order) == 1:
			return cmp.Or(byState, byUUID)
		}
		return cmp.Or(-byState, byCreated, byUUID)
	})
	page, size := c.window(len(want))
	rows, total, err := service.Requests(c.t.Context(), actor, q, page, size)
	require.NoError(c.t, err)
	require.Len(c.t, want, total, "%+v", q)
	counted, err := service.CountRequests(c.t.Context(), actor, q)
	require.NoError(c.t, err)
	require.Equal(c.t, total, counted, "%+v", q)
	var got, expected []uuid.UUID
	for _, row := range rows {
		got = append(got, row.UUID)
	}
	for _, r := range pageOf(want, page, size) {
		expected = append(expected, r.UUID)
	}
	require.Equal(c.t, expected, got, "page %d of %d: %+v", page, size, q)
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
			isSeen := joining.RequestsVisibleTo(actor).Includes(r)
			require.Equal(c.t, isSeen, err == nil)
			require.Equal(c.t, c.seesRequest(actor.User, r), isSeen, "user %q: what the documented behavior says", actor.Username)
		}
		for range 10 {
			c.compareRequestQuery(service, actor, made)
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
			UUID: uuid.New(), GroupInvitationUUID: g.UUID, State: joining.States[c.random.IntN(len(joining.States))], Created: c.created(),
			CreatedByUUID: c.users[c.random.IntN(len(c.users))].UUID, ScopeUUID: g.ScopeUUID, CustomerUUID: g.CustomerUUID, Group: g,
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

// created returns one of a few times, so that some rows were created at the same time.
func (c *randomEnv) created() time.Time {
	return c.now.Add(-time.Duration(c.random.IntN(20)) * time.Second)
}

// seesRequest is the rule of the list of permission requests, written again from the documented behavior, by the random rows.
func (c *randomEnv) seesRequest(user directory.User, r joining.Request) bool {
	return user.IsStaff || user.IsSupport || r.CreatedByUUID == user.UUID ||
		slices.ContainsFunc(c.grants(user), func(held directory.Grant) bool { return held.ScopeUUID == r.CustomerUUID })
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
			UUID: uuid.New(), Created: c.created(), NotCanceled: c.random.IntN(4) > 0, IsPublic: c.random.IntN(2) == 0,
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
