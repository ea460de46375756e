package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/storetest"
)

var keepingNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// keepingOnEach runs a test on a fresh database of each engine.
func keepingOnEach(t *testing.T, test func(t *testing.T, s directory.Store)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		test(t, e.Open(t, storetest.NewClock(keepingNow).Now).Directory())
	})
}

func keepingWrite(t *testing.T, s directory.Store, f func(directory.Tx) error) {
	t.Helper()
	require.NoError(t, s.Write(context.Background(), f))
}

func keepingUser(name string) directory.User {
	return directory.User{UUID: uuid.New(), Username: name, IsActive: true, Created: keepingNow}
}

func TestListsOfAnyLength(t *testing.T) {
	t.Parallel()
	// More than the 65,535 arguments that PostgreSQL takes, or the 32,766 that SQLite does.
	const many = 70_000
	keepingOnEach(t, func(t *testing.T, s directory.Store) {
		odd := keepingUser(`'"\{}[],é🙂 null ?`)
		ids, names := []uuid.UUID{odd.UUID}, []string{odd.Username}
		keys, memberships := []directory.ScopeKey{}, []directory.MembershipKey{}
		for i := range many {
			ids, names = append(ids, uuid.New()), append(names, fmt.Sprint(i))
			keys = append(keys, directory.ScopeKey{Type: directory.Project, Name: names[i], Customer: ids[i]})
			memberships = append(memberships, directory.MembershipKey{User: ids[i], Role: ids[i], Scope: ids[i]})
		}
		digits := keepingUser("69999")
		keepingWrite(t, s, func(tx directory.Tx) error {
			require.NoError(t, tx.SaveUsers([]directory.User{odd, digits}))
			users, err := tx.UsersBy(ids, names)
			require.NoError(t, err)
			require.Len(t, users, 2)
			require.ElementsMatch(t, []uuid.UUID{odd.UUID, digits.UUID}, []uuid.UUID{users[0].UUID, users[1].UUID})
			roles, err := tx.RolesBy(ids, names)
			require.NoError(t, err)
			require.Empty(t, roles)
			tokens, err := tx.TokensBy(names)
			require.NoError(t, err)
			require.Empty(t, tokens)
			scopes, err := tx.ScopesBy(ids, keys)
			require.NoError(t, err)
			require.Empty(t, scopes)
			held, err := tx.MembershipsBy(memberships)
			require.NoError(t, err)
			require.Empty(t, held)
			none, err := tx.UsersBy(nil, nil)
			require.NoError(t, err)
			require.Empty(t, none)
			return nil
		})
	})
}

func TestSaveLeavesAloneWhatNeverChanges(t *testing.T) {
	t.Parallel()
	keepingOnEach(t, func(t *testing.T, s directory.Store) {
		user, other := keepingUser("u"), keepingUser("v")
		kept := directory.APIToken{Digest: "d", UserUUID: user.UUID, Created: keepingNow}
		customer := directory.Scope{
			UUID: uuid.New(), Type: directory.Customer, Name: "c", NameFolded: "c", UserEmailPatterns: []string{"a"}, Created: keepingNow,
		}
		customer.CustomerUUID = customer.UUID
		role := directory.Role{UUID: uuid.New(), Name: "r", ScopeType: directory.Customer, Permissions: []string{"p"}}
		held := directory.Membership{
			UUID: uuid.New(), UserUUID: user.UUID, RoleUUID: role.UUID, ScopeUUID: customer.UUID, Created: keepingNow,
		}
		saveAll := func(tx directory.Tx) {
			require.NoError(t, tx.SaveUsers([]directory.User{user, other}))
			require.NoError(t, tx.SaveTokens([]directory.APIToken{kept}))
			require.NoError(t, tx.SaveScopes([]directory.Scope{customer}))
			require.NoError(t, tx.SaveRoles([]directory.Role{role}))
			require.NoError(t, tx.SaveMemberships([]directory.Membership{held}))
		}
		keepingWrite(t, s, func(tx directory.Tx) error {
			saveAll(tx)
			later := keepingNow.Add(time.Hour)
			user.Username, user.Created = "w", later
			kept.UserUUID, kept.Created, kept.Expires = other.UUID, later, &later
			customer.Name, customer.Created = "d", later
			role.Name, role.ScopeType = "s", directory.Project
			held.UserUUID, held.Created, held.Expires = other.UUID, later, &later
			saveAll(tx)

			users, err := tx.UsersBy([]uuid.UUID{user.UUID}, []string{"w"})
			require.NoError(t, err)
			require.Len(t, users, 1)
			require.Equal(t, "w", users[0].Username)
			require.WithinDuration(t, keepingNow, users[0].Created, 0)

			tokens, err := tx.TokensBy([]string{"d"})
			require.NoError(t, err)
			require.Len(t, tokens, 1)
			require.Equal(t, user.UUID, tokens[0].UserUUID)
			require.WithinDuration(t, keepingNow, tokens[0].Created, 0)
			require.WithinDuration(t, later, *tokens[0].Expires, 0)

			scopes, err := tx.ScopesBy([]uuid.UUID{customer.UUID}, []directory.ScopeKey{{Type: directory.Customer, Name: "d"}})
			require.NoError(t, err)
			require.Len(t, scopes, 1)
			require.WithinDuration(t, keepingNow, scopes[0].Created, 0)

			roles, err := tx.RolesBy([]uuid.UUID{role.UUID}, []string{"s"})
			require.NoError(t, err)
			require.Len(t, roles, 1)
			require.Equal(t, directory.Customer, roles[0].ScopeType)

			key := directory.MembershipKey{User: user.UUID, Role: role.UUID, Scope: customer.UUID}
			memberships, err := tx.MembershipsBy([]directory.MembershipKey{key})
			require.NoError(t, err)
			require.Len(t, memberships, 1)
			require.WithinDuration(t, keepingNow, memberships[0].Created, 0)

			holders, err := tx.HoldersIn([]uuid.UUID{customer.UUID})
			require.NoError(t, err)
			require.Len(t, holders, 1)
			require.Equal(t, "w s", holders[0].Username+" "+holders[0].RoleName)
			require.WithinDuration(t, later, *holders[0].Expires, 0)
			held.Expires = &keepingNow
			require.NoError(t, tx.SaveMemberships([]directory.Membership{held}))
			holders, err = tx.HoldersIn([]uuid.UUID{customer.UUID})
			require.NoError(t, err)
			require.Empty(t, holders, "its time is over")
			return nil
		})
	})
}

func TestWriteSaysWhereRowsClash(t *testing.T) {
	t.Parallel()
	keepingOnEach(t, func(t *testing.T, s directory.Store) {
		keepingWrite(t, s, func(tx directory.Tx) error { return tx.SaveUsers([]directory.User{keepingUser("u")}) })
		err := s.Write(context.Background(), func(tx directory.Tx) error {
			return tx.SaveUsers([]directory.User{keepingUser("v"), keepingUser("u")})
		})
		require.ErrorIs(t, err, directory.ErrConflict)
		err = s.Read(context.Background(), func(tx directory.Tx) error {
			users, err := tx.UsersAfter("", 10)
			require.Len(t, users, 1)
			return err
		})
		require.NoError(t, err)
	})
}

func TestLockDirectoryLetsOneIn(t *testing.T) {
	t.Parallel()
	keepingOnEach(t, func(t *testing.T, s directory.Store) {
		var inside atomic.Int32
		done := make(chan error)
		for range 4 {
			go func() {
				done <- s.Write(context.Background(), func(tx directory.Tx) error {
					if err := tx.LockDirectory(); err != nil {
						return err
					}
					assert.EqualValues(t, 1, inside.Add(1))
					defer inside.Add(-1)
					_, err := tx.AllRoles()
					return err
				})
			}()
		}
		for range 4 {
			require.NoError(t, <-done)
		}
	})
}
