package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/token"
)

// ErrConflict is what Store.Write returns where somebody else wrote at the same time what it wanted to write, so
// that a unique index or the database's order of transactions refused it. Nothing was written; to try again may help.
var ErrConflict = errors.New("the same records were changed by somebody else at the same time; try again")

// Store is what keeping the directory needs of a database.
type Store interface {
	// Read runs f with a consistent view of the database; f must not save.
	Read(ctx context.Context, f func(Tx) error) error
	// Write runs f in one transaction and commits where it returns nil. Nothing is left of it otherwise.
	// ErrConflict where what f saved is at odds with what somebody else did meanwhile.
	Write(ctx context.Context, f func(Tx) error) error
}

// Tx is the database within one transaction. Its methods take and return any number of rows, in any order where none
// is named; a row that two arguments ask for comes once, and one that is not there does not come. They return
// fault.KindUnavailable where the database can't be reached or is busy.
type Tx interface {
	// Now is the moment of the transaction, by the database's clock, in UTC and whole microseconds.
	Now() time.Time
	// LockDirectory makes other transactions wait that lock it too, until this one ends.
	LockDirectory() error

	// RolesBy returns the roles that have one of the uuids or names.
	RolesBy(ids []uuid.UUID, names []string) ([]Role, error)
	// UsersBy returns the users who have one of the uuids or usernames.
	UsersBy(ids []uuid.UUID, usernames []string) ([]User, error)
	// TokensBy returns the tokens that have one of the digests.
	TokensBy(digests []string) ([]APIToken, error)
	// ScopesBy returns the scopes that have one of the uuids or keys, removed ones too, without their customers.
	ScopesBy(ids []uuid.UUID, keys []ScopeKey) ([]Scope, error)
	// MembershipsBy returns the memberships with one of the keys that are not revoked; the time of some may be over.
	MembershipsBy(keys []MembershipKey) ([]Membership, error)

	// AllRoles returns every role, by name.
	AllRoles() ([]Role, error)
	// UsersAfter returns the next users by username, from the first where it is empty.
	UsersAfter(username string, limit int) ([]User, error)
	// CustomersAfter returns the next customers by name and uuid, removed ones too, from the first where the name is
	// empty.
	CustomersAfter(name string, id uuid.UUID, limit int) ([]Scope, error)
	// ScopesOf returns the scopes of customers that are no customers, by type, name and uuid; removed ones too.
	ScopesOf(customers []uuid.UUID) ([]Scope, error)
	// HoldersIn returns the memberships in force in the scopes of customers, their own included, by username and
	// role.
	HoldersIn(customers []uuid.UUID) ([]Holder, error)

	// SaveRoles and its like write rows over those with the same uuid (tokens: digest), or as new ones. What never
	// changes of a row (when it was created, a scope's type and customer, a token's user) is left alone.
	SaveRoles([]Role) error
	SaveUsers([]User) error
	SaveTokens([]APIToken) error
	SaveScopes([]Scope) error
	SaveMemberships([]Membership) error
}

// ScopeKey is what a scope is found by that has no known uuid.
type ScopeKey struct {
	Type     ScopeType
	Name     string
	Customer uuid.UUID // uuid.Nil for a customer
}

// MembershipKey is what at most one membership that is not revoked has.
type MembershipKey struct{ User, Role, Scope uuid.UUID }

// Holder is a membership in force, by the names of its user and role.
type Holder struct {
	ScopeUUID uuid.UUID
	Username  string
	RoleName  string
	Expires   *time.Time
}

// IssueToken makes an API token for a user and returns its key, which is kept nowhere; it works for the time given,
// or for ever where that is 0. It returns an error that says why where there is no such user, the user is inactive,
// or the time is negative.
func IssueToken(ctx context.Context, store Store, username string, ttl time.Duration) (string, error) {
	if ttl < 0 {
		return "", errors.New("a token can't work for less than no time")
	}
	key := token.NewKey()
	err := store.Write(ctx, func(tx Tx) error {
		users, err := tx.UsersBy(nil, []string{username})
		switch {
		case err != nil:
			return err
		case len(users) == 0:
			return fmt.Errorf("there is no user %s", shown(username))
		case !users[0].IsActive:
			return fmt.Errorf("the user %s is inactive: a token would not work", shown(username))
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
