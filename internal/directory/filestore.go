package directory

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrConflict is the error of FileStore.Write when another transaction wrote the same rows at the same time: a unique
// index refused a row, or the database rolled the transaction back. Nothing was written, and a second attempt may
// succeed.
var ErrConflict = errors.New("the same records were changed by somebody else at the same time; try again")

// FileStore is the database as the commands about tokens and package dirfile use it.
type FileStore interface {
	// Read runs f with a consistent view of the database; f must not save.
	Read(ctx context.Context, f func(FileTx) error) error
	// Write runs f in one transaction, which it commits when f returns nil and rolls back otherwise. It returns
	// ErrConflict when another transaction wrote the same rows.
	Write(ctx context.Context, f func(FileTx) error) error
}

// FileTx is one transaction of a FileStore.
//
// The methods named Find take lists of any length. They return each row once, in no particular order; a uuid, name or
// key without a row adds nothing to the result. All methods return fault.KindUnavailable when the database is busy or
// can't be reached.
type FileTx interface {
	// Now returns the time of the transaction by the database's clock, in UTC and whole microseconds.
	Now() time.Time
	// LockDirectory makes every other transaction that calls it wait until this transaction ends.
	LockDirectory() error

	// FindRoles returns the roles that have one of the uuids or names.
	FindRoles(ids []uuid.UUID, names []string) ([]Role, error)
	// FindUsers returns the users that have one of the uuids or usernames.
	FindUsers(ids []uuid.UUID, usernames []string) ([]User, error)
	// FindTokens returns the API tokens that have one of the digests.
	FindTokens(digests []string) ([]APIToken, error)
	// TokensOf returns the API tokens of users.
	TokensOf(users []uuid.UUID) ([]APIToken, error)
	// FindScopes returns the scopes that have one of the uuids or keys, removed scopes included, without their
	// customers.
	FindScopes(ids []uuid.UUID, keys []ScopeKey) ([]Scope, error)
	// FindMemberships returns the memberships that have one of the keys and are not revoked, expired ones included.
	FindMemberships(keys []MembershipKey) ([]Membership, error)

	// AllRoles returns every role, by name.
	AllRoles() ([]Role, error)
	// AllTokens returns the API tokens of the user with a username, or of all users where username is empty, by username
	// and time of creation.
	AllTokens(username string) ([]UserToken, error)
	// UsersAfter returns the first users, by username, whose username is greater than the given one.
	UsersAfter(username string, limit int) ([]User, error)
	// CustomersAfter returns the first customers, by name and uuid, that follow the given name and uuid. Removed
	// customers are included.
	CustomersAfter(name string, id uuid.UUID, limit int) ([]Scope, error)
	// ScopesOf returns the scopes of at most 1,000 customers, by type, name and uuid. Removed scopes are included, and
	// the customers themselves are not.
	ScopesOf(customers []uuid.UUID) ([]Scope, error)
	// HoldersIn returns the active memberships in at most 1,000 customers and in their scopes, by username and role
	// name.
	HoldersIn(customers []uuid.UUID) ([]Holder, error)

	// SaveRoles inserts roles, and updates those whose uuid exists. An update keeps the scope type.
	SaveRoles([]Role) error
	// SaveUsers inserts users, and updates those whose uuid exists. An update keeps the time of creation.
	SaveUsers([]User) error
	// SaveTokens inserts API tokens, and updates the expiry of those whose digest exists.
	SaveTokens([]APIToken) error
	// SaveTokenUses sets the last use of the API tokens that have one of the digests to the present time.
	SaveTokenUses(digests []string) error
	// DeleteTokens deletes the API tokens that have one of the uuids, and returns them.
	DeleteTokens(ids []uuid.UUID) ([]APIToken, error)
	// SaveTokenEvents writes for each API token the event that the operator made or revoked it.
	SaveTokenEvents(made bool, tokens []APIToken) error
	// SaveScopes inserts scopes, and updates those whose uuid exists. An update keeps the type, the customer and the
	// time of creation.
	SaveScopes([]Scope) error
	// SaveMemberships inserts memberships, and updates the expiry and revocation of those whose uuid exists.
	SaveMemberships([]Membership) error
}

// UserToken is an API token with the username of its user.
type UserToken struct {
	APIToken
	Username string
}

// ScopeKey identifies a scope without a uuid. Several scopes can have the same key.
type ScopeKey struct {
	Type     ScopeType
	Name     string
	Customer uuid.UUID // uuid.Nil for a customer
}

// MembershipKey identifies a membership: at most one that is not revoked has the same key.
type MembershipKey struct{ User, Role, Scope uuid.UUID }

// Holder is an active membership with the names of its user and role.
type Holder struct {
	ScopeUUID uuid.UUID
	Username  string
	RoleName  string
	Expires   *time.Time // nil: never
}
