package directory_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
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
			return directory.IssueToken(context.Background(), store, username, ttl)
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
	})
}
