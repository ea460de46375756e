package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/storetest"
)

var directoryNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// eachFileStore runs a test on a fresh database of each engine.
func eachFileStore(t *testing.T, test func(t *testing.T, files directory.FileStore)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		test(t, e.Open(t, storetest.NewClock(directoryNow).Now).FileStore())
	})
}

func writeDirectory(t *testing.T, files directory.FileStore, f func(directory.FileTx) error) {
	t.Helper()
	require.NoError(t, files.Write(t.Context(), f))
}

func directoryUser(name string) directory.User {
	return directory.User{UUID: uuid.New(), Username: name, IsActive: true, Created: directoryNow}
}

func TestFileStoreFindsListsOfAnyLength(t *testing.T) {
	t.Parallel()
	// PostgreSQL allows 65,535 arguments, and SQLite 32,766.
	const length = 70_000
	eachFileStore(t, func(t *testing.T, files directory.FileStore) {
		odd := directoryUser(`'"\{}[],é🙂 null ?`)
		ids, names := []uuid.UUID{odd.UUID}, []string{odd.Username}
		keys, memberships := []directory.ScopeKey{}, []directory.MembershipKey{}
		for i := range length {
			ids, names = append(ids, uuid.New()), append(names, fmt.Sprint(i))
			keys = append(keys, directory.ScopeKey{Type: directory.Project, Name: names[i], Customer: ids[i]})
			memberships = append(memberships, directory.MembershipKey{User: ids[i], Role: ids[i], Scope: ids[i]})
		}
		number := directoryUser("69999")
		writeDirectory(t, files, func(tx directory.FileTx) error {
			require.NoError(t, tx.SaveUsers([]directory.User{odd, number}))
			users, err := tx.FindUsers(ids, names)
			require.NoError(t, err)
			require.Len(t, users, 2)
			require.ElementsMatch(t, []uuid.UUID{odd.UUID, number.UUID}, []uuid.UUID{users[0].UUID, users[1].UUID})
			roles, err := tx.FindRoles(ids, names)
			require.NoError(t, err)
			require.Empty(t, roles)
			tokens, err := tx.FindTokens(names)
			require.NoError(t, err)
			require.Empty(t, tokens)
			scopes, err := tx.FindScopes(ids, keys)
			require.NoError(t, err)
			require.Empty(t, scopes)
			found, err := tx.FindMemberships(memberships)
			require.NoError(t, err)
			require.Empty(t, found)
			none, err := tx.FindUsers(nil, nil)
			require.NoError(t, err)
			require.Empty(t, none)
			return nil
		})
	})
}

// An update keeps the columns that tie a row to others, and the time of its creation.
func TestFileStoreSaveKeepsFixedColumns(t *testing.T) {
	t.Parallel()
	eachFileStore(t, func(t *testing.T, files directory.FileStore) {
		user, other := directoryUser("u"), directoryUser("v")
		token := directory.APIToken{Digest: "d", UserUUID: user.UUID, Created: directoryNow}
		customer := directory.Scope{
			UUID: uuid.New(), Type: directory.Customer, Name: "c", NameFolded: "c", UserEmailPatterns: []string{"a"}, Created: directoryNow,
		}
		customer.CustomerUUID = customer.UUID
		role := directory.Role{UUID: uuid.New(), Name: "r", ScopeType: directory.Customer, Permissions: []string{"p"}}
		membership := directory.Membership{
			UUID: uuid.New(), UserUUID: user.UUID, RoleUUID: role.UUID, ScopeUUID: customer.UUID, Created: directoryNow,
		}
		saveAll := func(tx directory.FileTx) {
			require.NoError(t, tx.SaveUsers([]directory.User{user, other}))
			require.NoError(t, tx.SaveTokens([]directory.APIToken{token}))
			require.NoError(t, tx.SaveScopes([]directory.Scope{customer}))
			require.NoError(t, tx.SaveRoles([]directory.Role{role}))
			require.NoError(t, tx.SaveMemberships([]directory.Membership{membership}))
		}
		writeDirectory(t, files, func(tx directory.FileTx) error {
			saveAll(tx)
			later := directoryNow.Add(time.Hour)
			user.Username, user.Created = "w", later
			token.UserUUID, token.Created, token.Expires = other.UUID, later, &later
			customer.Name, customer.Created = "d", later
			role.Name, role.ScopeType = "s", directory.Project
			membership.UserUUID, membership.Created, membership.Expires = other.UUID, later, &later
			saveAll(tx)

			users, err := tx.FindUsers([]uuid.UUID{user.UUID}, []string{"w"})
			require.NoError(t, err)
			require.Len(t, users, 1)
			require.Equal(t, "w", users[0].Username)
			require.WithinDuration(t, directoryNow, users[0].Created, 0)

			tokens, err := tx.FindTokens([]string{"d"})
			require.NoError(t, err)
			require.Len(t, tokens, 1)
			require.Equal(t, user.UUID, tokens[0].UserUUID)
			require.WithinDuration(t, directoryNow, tokens[0].Created, 0)
			require.WithinDuration(t, later, *tokens[0].Expires, 0)

			scopes, err := tx.FindScopes([]uuid.UUID{customer.UUID}, []directory.ScopeKey{{Type: directory.Customer, Name: "d"}})
			require.NoError(t, err)
			require.Len(t, scopes, 1)
			require.WithinDuration(t, directoryNow, scopes[0].Created, 0)

			roles, err := tx.FindRoles([]uuid.UUID{role.UUID}, []string{"s"})
			require.NoError(t, err)
			require.Len(t, roles, 1)
			require.Equal(t, directory.Customer, roles[0].ScopeType)

			key := directory.MembershipKey{User: user.UUID, Role: role.UUID, Scope: customer.UUID}
			memberships, err := tx.FindMemberships([]directory.MembershipKey{key})
			require.NoError(t, err)
			require.Len(t, memberships, 1)
			require.WithinDuration(t, directoryNow, memberships[0].Created, 0)

			holders, err := tx.HoldersIn([]uuid.UUID{customer.UUID})
			require.NoError(t, err)
			require.Len(t, holders, 1)
			require.Equal(t, "w s", holders[0].Username+" "+holders[0].RoleName)
			require.WithinDuration(t, later, *holders[0].Expires, 0)
			membership.Expires = &directoryNow
			require.NoError(t, tx.SaveMemberships([]directory.Membership{membership}))
			holders, err = tx.HoldersIn([]uuid.UUID{customer.UUID})
			require.NoError(t, err)
			require.Empty(t, holders, "the membership has expired")
			return nil
		})
	})
}

func TestFileStoreWriteReturnsConflict(t *testing.T) {
	t.Parallel()
	eachFileStore(t, func(t *testing.T, files directory.FileStore) {
		writeDirectory(t, files, func(tx directory.FileTx) error { return tx.SaveUsers([]directory.User{directoryUser("u")}) })
		err := files.Write(t.Context(), func(tx directory.FileTx) error {
			return tx.SaveUsers([]directory.User{directoryUser("v"), directoryUser("u")})
		})
		require.ErrorIs(t, err, directory.ErrConflict)
		err = files.Read(t.Context(), func(tx directory.FileTx) error {
			users, err := tx.UsersAfter("", 10)
			require.Len(t, users, 1)
			return err
		})
		require.NoError(t, err)
	})
}

func TestLockDirectoryAdmitsOneTransaction(t *testing.T) {
	t.Parallel()
	eachFileStore(t, func(t *testing.T, files directory.FileStore) {
		var holders atomic.Int32
		done := make(chan error)
		for range 4 {
			go func() {
				done <- files.Write(t.Context(), func(tx directory.FileTx) error {
					if err := tx.LockDirectory(); err != nil {
						return err
					}
					assert.EqualValues(t, 1, holders.Add(1))
					defer holders.Add(-1)
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

// Read shows one moment, however many statements it takes.
func TestFileStoreReadIsASnapshot(t *testing.T) {
	t.Parallel()
	eachFileStore(t, func(t *testing.T, files directory.FileStore) {
		writeDirectory(t, files, func(tx directory.FileTx) error { return tx.SaveUsers([]directory.User{directoryUser("u")}) })
		require.NoError(t, files.Read(t.Context(), func(tx directory.FileTx) error {
			before, err := tx.UsersAfter("", 10)
			require.NoError(t, err)
			require.Len(t, before, 1)
			writeDirectory(t, files, func(tx directory.FileTx) error { return tx.SaveUsers([]directory.User{directoryUser("v")}) })
			after, err := tx.UsersAfter("", 10)
			require.Equal(t, before, after)
			return err
		}))
	})
}

func TestFileStoreReadRefusesWrites(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		olivia := directory.User{UUID: oliviaID, Username: "olivia", IsActive: true, Created: directoryNow}
		untouched := e.contents()
		for range 5 { // on each connection of the pool, which must still be able to write afterwards
			err := e.db.FileStore().Read(t.Context(), func(tx directory.FileTx) error {
				return tx.SaveUsers([]directory.User{directoryUser("ina")})
			})
			require.ErrorIs(t, err, database.ErrReadOnly)
			writeDirectory(t, e.db.FileStore(), func(tx directory.FileTx) error { return tx.SaveUsers([]directory.User{olivia}) })
		}
		require.Equal(t, untouched, e.contents())
	})
}
