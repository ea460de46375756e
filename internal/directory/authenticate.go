package directory

import (
	"context"
	"time"

	"invited/internal/fault"
	"invited/internal/token"
)

// Owner is whom an API key is of.
type Owner struct {
	Token APIToken
	User  User      // with what they hold
	At    time.Time // of the look-up, by the database's clock
}

func (o Owner) admitted() error {
	switch {
	case !o.User.IsActive:
		return fault.Unauthorized("User inactive or deleted.")
	case o.Token.Expires != nil && !o.Token.Expires.After(o.At):
		return fault.Unauthorized("Token has expired.")
	}
	return nil
}

// Keys is what a caller is looked up in.
type Keys interface {
	// Owner looks up the owner of the token with this digest; fault.KindNotFound where there is none.
	Owner(ctx context.Context, digest string) (Owner, error)
	// Cached returns what Owner found for a digest the last time, as of now, nil where that is not kept, and a context for what
	// is done on the strength of it. With that context it is looked up again together with the first query, in one round trip,
	// and before anything is written. Where anything of it has changed, that query and all that follows fails, with an error
	// that means no more than this, until Owner is asked with the same context.
	Cached(ctx context.Context, digest string) (context.Context, *Owner)
	// Revalidate tells whether what Cached returned with this context is still so. It looks it up where no query has.
	Revalidate(ctx context.Context) (bool, error)
}

// Caller is whom the API key of a request is of. One request has one, and asks it one thing at a time.
type Caller struct {
	User    User
	keys    Keys
	digest  string
	cached  bool  // User is who it was at an earlier request
	refused error // why Confirm did not
}

// Authenticate returns the caller whose API key this is, and the context for what is done for them. It returns
// fault.KindUnauthenticated with the reason where the key is unknown or expired, or its user inactive.
//
// The caller may be who it was at an earlier request: Confirm must be asked before anybody is told what was done for them,
// and be it a refusal.
func Authenticate(ctx context.Context, keys Keys, key string) (context.Context, *Caller, error) {
	c := &Caller{keys: keys, digest: token.Digest(key)}
	ctx, was := keys.Cached(ctx, c.digest)
	if was != nil && was.admitted() == nil {
		c.User, c.cached = was.User, true
		return ctx, c, nil
	}
	return ctx, c, c.lookUp(ctx)
}

func (c *Caller) lookUp(ctx context.Context) error {
	found, err := c.keys.Owner(ctx, c.digest)
	if fault.Is(err, fault.KindNotFound) {
		return fault.Unauthorized("Invalid token.")
	} else if err != nil {
		return err
	}
	c.User = found.User
	return found.admitted()
}

// Confirm tells whether the key is of this user, with all that they hold. Where it was not, it is of the one who is User
// then, and what was done for the other has to be thrown away and done anew. It returns what Authenticate does.
func (c *Caller) Confirm(ctx context.Context) (bool, error) {
	if !c.cached {
		return true, c.refused
	}
	same, err := c.keys.Revalidate(ctx)
	if err == nil && !same {
		err = c.lookUp(ctx)
	}
	c.cached, c.refused = false, err
	return same, err
}

// Confirmed tells whether the key is known to be of this user.
func (c *Caller) Confirmed() bool { return !c.cached && c.refused == nil }
