package directory

import (
	"context"
	"time"

	"invited/internal/fault"
	"invited/internal/token"
)

// Keys is what a caller is looked up in.
type Keys interface {
	// Owner returns the token with this digest, its user with what they hold, and the time of the look-up; fault.NotFound
	// where there is none.
	Owner(ctx context.Context, digest string) (APIToken, User, time.Time, error)
	// Recall returns what Owner found for a digest the last time, nil where that is not remembered, and a context for all that
	// is done on the strength of it: see Recollection.
	Recall(ctx context.Context, digest string) (context.Context, *Recollection)
}

// Recollection is what Owner found the last time. With its context it is looked up again together with the first query, in
// one round trip, and before anything is written. Where it is not so any more, that and all that follows fails, until Owner is
// asked with the same context.
type Recollection struct {
	Token APIToken
	User  User
	Now   time.Time
	// Holds tells whether all of it is still so; it looks where no query has.
	Holds func(context.Context) (bool, error)
}

// Caller is whom the API key of a request is of.
type Caller struct {
	User   User
	keys   Keys
	digest string
	holds  func(context.Context) (bool, error) // nil: it was looked up for this request
}

// Authenticate returns the caller whose API key this is, and the context for what is done for them. It returns
// fault.Unauthenticated with the reason where the key is unknown or expired, or its user inactive.
//
// The caller may be who it was at their last request: Confirm must be asked before anybody is told what was done for them,
// and be it a refusal.
func Authenticate(ctx context.Context, keys Keys, key string) (context.Context, *Caller, error) {
	c := &Caller{keys: keys, digest: token.Digest(key)}
	ctx, was := keys.Recall(ctx, c.digest)
	if was != nil && admitted(was.Token, was.User, was.Now) == nil {
		c.User, c.holds = was.User, was.Holds
		return ctx, c, nil
	}
	return ctx, c, c.lookUp(ctx)
}

func (c *Caller) lookUp(ctx context.Context) error {
	kept, user, now, err := c.keys.Owner(ctx, c.digest)
	if fault.Is(err, fault.NotFound) {
		return fault.Unauthorized("Invalid token.")
	} else if err != nil {
		return err
	}
	c.User = user
	return admitted(kept, user, now)
}

func admitted(kept APIToken, user User, now time.Time) error {
	switch {
	case !user.IsActive:
		return fault.Unauthorized("User inactive or deleted.")
	case kept.Expires != nil && !kept.Expires.After(now):
		return fault.Unauthorized("Token has expired.")
	}
	return nil
}

// Confirm tells whether the key is of this user, with all that they hold. Where it was not, it is of the one who is User
// then, and what was done for the other has to be thrown away and done anew. It returns what Authenticate does.
func (c *Caller) Confirm(ctx context.Context) (bool, error) {
	if c.holds == nil {
		return true, nil
	}
	held, err := c.holds(ctx)
	if err == nil && !held {
		err = c.lookUp(ctx)
	}
	if err != nil {
		return false, err
	}
	c.holds = nil
	return held, nil
}

// Confirmed tells whether Confirm has.
func (c *Caller) Confirmed() bool { return c.holds == nil }
