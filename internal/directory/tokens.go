package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"invited/internal/token"
)

// IssueToken makes an API key for a user and returns it; the database has only its digest. The key works for the
// duration ttl, or for ever when ttl is 0. IssueToken returns an error that names the reason when no user has the
// username, the user is inactive, or ttl is negative.
func IssueToken(ctx context.Context, store FileStore, username string, ttl time.Duration) (string, error) {
	if ttl < 0 {
		return "", errors.New("a token can't work for less than no time")
	}
	key := token.NewKey()
	err := store.Write(ctx, func(tx FileTx) error {
		users, err := tx.FindUsers(nil, []string{username})
		switch {
		case err != nil:
			return err
		case len(users) == 0:
			return fmt.Errorf("there is no user %s", Excerpt(username))
		case !users[0].IsActive:
			return fmt.Errorf("the user %s is inactive: a token would not work", Excerpt(username))
		}
		issued := APIToken{Digest: token.Digest(key), UserUUID: users[0].UUID, Created: tx.Now()}
		if ttl > 0 {
			expires := tx.Now().Add(ttl).Truncate(time.Microsecond)
			issued.Expires = &expires
		}
		return tx.SaveTokens([]APIToken{issued})
	})
	if err != nil {
		return "", err
	}
	return key, nil
}
