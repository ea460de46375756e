package identity

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

const (
	// MaxTokenLifetime is how long a token that a user makes works at most.
	MaxTokenLifetime = 365 * 24 * time.Hour
	// DefaultTokenLifetime is how long a token works where nobody says.
	DefaultTokenLifetime = 90 * 24 * time.Hour
	// UserTokenLifetime is how long a token works that a service user asks for.
	UserTokenLifetime = 10 * time.Minute
	// MaxTokens is the number of tokens at which a user makes no more. Those that expired, those of front ends and those that
	// service users asked for do not count.
	MaxTokens = 100
	// issuedStaleAfter is how long after their end tokens are kept that service users asked for.
	issuedStaleAfter = time.Hour
)

// TokenDraft has a user's wishes for a new token.
type TokenDraft struct {
	Name     string
	Scopes   []directory.TokenScope
	Expires  *time.Time    // nil: after Lifetime
	Lifetime time.Duration // 0: DefaultTokenLifetime
}

// MadeToken is a new API token with its key, which is stored nowhere.
type MadeToken struct {
	directory.APIToken
	Key string
}

// tokenEvent returns an event about a user's API token.
func tokenEvent(kind EventType, user directory.User, t directory.APIToken, client, more string) Event {
	detail := t.UUID.String()
	if t.Name != "" {
		detail += " " + directory.Excerpt(t.Name)
	}
	return newEvent(kind, user, client, detail+more)
}

// TokenEvent returns the event that the operator made, or revoked, a user's API token.
func TokenEvent(made bool, user directory.User, t directory.APIToken) Event {
	if !made {
		return tokenEvent(EventTokenRevoked, user, t, "", ", by the operator")
	}
	return tokenEvent(EventTokenCreated, user, t, "", scopesDetail(t.Scopes)+", by the operator")
}

// scopesDetail returns what a new token is limited to, for an event.
func scopesDetail(scopes []directory.TokenScope) string {
	if len(scopes) == 0 {
		return ", not limited"
	}
	return ", limited to " + directory.JoinTokenScopes(scopes)
}

// check returns a draft with its white space dropped and its scopes in order, and when the token stops working.
// fault.KindInvalid: something of the draft is not allowed.
func (d TokenDraft) check(user directory.User, now time.Time) (checked TokenDraft, err error) {
	invalid := fault.Fields{}
	d.Name = directory.Trim(d.Name)
	if d.Name == "" {
		invalid.Add("name", "This field may not be blank.")
	} else if err := directory.CheckTokenName(d.Name); err != nil {
		invalid.Add("name", sentence(err))
	}
	names := make([]string, len(d.Scopes))
	for i, each := range d.Scopes {
		names[i] = string(each)
	}
	d.Scopes, err = directory.ParseTokenScopes(names)
	if err == nil {
		err = user.CheckTokenScopes(d.Scopes)
	}
	if err != nil {
		invalid.Add("scopes", sentence(err))
	} else if len(d.Scopes) == 0 {
		invalid.Add("scopes", "This list may not be empty.")
	}
	if d.Expires == nil {
		d.Expires = new(now.Add(cmp.Or(d.Lifetime, DefaultTokenLifetime)))
	}
	switch {
	case !d.Expires.After(now):
		invalid.Add("expires_at", "This is in the past: the token would never work.")
	case d.Expires.After(now.Add(MaxTokenLifetime)):
		invalid.Add("expires_at", "A token can work for 365 days at most.")
	}
	d.Expires = new(d.Expires.UTC().Truncate(time.Microsecond))
	return d, invalid.Err()
}

// sentence returns the text of an error as a sentence.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// Tokens returns one page of the caller's API tokens, the newest first, the number of all of them, and the time by the
// database's clock; see directory.Paginate. Tokens returns fault.KindForbidden where the caller came with a token.
func (s *Service) Tokens(ctx context.Context, caller directory.Actor, page, size int) (rows []directory.APIToken, total int, now time.Time, err error) {
	if err := caller.CheckScope(directory.NoToken); err != nil {
		return nil, 0, now, err
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		now = tx.Now()
		rows, total, err = directory.Paginate(page, size, func(w directory.Window) ([]directory.APIToken, int, error) {
			return tx.ListTokens(caller.UUID, w)
		})
		return err
	})
	return rows, total, now, err
}

// Token returns one of the caller's API tokens, and the time by the database's clock. It returns fault.KindNotFound where the
// caller has no such token, and fault.KindForbidden where the caller came with a token.
func (s *Service) Token(ctx context.Context, caller directory.Actor, id uuid.UUID) (found directory.APIToken, now time.Time, err error) {
	if err := caller.CheckScope(directory.NoToken); err != nil {
		return found, now, err
	}
	err = s.Store.Read(ctx, func(tx Tx) error {
		now = tx.Now()
		found, err = tx.FindToken(caller.UUID, id)
		return err
	})
	return found, now, err
}

// CreateToken makes an API token for the caller. It returns fault.KindInvalid for a draft that is not allowed and where the
// caller has MaxTokens, and fault.KindForbidden where the caller came with a token: who has a token that leaked must not make
// one that nobody knows of. client is the network address that the request came from.
func (s *Service) CreateToken(ctx context.Context, caller directory.Actor, draft TokenDraft, client string) (made MadeToken, err error) {
	if err := caller.CheckScope(directory.NoToken); err != nil {
		return made, err
	}
	err = s.Store.Write(ctx, func(tx Tx) error {
		user, err := tx.LockUser(caller.UUID) // tokens of a user are counted one after the other
		if err != nil || !user.IsActive {
			return cameToNothing(err)
		}
		draft, err := draft.check(user, tx.Now())
		if err != nil {
			return err
		}
		if count, err := tx.CountOwnTokens(user.UUID); err != nil {
			return err
		} else if count >= MaxTokens {
			return fault.Field(fault.NonField, "You have 100 tokens, which is the most that a user can have. Revoke one first.")
		}
		made.APIToken, made.Key = directory.NewToken(user.UUID, draft.Name, draft.Scopes, draft.Expires, tx.Now())
		if err := tx.SaveTokens([]directory.APIToken{made.APIToken}); err != nil {
			return err
		}
		return tx.SaveSignInEvent(tokenEvent(EventTokenCreated, user, made.APIToken, client, scopesDetail(made.Scopes)))
	})
	return made, err
}

// cameToNothing returns the refusal of a caller who was made inactive, or deleted, since the request was authenticated.
func cameToNothing(err error) error {
	if err == nil || fault.Is(err, fault.KindNotFound) {
		return fault.Unauthorized("User inactive or deleted.")
	}
	return err
}

// RevokeToken ends one of the caller's API tokens, from the next request on. The faults are those of Token.
func (s *Service) RevokeToken(ctx context.Context, caller directory.Actor, id uuid.UUID, client string) error {
	if err := caller.CheckScope(directory.NoToken); err != nil {
		return err
	}
	return s.Store.Write(ctx, func(tx Tx) error {
		found, err := tx.FindToken(caller.UUID, id)
		if err != nil {
			return err
		}
		// Of two requests at once, one finds nothing to delete.
		if deleted, err := tx.DeleteTokens([]uuid.UUID{found.UUID}); err != nil || len(deleted) == 0 {
			return err
		}
		return tx.SaveSignInEvent(tokenEvent(EventTokenRevoked, caller.User, found, client, ""))
	})
}

// userTokenScopes are the scopes of a token that a service user asks for.
var userTokenScopes = []directory.TokenScope{directory.ReadInvitations, directory.WriteInvitations, directory.ReadDirectory}

// CreateUserToken makes an API token that works for UserTokenLifetime as a user. The caller is a service user whose token has
// the scope directory.IssueUserTokens; fault.KindForbidden otherwise, and for a user who is staff, support or a service user.
// It returns fault.KindNotFound where there is no such user who is active.
func (s *Service) CreateUserToken(
	ctx context.Context, caller directory.Actor, id uuid.UUID, client string,
) (made MadeToken, user directory.User, err error) {
	if err := caller.CheckScope(directory.IssueUserTokens); err != nil {
		return made, user, err
	}
	err = s.Store.Write(ctx, func(tx Tx) error {
		issuers, err := tx.FindUsers([]uuid.UUID{caller.UUID}, nil)
		if err != nil || len(issuers) == 0 || !issuers[0].IsActive {
			return cameToNothing(err)
		}
		issuer := issuers[0]
		if user, err = tx.LockUser(id); err != nil {
			return err
		}
		switch {
		case !issuer.IsService():
			return fault.Forbidden()
		case !user.IsActive:
			return fault.NotFound()
		case user.SeesAll() || user.IsService():
			return &fault.Error{Kind: fault.KindForbidden, Message: "There are no tokens for staff, support and service users."}
		}
		expires := tx.Now().Add(UserTokenLifetime)
		made.APIToken, made.Key = directory.NewToken(user.UUID, "for "+directory.Excerpt(issuer.Username), userTokenScopes, &expires, tx.Now())
		made.IssuedByUUID = &issuer.UUID
		if err := tx.SaveTokens([]directory.APIToken{made.APIToken}); err != nil {
			return err
		}
		return tx.SaveSignInEvent(tokenEvent(EventTokenCreated, user, made.APIToken, client, ", asked for by "+directory.Excerpt(issuer.Username)))
	})
	return made, user, err
}
