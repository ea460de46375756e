package directory_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/storetest"
)

func TestTokenUses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		clock, statements := storetest.NewClock(now), &storetest.Statements{}
		db := statements.Open(t, e.Fresh(t), database.Options{Clock: clock.Now})
		store := db.FileStore()
		uses := directory.NewTokenUses(store)
		require.NoError(t, store.Write(t.Context(), func(tx directory.FileTx) error {
			return tx.SaveUsers([]directory.User{{UUID: uuid.New(), Username: "u", IsActive: true, Created: now}})
		}))
		keys := map[string]string{} // by name of the token
		for _, name := range []string{"a", "b", "c"} {
			key, err := directory.IssueToken(t.Context(), store, "u", 0, name)
			require.NoError(t, err)
			keys[name] = key
		}
		lastUsed := func() map[string]time.Time {
			found, _, err := directory.ListTokens(t.Context(), store, "u")
			require.NoError(t, err)
			all := map[string]time.Time{}
			for _, each := range found {
				if each.LastUsed != nil {
					all[each.Name] = each.LastUsed.UTC()
				}
			}
			return all
		}
		save := func(count int) {
			t.Helper()
			statements.Take()
			require.NoError(t, uses.Save(t.Context()))
			require.Len(t, statements.Take(), count)
		}
		require.Empty(t, lastUsed())
		save(0)

		// Any number of uses of any number of tokens is one statement.
		var group sync.WaitGroup
		for range 50 {
			for _, name := range []string{"a", "b"} {
				group.Go(func() { uses.Add(keys[name]) })
			}
		}
		group.Wait()
		uses.Add("the key of a token that was revoked meanwhile")
		require.Empty(t, lastUsed(), "a use alone writes nothing")
		clock.Advance(time.Minute)
		save(1)
		require.Equal(t, map[string]time.Time{"a": now.Add(time.Minute), "b": now.Add(time.Minute)}, lastUsed())
		clock.Advance(time.Minute)
		save(0)

		// What could not be saved is saved the next time, with what came meanwhile.
		uses.Add(keys["b"])
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, uses.Save(canceled), context.Canceled)
		uses.Add(keys["c"])
		save(1)
		later := now.Add(2 * time.Minute)
		require.Equal(t, map[string]time.Time{"a": now.Add(time.Minute), "b": later, "c": later}, lastUsed())
	})
}
