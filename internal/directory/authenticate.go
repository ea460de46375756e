package directory

import (
	"context"
	"time"

	"invited/internal/fault"
	"invited/internal/token"
)

// Keys is what a caller is looked up in.
type Keys interface {
	// Owner returns the token with this digest, its user and the time of the look-up; fault.NotFound where there
	// is none.
	Owner(ctx context.Context, digest string) (APIToken, User, time.Time, error)
}

// Authenticate returns the user whose API key this is. It returns fault.Unauthenticated with the reason where
// the key is unknown or expired, or its user inactive.
func Authenticate(ctx context.Context, keys Keys, key string) (User, error) {
	kept, user, now, err := keys.Owner(ctx, token.Digest(key))
	switch {
	case fault.Is(err, fault.NotFound):
		return User{}, fault.Unauthorized("Invalid token.")
	case err != nil:
		return User{}, err
	case !user.IsActive:
		return User{}, fault.Unauthorized("User inactive or deleted.")
	case kept.Expires != nil && !kept.Expires.After(now):
		return User{}, fault.Unauthorized("Token has expired.")
	}
	return user, nil
}
