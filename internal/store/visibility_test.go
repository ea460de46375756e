package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// seedVariable names the variable with the one seed to run: a failed run says which it was.
const seedVariable = "INVITED_TEST_SEED"

// The list, which is computed in SQL, shows exactly the invitations that the rule in Go shows one by one. Both equal
// the rule of this test, which is written a third time from the documented behaviour. Each invitation is listed in
// exactly one state. The data is random, and the same for the same seed.
func TestListShowsWhatTheRuleShows(t *testing.T) {
	t.Parallel()
	onRandomData(t, (*randomEnv).compare)
}

var knownSeeds = []uint64{1, 2, 3}

// onRandomData runs a test for several seeds, on both engines.
func onRandomData(t *testing.T, test func(*randomEnv)) {
	t.Helper()
	seeds := knownSeeds
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seeds = []uint64{seed}
	} else {
		seeds = append(slices.Clone(seeds), rand.Uint64()) // and one that was never run
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("%s=%d", seedVariable, seed), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Engine) {
				t.Helper()
				test(newRandomEnv(t, e, seed))
			})
		})
	}
}

const lifetime = 7 * 24 * time.Hour

// randomEnv is a database with random rows.
type randomEnv struct {
	t       *testing.T
	random  *rand.Rand
	now     time.Time
	db      *store.Store
	service *invitation.Service
	reader  *directory.Reader

	users       []directory.User
	roles       []directory.Role
	scopes      []directory.Scope
	memberships []directory.Membership
	invitations []invitation.Invitation
	stored      map[uuid.UUID]bool // the invitations that are there
	actors      []directory.Actor  // the users, with the grants that the store finds

	isKnown bool // the seed is known to make users who see some rows and not others
}

func newRandomEnv(t *testing.T, e storetest.Engine, seed uint64) *randomEnv {
	t.Helper()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	db := e.Open(t, storetest.NewClock(now).Now)
	c := &randomEnv{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), now: now, db: db, isKnown: slices.Contains(knownSeeds, seed),
		service: &invitation.Service{Store: db.Invitations(), Policy: invitation.Policy{Lifetime: lifetime, AllowedFields: []string{"full_name", "native_name"}}},
		reader:  &directory.Reader{Store: db.ReadStore()}, stored: map[uuid.UUID]bool{},
	}
	c.invent()
	require.NoError(t, db.FileStore().Write(t.Context(), func(tx directory.FileTx) error {
		return errors.Join(tx.SaveRoles(c.roles), tx.SaveUsers(c.users), tx.SaveScopes(c.scopes), tx.SaveMemberships(c.memberships))
	}))
	for _, each := range c.invitations {
		err := db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
			return []invitation.Change{{After: &each}}, nil
		})
		if !errors.Is(err, invitation.ErrDuplicate) { // then there is one invitation less
			require.NoError(t, err)
			c.stored[each.UUID] = true
		}
	}
	for _, each := range c.users {
		require.NoError(t, db.Invitations().Read(t.Context(), func(tx invitation.Tx) error {
			actor, err := tx.FindActor(each.UUID)
			require.ElementsMatch(t, c.grants(each), actor.Grants)
			c.actors = append(c.actors, actor)
			return err
		}))
	}
	return c
}

// grants returns the grants that a user holds, computed from the random rows.
func (c *randomEnv) grants(user directory.User) (grants []directory.Grant) {
	for _, m := range c.memberships {
		if m.UserUUID == user.UUID && c.isActive(m) {
			scope := c.scopeOf(m)
			grants = append(grants, directory.Grant{
				ScopeUUID: scope.UUID, ScopeType: scope.Type, CustomerUUID: scope.CustomerUUID, RoleUUID: m.RoleUUID,
				RoleName: c.roleOf(m).Name, Permissions: c.roleOf(m).Permissions,
			})
		}
	}
	return grants
}

func pick[T any](c *randomEnv, from []T) T { return from[c.random.IntN(len(from))] }

func (c *randomEnv) one(in int) bool { return c.random.IntN(in) == 0 }

func (c *randomEnv) uuid() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(c.random.Uint32())
	}
	return id
}

// moment returns a time at an edge, or a little before or after it.
func (c *randomEnv) moment(edge time.Time) time.Time {
	return edge.Add(pick(c, []time.Duration{
		0, time.Microsecond, -time.Microsecond, time.Millisecond, -time.Second, time.Hour, -time.Hour, 3 * lifetime, -3 * lifetime,
		time.Duration(c.random.Int64N(int64(4*lifetime))) - 2*lifetime,
	})).Truncate(time.Microsecond)
}

var addresses = []string{"Ann@Example.org", "bob@example.org", "CAROL@EXAMPLE.ORG", "dan@bücher.example", "dan@xn--bcher-kva.example", "k@example.org", ""}

var invitees = []string{"", "Ann Lee", "ÜNAL 50%", "Scope_0", "李雷"}

func (c *randomEnv) invent() {
	permissions := []string{directory.InvitationList, directory.CreateProject, ""}
	for _, each := range directory.ScopeTypes {
		permissions = append(permissions, each.CreatePermission())
	}
	for i, kind := range slices.Concat(directory.ScopeTypes, directory.ScopeTypes) {
		role := directory.Role{UUID: c.uuid(), Name: roleName(i), ScopeType: kind, IsActive: !c.one(4)}
		for range c.random.IntN(4) {
			useful := []string{directory.InvitationList, kind.CreatePermission(), pick(c, permissions), directory.CreateProject}
			role.Permissions = append(role.Permissions, pick(c, useful))
		}
		c.roles = append(c.roles, role)
	}
	for i := range 12 {
		email := pick(c, addresses)
		c.users = append(c.users, directory.User{
			UUID: c.uuid(), Username: fmt.Sprint("user", i), Email: email, EmailFolded: directory.FoldEmail(email),
			CivilNumber: []string{"", "1"}[i%2], IsStaff: i == 0, IsSupport: i == 1, IsActive: !c.one(10), Created: c.now, NotificationsEnabled: i%4 != 3,
		})
	}
	for i := range 4 {
		customer := c.scope(directory.Customer, fmt.Sprint("Customer ", i))
		customer.CustomerUUID = customer.UUID
		c.scopes = append(c.scopes, customer)
		for j := range c.random.IntN(5) {
			scope := c.scope(pick(c, directory.ScopeTypes[1:]), fmt.Sprint("Scope ", i, j))
			scope.CustomerUUID = customer.UUID
			if scope.Type == directory.Project && !c.one(3) {
				start := c.moment(pick(c, []time.Time{c.now, c.now.Add(-lifetime)}))
				scope.StartDate = &start
			}
			c.scopes = append(c.scopes, scope)
		}
	}
	active := map[[3]uuid.UUID]bool{}
	for range 40 {
		role, scope := pick(c, c.roles), pick(c, c.scopes)
		for tries := 0; tries < 3 && role.ScopeType != scope.Type; tries++ { // most memberships fit
			role, scope = pick(c, c.roles), pick(c, c.scopes)
		}
		m := directory.Membership{
			UUID: c.uuid(), UserUUID: pick(c, c.users[2:]).UUID, RoleUUID: role.UUID, ScopeUUID: scope.UUID,
			Created: c.now.Add(-lifetime),
		}
		if c.one(2) {
			end := c.now.Add(pick(c, []time.Duration{0, time.Microsecond, -time.Microsecond, time.Hour, -time.Hour}))
			m.Expires = &end
		}
		if key := [3]uuid.UUID{m.UserUUID, m.RoleUUID, m.ScopeUUID}; c.one(5) || active[key] {
			revoked := c.now.Add(-time.Hour)
			m.Revoked = &revoked
		} else {
			active[key] = true
		}
		c.memberships = append(c.memberships, m)
	}
	standing := slices.IndexFunc(c.scopes, func(s directory.Scope) bool { return s.Type == directory.Customer && !s.IsRemoved })
	owner := directory.Membership{
		UUID: c.uuid(), UserUUID: c.users[2].UUID, RoleUUID: c.roles[0].UUID, ScopeUUID: c.scopes[max(standing, 0)].UUID,
		Created: c.now.Add(-lifetime),
	}
	if !active[[3]uuid.UUID{owner.UserUUID, owner.RoleUUID, owner.ScopeUUID}] {
		c.memberships = append(c.memberships, owner)
	}
	for n := range 80 {
		scope, email := pick(c, c.scopes), pick(c, addresses[:6])
		i := invitation.Invitation{
			UUID: c.uuid(), StoredState: pick(c, invitation.States), Created: c.moment(c.now.Add(-lifetime)), ExecutionState: invitation.OK,
			RoleUUID: pick(c, c.roles).UUID, ScopeUUID: scope.UUID, CustomerUUID: scope.CustomerUUID, Email: email,
			EmailFolded: directory.FoldEmail(email), FullName: invitees[n%len(invitees)], NativeName: invitees[n%3],
		}
		if n%4 == 0 {
			i.CivilNumber = "1"
		}
		if i.StoredState == invitation.Canceled && n%5 > 0 {
			i.DeclinedAt = new(c.now.Add([]time.Duration{0, -invitation.UndoPeriod, time.Microsecond - invitation.UndoPeriod, -time.Minute, -time.Hour}[n%5]))
		}
		if c.one(3) {
			i.ExpiresAt = new(c.moment(c.now))
		}
		if last := c.moment(c.now); c.one(3) && (i.ExpiresAt == nil || !i.ExpiresAt.After(last)) {
			i.MembershipExpires = &last
		}
		if !c.one(4) {
			creator := pick(c, c.users).UUID
			i.CreatedByUUID = &creator
		}
		c.invitations = append(c.invitations, i)
	}
}

// roleName returns the name of a role. The first one is a role of customers.
func roleName(i int) string {
	if i == 0 {
		return directory.CustomerOwner
	}
	return fmt.Sprint("ROLE.", i)
}

func (c *randomEnv) scope(kind directory.ScopeType, name string) directory.Scope {
	return directory.Scope{
		UUID: c.uuid(), Type: kind, Name: name, NameFolded: directory.Fold(name), IsRemoved: c.one(8), Created: c.now,
	}
}

// shown returns the invitations that a caller sees in the list, by uuid, with the states that the list shows.
func (c *randomEnv) shown(caller directory.Actor, asked ...invitation.State) map[uuid.UUID]invitation.State {
	c.t.Helper()
	found := map[uuid.UUID]invitation.State{}
	const size = 17 // so that there are several pages
	for page := 1; ; page++ {
		got, err := c.service.List(c.t.Context(), caller, invitation.Query{States: asked}, page, size)
		require.NoError(c.t, err)
		for _, each := range got.Invitations {
			require.NotContains(c.t, found, each.UUID, "shown on two pages")
			found[each.UUID] = each.State
		}
		if page*size >= got.Total {
			require.Len(c.t, found, got.Total)
			counted, err := c.service.Count(c.t.Context(), caller, invitation.Query{States: asked})
			require.NoError(c.t, err)
			require.Equal(c.t, got.Total, counted)
			return found
		}
	}
}

func (c *randomEnv) compare() {
	all := c.shown(c.actors[0])
	require.NotEmpty(c.t, all)
	seeing, partly := 0, 0
	for _, caller := range c.actors {
		listed, opened, ruled := c.shown(caller), map[uuid.UUID]invitation.State{}, map[uuid.UUID]invitation.State{}
		for _, each := range c.invitations {
			view, err := c.service.Retrieve(c.t.Context(), caller, each.UUID)
			if err == nil {
				opened[each.UUID] = view.State
			} else {
				require.True(c.t, fault.Is(err, fault.KindNotFound), "%v", err)
			}
			if _, stored := all[each.UUID]; stored && c.sees(caller.User, each) {
				ruled[each.UUID] = c.state(each)
			}
		}
		require.Equal(c.t, opened, listed, "what %s sees in the list is not what the rule shows", caller.Username)
		require.Equal(c.t, ruled, listed, "what %s sees is not what the documented behaviour says", caller.Username)
		if !caller.SeesAll() && len(listed) > 0 {
			seeing++
			if len(listed) < len(all) {
				partly++
			}
		}

		parts := map[uuid.UUID]invitation.State{}
		for _, state := range invitation.States {
			for id, is := range c.shown(caller, state) {
				require.Equal(c.t, state, is)
				require.NotContains(c.t, parts, id, "in two states")
				parts[id] = is
			}
		}
		require.Equal(c.t, listed, parts, "the lists of all states do not add up to the list of all")
		for range 3 {
			asked := []invitation.State{pick(c, invitation.States), pick(c, invitation.States), pick(c, invitation.States)}
			union := map[uuid.UUID]invitation.State{}
			for id, is := range listed {
				if is == asked[0] || is == asked[1] || is == asked[2] {
					union[id] = is
				}
			}
			require.Equal(c.t, union, c.shown(caller, asked...), "%v", asked)
		}
	}
	if c.isKnown {
		require.NotZero(c.t, seeing, "where nobody sees anything, the test finds no mistake")
		require.NotZero(c.t, partly, "where everybody sees everything, the test finds no mistake")
	}
}

// state returns the state of an invitation now.
func (c *randomEnv) state(i invitation.Invitation) invitation.State {
	end := i.Created.Add(lifetime)
	for _, scope := range c.scopes {
		if scope.UUID == i.ScopeUUID && scope.StartDate != nil && scope.StartDate.Add(lifetime).After(end) {
			end = scope.StartDate.Add(lifetime)
		}
	}
	pastEnd := !c.now.Before(end)
	if i.ExpiresAt != nil {
		pastEnd = !c.now.Before(*i.ExpiresAt)
	}
	pastMembership := i.MembershipExpires != nil && !c.now.Before(*i.MembershipExpires)
	switch i.StoredState {
	case invitation.Pending, invitation.Requested:
		if pastEnd || pastMembership {
			return invitation.Expired
		}
	case invitation.Project:
		if (i.ExpiresAt != nil && pastEnd) || pastMembership {
			return invitation.Expired
		}
	case invitation.Accepted, invitation.Canceled, invitation.Rejected, invitation.Expired: // time ends none
	}
	return i.StoredState
}

func (c *randomEnv) isRemoved(scope uuid.UUID) bool {
	return slices.ContainsFunc(c.scopes, func(s directory.Scope) bool { return s.UUID == scope && s.IsRemoved })
}

// sees is the rule of the list, computed from the random rows.
func (c *randomEnv) sees(user directory.User, i invitation.Invitation) bool {
	if user.IsStaff || user.IsSupport {
		return true
	}
	state := c.state(i)
	if user.Email != "" && directory.FoldEmail(user.Email) == directory.FoldEmail(i.Email) &&
		(state == invitation.Pending || state == invitation.Project) && !c.isRemoved(i.ScopeUUID) && !c.isRemoved(i.CustomerUUID) {
		return true
	}
	for _, m := range c.memberships {
		if m.UserUUID != user.UUID || m.Revoked != nil || (m.Expires != nil && !m.Expires.After(c.now)) {
			continue
		}
		for _, role := range c.roles {
			for _, permission := range role.Permissions {
				if role.UUID != m.RoleUUID || permission == "" {
					continue
				}
				if m.ScopeUUID == i.CustomerUUID && (permission == directory.InvitationList || permission == directory.CustomerCreatePermission) {
					return true
				}
				for _, scope := range c.scopes {
					if scope.UUID == i.ScopeUUID && (m.ScopeUUID == scope.UUID || m.ScopeUUID == scope.CustomerUUID) &&
						permission == scope.Type.CreatePermission() {
						return true
					}
				}
			}
		}
	}
	return false
}

// A sweep writes what is true of each invitation at that time, and reminds those that end within a day: the same as the rule in
// Go says of the row. The filter by the end shows what the row's end says, too.
func TestSweepDoesWhatTheRuleSays(t *testing.T) {
	t.Parallel()
	onRandomData(t, (*randomEnv).compareSweep)
}

func (c *randomEnv) compareSweep() {
	all := c.views()
	for range 5 {
		before := c.moment(c.now)
		var want, got []uuid.UUID
		for id, each := range all {
			if each.Expires.Before(before) {
				want = append(want, id)
			}
		}
		for page := 1; ; page++ {
			found, err := c.service.List(c.t.Context(), c.actors[0], invitation.Query{ExpiresBefore: &before}, page, 100)
			require.NoError(c.t, err)
			for _, each := range found.Invitations {
				got = append(got, each.UUID)
			}
			if len(got) >= found.Total {
				break
			}
		}
		require.ElementsMatch(c.t, want, got, before)
	}

	require.NoError(c.t, c.service.Sweep(c.t.Context()))
	swept, changed := c.views(), map[invitation.State]int{}
	for id, was := range all {
		is, want := swept[id], was.State
		gone := c.isRemoved(was.ScopeUUID) || c.isRemoved(was.CustomerUUID)
		isOpen := was.State == invitation.Project || was.State == invitation.Requested || was.State == invitation.Pending
		switch {
		case gone && isOpen:
			want = invitation.Canceled
		case was.State == invitation.Project && !was.Scope.StartsAfter(c.now):
			want = invitation.Pending
		}
		require.Equal(c.t, want, is.StoredState, id)
		if was.StoredState != is.StoredState {
			changed[is.StoredState]++
		}
		if is.StoredState == invitation.Pending {
			require.Equal(c.t, !c.now.Before(is.Expires.Add(-invitation.ReminderPeriod)), is.Reminded, id)
		}
	}
	if c.isKnown {
		require.NotZero(c.t, changed[invitation.Expired])
	}
}

// views returns all invitations as the first user, who is staff, sees them.
func (c *randomEnv) views() map[uuid.UUID]invitation.View {
	found := map[uuid.UUID]invitation.View{}
	for page := 1; ; page++ {
		got, err := c.service.List(c.t.Context(), c.actors[0], invitation.Query{}, page, 100)
		require.NoError(c.t, err)
		for _, each := range got.Invitations {
			found[each.UUID] = each
		}
		if len(found) >= got.Total {
			return found
		}
	}
}
