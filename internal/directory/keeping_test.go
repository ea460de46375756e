package directory_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/storetest"
	"invited/internal/token"
)

func TestIssueToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	onEachAt(t, now, func(t *testing.T, s directory.Store, _ *storetest.Clock) {
		apply(t, s, "users: [{username: u}, {username: gone, is_active: false}]")
		issue := func(name string, ttl time.Duration) (string, error) {
			return directory.IssueToken(context.Background(), s, name, ttl)
		}
		forever, err := issue("u", 0)
		require.NoError(t, err)
		short, err := issue("u", time.Hour)
		require.NoError(t, err)
		require.NotEqual(t, forever, short)
		read(t, s, func(tx directory.Tx) error {
			for key, ttl := range map[string]time.Duration{forever: 0, short: time.Hour} {
				kept, err := tx.TokensBy([]string{token.Digest(key)})
				require.NoError(t, err)
				require.Len(t, kept, 1)
				require.Equal(t, userNamed(t, s, "u").UUID, kept[0].UserUUID)
				require.WithinDuration(t, now, kept[0].Created, 0)
				require.Equal(t, ttl == 0, kept[0].Expires == nil)
				if ttl > 0 {
					require.WithinDuration(t, now.Add(ttl), *kept[0].Expires, 0)
				}
			}
			return nil
		})
		for name, want := range map[string]string{
			"nobody": "there is no user nobody", "a\nb": `there is no user "a\nb"`,
			"gone": "the user gone is inactive: a token would not work",
		} {
			_, err := issue(name, 0)
			require.EqualError(t, err, want)
		}
		_, err = issue("u", -1)
		require.EqualError(t, err, "a token can't work for less than no time")
	})
}
