package directory

import (
	"context"
	"errors"
	"time"

	"invited/internal/fault"
	"invited/internal/token"
)

// Credential is an API token together with the user whom the token authenticates.
type Credential struct {
	Token APIToken
	Actor // the token's user, with their grants
	// ReadAt is when the credential was read, by the database's clock.
	ReadAt time.Time
}

// Authenticator is where credentials are looked up.
type Authenticator interface {
	// Credential returns the credential of the token with this digest (token.Digest); fault.KindNotFound where no token
	// has the digest, or who asked for the token is no active service user any more.
	Credential(ctx context.Context, digest string) (Credential, error)
}

// ErrUnknownKey is in the chain of Authenticate's error where no token has the API key.
var ErrUnknownKey = errors.New("no token has this key")

// Authenticate returns the user whose API key this is, with the grants that they hold now. Authenticate returns
// fault.KindUnauthenticated, with the reason, where the key is unknown or expired, or its user inactive.
func Authenticate(ctx context.Context, a Authenticator, key string) (Actor, error) {
	found, err := a.Credential(ctx, token.Digest(key))
	switch {
	case fault.Is(err, fault.KindNotFound):
		refusal := fault.Unauthorized("Invalid token.")
		refusal.Cause = ErrUnknownKey
		return Actor{}, refusal
	case err != nil:
		return Actor{}, err
	case !found.IsActive:
		return Actor{}, fault.Unauthorized("User inactive or deleted.")
	case !found.Token.WorksAt(found.ReadAt):
		return Actor{}, fault.Unauthorized("Token has expired.")
	case found.Token.IssuedByUUID != nil && (found.SeesAll() || found.IsService()): // it became so after the token was made
		return Actor{}, fault.Unauthorized("Invalid token.")
	}
	found.TokenScopes = found.Token.Scopes
	return found.Actor, nil
}
