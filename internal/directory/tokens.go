package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"invited/internal/token"
)

// maxTokenName is the length of the longest name of a token, in characters.
const maxTokenName = 100

// NewToken returns a new API token of a user and its key, which is stored nowhere. The token works until expires, or for ever
// where expires is nil.
func NewToken(user uuid.UUID, name string, scopes []TokenScope, expires *time.Time, now time.Time) (made APIToken, key string) {
	key = token.NewKey()
	return APIToken{
		Digest: token.Digest(key), UUID: uuid.New(), UserUUID: user, Name: name, Scopes: scopes, Created: now, Expires: expires,
	}, key
}

// CheckTokenName returns an error that names the reason where a text can't be the name of a token: it is too long, or has
// characters that are not printable.
func CheckTokenName(name string) error {
	switch {
	case utf8.RuneCountInString(name) > maxTokenName:
		return fmt.Errorf("the name of a token can't have more than %d characters", maxTokenName)
	case strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		return errors.New("the name of a token can't have a line break or another character that is not printable")
	}
	return nil
}

// errServiceOnly is the refusal of IssueUserTokens for a token of a person.
var errServiceOnly = errors.New("only tokens of service users can have the scope " + string(IssueUserTokens))

// CheckTokenScopes returns an error that names the reason where a token of a user can't have one of the scopes.
func (u User) CheckTokenScopes(scopes []TokenScope) error {
	if slices.Contains(scopes, IssueUserTokens) && !u.IsService() {
		return errServiceOnly
	}
	return nil
}

// IssueToken makes an API key for a user and returns it; the database has only its digest. The key works for the
// duration ttl, or for ever when ttl is 0. The name, which may be empty, is for the people who list the tokens. The token
// is limited to scopes, where there are any. IssueToken returns an error that names the reason when no user has the
// username, the user is inactive or can't have a scope, ttl is negative, or the name is too long or not printable.
func IssueToken(
	ctx context.Context, store FileStore, username string, ttl time.Duration, name string, scopes ...TokenScope,
) (key string, err error) {
	if ttl < 0 {
		return "", errors.New("a token can't work for less than no time")
	}
	if err := CheckTokenName(name); err != nil {
		return "", err
	}
	err = store.Write(ctx, func(tx FileTx) error {
		user, err := findUser(tx, username)
		switch {
		case err != nil:
			return err
		case !user.IsActive:
			return fmt.Errorf("the user %s is inactive: a token would not work", Excerpt(username))
		}
		if err := user.CheckTokenScopes(scopes); err != nil {
			return err
		}
		var expires *time.Time
		if ttl > 0 {
			expires = new(tx.Now().Add(ttl).Truncate(time.Microsecond))
		}
		var issued APIToken
		issued, key = NewToken(user.UUID, name, scopes, expires, tx.Now())
		if err := tx.SaveTokens([]APIToken{issued}); err != nil {
			return err
		}
		return tx.SaveTokenEvents(true, []APIToken{issued})
	})
	if err != nil {
		return "", err
	}
	return key, nil
}

// ListTokens returns the API tokens of the user with a username, or of all users where username is empty, and the time by
// the database's clock. ListTokens returns an error that names the reason when no user has the username.
func ListTokens(ctx context.Context, store FileStore, username string) (found []UserToken, now time.Time, err error) {
	err = store.Read(ctx, func(tx FileTx) error {
		if username != "" {
			if _, err := findUser(tx, username); err != nil {
				return err
			}
		}
		now = tx.Now()
		found, err = tx.AllTokens(username)
		return err
	})
	return found, now, err
}

// RevokeToken ends the API token with an id, from the next request on. RevokeToken returns an error that names the reason
// when no token has the id.
func RevokeToken(ctx context.Context, store FileStore, id uuid.UUID) error {
	return store.Write(ctx, func(tx FileTx) error {
		revoked, err := tx.DeleteTokens([]uuid.UUID{id})
		switch {
		case err != nil:
			return err
		case len(revoked) == 0:
			return fmt.Errorf("there is no token with the id %s: `invited token list` shows the ids", id)
		}
		return tx.SaveTokenEvents(false, revoked)
	})
}

// RevokeTokensOf ends all API tokens of the user with a username, from the next request on, and returns how many there
// were. RevokeTokensOf returns an error that names the reason when no user has the username.
func RevokeTokensOf(ctx context.Context, store FileStore, username string) (revoked int, err error) {
	err = store.Write(ctx, func(tx FileTx) error {
		user, err := findUser(tx, username)
		if err != nil {
			return err
		}
		tokens, err := tx.TokensOf([]uuid.UUID{user.UUID})
		if err != nil {
			return err
		}
		ids := make([]uuid.UUID, len(tokens))
		for i, each := range tokens {
			ids[i] = each.UUID
		}
		deleted, err := tx.DeleteTokens(ids)
		if err != nil {
			return err
		}
		revoked = len(deleted)
		return tx.SaveTokenEvents(false, deleted)
	})
	return revoked, err
}

// findUser returns the user with a username, and an error for people when there is none.
func findUser(tx FileTx, username string) (User, error) {
	users, err := tx.FindUsers(nil, []string{username})
	if err == nil && len(users) == 0 {
		err = fmt.Errorf("there is no user %s", Excerpt(username))
	}
	if err != nil {
		return User{}, err
	}
	return users[0], nil
}
