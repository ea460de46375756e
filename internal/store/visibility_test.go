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
	"invited/internal/storetest"
)

// seedVariable names the variable with the one seed to run: a failed run says which it was.
const seedVariable = "INVITED_TEST_SEED"

// What is seen is the same, whoever asks: the list, made in SQL, shows exactly the invitations that the rule in Go
// opens one by one, and both are what behaviour says of them, said a third time here. Whatever the states asked for,
// each invitation is listed in exactly one. The worlds are random, the same for the same seed.
func TestListShowsWhatTheRuleOpens(t *testing.T) {
	t.Parallel()
	inRandomWorlds(t, (*chance).compare)
}

var knownSeeds = []uint64{1, 2, 3}

// inRandomWorlds runs a test in some, on both engines.
func inRandomWorlds(t *testing.T, test func(*chance)) {
	t.Helper()
	seeds := knownSeeds
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seeds = []uint64{seed}
	} else {
		seeds = append(slices.Clone(seeds), rand.Uint64()) // and one that nobody has seen
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("%s=%d", seedVariable, seed), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Engine) {
				t.Helper()
				test(newChance(t, e, seed))
			})
		})
	}
}

const life = 7 * 24 * time.Hour

// chance is a random world.
type chance struct {
	t       *testing.T
	random  *rand.Rand
	now     time.Time
	service *invitation.Service
	reader  *directory.Reader

	users       []directory.User
	roles       []directory.Role
	scopes      []directory.Scope
	memberships []directory.Membership
	invitations []invitation.Invitation

	proves bool // it is known to be one in which somebody sees a part
}

func newChance(t *testing.T, e storetest.Engine, seed uint64) *chance {
	t.Helper()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	db := e.Open(t, storetest.NewClock(now).Now)
	c := &chance{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), now: now, proves: slices.Contains(knownSeeds, seed),
		service: &invitation.Service{Store: db.Invitations(), Policy: invitation.Policy{Lifetime: life}},
		reader:  &directory.Reader{Store: db.ReadStore()},
	}
	c.invent()
	require.NoError(t, db.Directory().Write(t.Context(), func(tx directory.FileTx) error {
		return errors.Join(tx.SaveRoles(c.roles), tx.SaveUsers(c.users), tx.SaveScopes(c.scopes), tx.SaveMemberships(c.memberships))
	}))
	for _, each := range c.invitations {
		err := db.Invitations().Write(t.Context(), func(tx invitation.Tx) error { return tx.Insert(each, invitation.Event{}) })
		if !errors.Is(err, invitation.ErrTwice) { // then there is one less
			require.NoError(t, err)
		}
	}
	return c
}

func pick[T any](c *chance, from []T) T { return from[c.random.IntN(len(from))] }

func (c *chance) one(in int) bool { return c.random.IntN(in) == 0 }

func (c *chance) uuid() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(c.random.Uint32())
	}
	return id
}

// moment is a time that something can turn on: a little before or after, or exactly, an edge.
func (c *chance) moment(edge time.Time) time.Time {
	return edge.Add(pick(c, []time.Duration{
		0, time.Microsecond, -time.Microsecond, time.Millisecond, -time.Second, time.Hour, -time.Hour, 3 * life, -3 * life,
		time.Duration(c.random.Int64N(int64(4*life))) - 2*life,
	})).Truncate(time.Microsecond)
}

var addresses = []string{"Ann@Example.org", "bob@example.org", "CAROL@EXAMPLE.ORG", "dan@bücher.example", "k@example.org", ""}

func (c *chance) invent() {
	permissions := []string{directory.InvitationList, "SOMETHING.ELSE", ""}
	for _, each := range directory.ScopeTypes {
		permissions = append(permissions, each.CreatePermission())
	}
	for i, kind := range slices.Concat(directory.ScopeTypes, directory.ScopeTypes) {
		role := directory.Role{UUID: c.uuid(), Name: fmt.Sprint("ROLE.", i), ScopeType: kind, IsActive: !c.one(4)}
		for range c.random.IntN(4) {
			useful := []string{directory.InvitationList, kind.CreatePermission(), pick(c, permissions)}
			role.Permissions = append(role.Permissions, pick(c, useful))
		}
		c.roles = append(c.roles, role)
	}
	for i := range 12 {
		email := pick(c, addresses)
		c.users = append(c.users, directory.User{
			UUID: c.uuid(), Username: fmt.Sprint("user", i), Email: email, EmailFolded: directory.Fold(email),
			IsStaff: i == 0, IsSupport: i == 1, IsActive: !c.one(10), Created: c.now,
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
				start := c.moment(pick(c, []time.Time{c.now, c.now.Add(-life)}))
				scope.StartDate = &start
			}
			c.scopes = append(c.scopes, scope)
		}
	}
	held := map[[3]uuid.UUID]bool{}
	for range 40 {
		role, scope := pick(c, c.roles), pick(c, c.scopes)
		for tries := 0; tries < 3 && role.ScopeType != scope.Type; tries++ { // mostly they fit, as in life
			role, scope = pick(c, c.roles), pick(c, c.scopes)
		}
		m := directory.Membership{
			UUID: c.uuid(), UserUUID: pick(c, c.users[2:]).UUID, RoleUUID: role.UUID, ScopeUUID: scope.UUID,
			Created: c.now.Add(-life),
		}
		if c.one(2) {
			end := c.now.Add(pick(c, []time.Duration{0, time.Microsecond, -time.Microsecond, time.Hour, -time.Hour}))
			m.Expires = &end
		}
		if key := [3]uuid.UUID{m.UserUUID, m.RoleUUID, m.ScopeUUID}; c.one(5) || held[key] {
			revoked := c.now.Add(-time.Hour)
			m.Revoked = &revoked
		} else {
			held[key] = true
		}
		c.memberships = append(c.memberships, m)
	}
	for range 80 {
		scope, email := pick(c, c.scopes), pick(c, addresses[:5])
		i := invitation.Invitation{
			UUID: c.uuid(), StoredState: pick(c, invitation.States), Created: c.moment(c.now.Add(-life)), ExecutionState: invitation.OK,
			RoleUUID: pick(c, c.roles).UUID, ScopeUUID: scope.UUID, CustomerUUID: scope.CustomerUUID, Email: email,
			EmailFolded: directory.Fold(email),
		}
		if !c.one(4) {
			creator := pick(c, c.users).UUID
			i.CreatedByUUID = &creator
		}
		c.invitations = append(c.invitations, i)
	}
}

func (c *chance) scope(kind directory.ScopeType, name string) directory.Scope {
	return directory.Scope{
		UUID: c.uuid(), Type: kind, Name: name, NameFolded: directory.Fold(name), IsRemoved: c.one(8), Created: c.now,
	}
}

// shown is what a user sees in the list, by uuid, with the state that it is shown in.
func (c *chance) shown(user directory.User, asked ...invitation.State) map[uuid.UUID]invitation.State {
	c.t.Helper()
	found := map[uuid.UUID]invitation.State{}
	const size = 17 // so that there are several pages
	for page := 1; ; page++ {
		got, err := c.service.List(c.t.Context(), user, invitation.Query{States: asked}, page, size)
		require.NoError(c.t, err)
		for _, each := range got.Invitations {
			require.NotContains(c.t, found, each.UUID, "shown on two pages")
			found[each.UUID] = each.State
		}
		if page*size >= got.Total {
			require.Len(c.t, found, got.Total)
			counted, err := c.service.Count(c.t.Context(), user, invitation.Query{States: asked})
			require.NoError(c.t, err)
			require.Equal(c.t, got.Total, counted)
			return found
		}
	}
}

func (c *chance) compare() {
	everything := c.shown(c.users[0])
	require.NotEmpty(c.t, everything)
	seen, some := 0, 0
	for _, user := range c.users {
		listed, opened, ruled := c.shown(user), map[uuid.UUID]invitation.State{}, map[uuid.UUID]invitation.State{}
		for _, each := range c.invitations {
			view, err := c.service.Retrieve(c.t.Context(), user, each.UUID)
			if err == nil {
				opened[each.UUID] = view.State
			} else {
				require.True(c.t, fault.Is(err, fault.KindNotFound), "%v", err)
			}
			if _, stored := everything[each.UUID]; stored && c.sees(user, each) {
				ruled[each.UUID] = c.state(each)
			}
		}
		require.Equal(c.t, opened, listed, "what %s sees in the list is not what the rule opens", user.Username)
		require.Equal(c.t, ruled, listed, "what %s sees is not what behaviour says", user.Username)
		if !user.SeesAll() && len(listed) > 0 {
			seen++
			if len(listed) < len(everything) {
				some++
			}
		}

		parts := map[uuid.UUID]invitation.State{}
		for _, state := range invitation.States {
			for id, is := range c.shown(user, state) {
				require.Equal(c.t, state, is)
				require.NotContains(c.t, parts, id, "in two states")
				parts[id] = is
			}
		}
		require.Equal(c.t, listed, parts, "the states do not make up the whole")
		for range 3 {
			asked := []invitation.State{pick(c, invitation.States), pick(c, invitation.States), pick(c, invitation.States)}
			union := map[uuid.UUID]invitation.State{}
			for id, is := range listed {
				if is == asked[0] || is == asked[1] || is == asked[2] {
					union[id] = is
				}
			}
			require.Equal(c.t, union, c.shown(user, asked...), "%v", asked)
		}
	}
	if c.proves {
		require.NotZero(c.t, seen, "a world in which nobody sees anything proves nothing")
		require.NotZero(c.t, some, "a world in which everybody sees everything proves nothing")
	}
}

// state is what time has made of an invitation.
func (c *chance) state(i invitation.Invitation) invitation.State {
	end := i.Created.Add(life)
	for _, scope := range c.scopes {
		if scope.UUID == i.ScopeUUID && scope.StartDate != nil && scope.StartDate.Add(life).After(end) {
			end = scope.StartDate.Add(life)
		}
	}
	if (i.StoredState == invitation.Pending || i.StoredState == invitation.Project) && !c.now.Before(end) {
		return invitation.Expired
	}
	return i.StoredState
}

// sees is the rule of the list, from what was invented.
func (c *chance) sees(user directory.User, i invitation.Invitation) bool {
	if user.IsStaff || user.IsSupport {
		return true
	}
	state := c.state(i)
	if user.Email != "" && directory.Fold(user.Email) == directory.Fold(i.Email) &&
		(state == invitation.Pending || state == invitation.Project) {
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
				if m.ScopeUUID == i.CustomerUUID && permission == directory.InvitationList {
					return true
				}
				for _, scope := range c.scopes {
					if scope.UUID == i.ScopeUUID && m.ScopeUUID == scope.UUID && permission == scope.Type.CreatePermission() {
						return true
					}
				}
			}
		}
	}
	return false
}
