package directory_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/storetest"
	"invited/internal/token"
)

func TestIssueToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		store := e.Open(t, storetest.NewClock(now).Now).FileStore()
		active := directory.User{UUID: uuid.New(), Username: "u", IsActive: true, Created: now}
		inactive := directory.User{UUID: uuid.New(), Username: "gone", Created: now}
		require.NoError(t, store.Write(context.Background(), func(tx directory.FileTx) error {
			return tx.SaveUsers([]directory.User{active, inactive})
		}))
		issue := func(username string, ttl time.Duration) (string, error) {
			return directory.IssueToken(context.Background(), store, username, ttl, "build server")
		}
		endless, err := issue("u", 0)
		require.NoError(t, err)
		short, err := issue("u", time.Hour)
		require.NoError(t, err)
		require.NotEqual(t, endless, short)
		require.NoError(t, store.Read(context.Background(), func(tx directory.FileTx) error {
			for key, ttl := range map[string]time.Duration{endless: 0, short: time.Hour} {
				tokens, err := tx.FindTokens([]string{token.Digest(key)})
				require.NoError(t, err)
				require.Len(t, tokens, 1)
				require.Equal(t, active.UUID, tokens[0].UserUUID)
				require.Equal(t, "build server", tokens[0].Name)
				require.Nil(t, tokens[0].LastUsed)
				require.Empty(t, tokens[0].Scopes)
				require.WithinDuration(t, now, tokens[0].Created, 0)
				require.Equal(t, ttl == 0, tokens[0].Expires == nil)
				if ttl > 0 {
					require.WithinDuration(t, now.Add(ttl), *tokens[0].Expires, 0)
				}
			}
			return nil
		}))
		for username, want := range map[string]string{
			"nobody": "there is no user nobody", "a\nb": `there is no user "a\nb"`,
			"gone": "the user gone is inactive: a token would not work",
		} {
			_, err := issue(username, 0)
			require.EqualError(t, err, want)
		}
		_, err = issue("u", -1)
		require.EqualError(t, err, "a token can't work for less than no time")
		for name, want := range map[string]string{
			strings.Repeat("é", 101): "the name of a token can't have more than 100 characters",
			"two\nlines":             "the name of a token can't have a line break or another character that is not printable",
			"\x1b[2J":                "the name of a token can't have a line break or another character that is not printable",
		} {
			_, err := directory.IssueToken(context.Background(), store, "u", 0, name)
			require.EqualError(t, err, want)
		}
		_, err = directory.IssueToken(context.Background(), store, "u", 0, strings.Repeat("é", 100))
		require.NoError(t, err)

		limited, err := directory.IssueToken(context.Background(), store, "u", 0, "", directory.ReadInvitations, directory.ReadDirectory)
		require.NoError(t, err)
		require.NoError(t, store.Read(context.Background(), func(tx directory.FileTx) error {
			tokens, err := tx.FindTokens([]string{token.Digest(limited)})
			require.NoError(t, err)
			require.Equal(t, []directory.TokenScope{directory.ReadInvitations, directory.ReadDirectory}, tokens[0].Scopes)
			return nil
		}))
		_, err = directory.IssueToken(context.Background(), store, "u", 0, "", directory.IssueUserTokens)
		require.EqualError(t, err, "only tokens of service users can have the scope users:token")
	})
}

func TestListAndRevokeTokens(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		clock := storetest.NewClock(now)
		db := e.Open(t, clock.Now)
		store := db.FileStore()
		require.NoError(t, store.Write(t.Context(), func(tx directory.FileTx) error {
			return tx.SaveUsers([]directory.User{
				{UUID: uuid.New(), Username: "bob", IsActive: true, Created: now},
				{UUID: uuid.New(), Username: "ann", IsActive: true, Created: now},
				{UUID: uuid.New(), Username: "none", IsActive: true, Created: now},
			})
		}))
		keys := map[string]string{} // by name of the token
		for _, each := range []struct{ user, name string }{{"bob", "first"}, {"ann", "second"}, {"bob", "third"}, {"ann", "fourth"}} {
			key, err := directory.IssueToken(t.Context(), store, each.user, 0, each.name)
			require.NoError(t, err)
			keys[each.name] = key
			clock.Advance(time.Second)
		}
		list := func(username string) (names []string, ids map[string]uuid.UUID) {
			found, at, err := directory.ListTokens(t.Context(), store, username)
			require.NoError(t, err)
			require.Equal(t, clock.Now(), at)
			ids = map[string]uuid.UUID{}
			for _, each := range found {
				names, ids[each.Name] = append(names, each.Username+" "+each.Name), each.UUID
			}
			return names, ids
		}
		all, ids := list("")
		require.Equal(t, []string{"ann second", "ann fourth", "bob first", "bob third"}, all)
		anns, _ := list("ann")
		require.Equal(t, []string{"ann second", "ann fourth"}, anns)
		nones, _ := list("none")
		require.Empty(t, nones)

		requireKeys := func(working ...string) {
			t.Helper()
			for name, key := range keys {
				found, err := directory.Authenticate(t.Context(), db, key)
				if slices.Contains(working, name) {
					require.NoError(t, err, name)
					require.NotEmpty(t, found.Username)
				} else {
					require.True(t, fault.Is(err, fault.KindUnauthenticated), "%s: %v", name, err)
				}
			}
		}
		requireKeys("first", "second", "third", "fourth")
		require.NoError(t, directory.RevokeToken(t.Context(), store, ids["second"]))
		requireKeys("first", "third", "fourth")
		for _, id := range []uuid.UUID{ids["second"], uuid.Nil} {
			require.EqualError(t, directory.RevokeToken(t.Context(), store, id),
				"there is no token with the id "+id.String()+": `invited token list` shows the ids")
		}
		for _, each := range []struct {
			user    string
			revoked int
		}{{"bob", 2}, {"bob", 0}, {"none", 0}} {
			revoked, err := directory.RevokeTokensOf(t.Context(), store, each.user)
			require.NoError(t, err)
			require.Equal(t, each.revoked, revoked, each.user)
		}
		requireKeys("fourth")

		_, err := directory.RevokeTokensOf(t.Context(), store, "nobody")
		require.EqualError(t, err, "there is no user nobody")
		_, _, err = directory.ListTokens(t.Context(), store, "nobody")
		require.EqualError(t, err, "there is no user nobody")
	})
}
