package directory

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/fault"
)

// Reader has the use cases that read the directory, one method for each operation of the API. A refusal is a
// *fault.Error: beside those that a method names, fault.KindUnavailable where the database is out of reach or busy. Any
// other error is internal.
type Reader struct{ Store ReadStore }

// ReadStore is the database as Reader needs it.
type ReadStore interface {
	// Read runs f, which must not write; each method of ReadTx sees what was committed when the method was called.
	Read(ctx context.Context, f func(ReadTx) error) error
	// ReadList is Read for what costs more the more rows there are. ReadList lets the lists of one caller wait for each
	// other where they would keep other callers waiting, and returns fault.KindUnavailable where one takes too long.
	ReadList(ctx context.Context, caller uuid.UUID, f func(ReadTx) error) error
}

// ReadTx reads the directory. Methods that find one row return fault.KindNotFound where the row is missing. Methods that
// list return the rows of the query's window and the number of rows on all pages; the number is 0 for a window past the
// end. Scopes have their customer and lack their e-mail patterns.
type ReadTx interface {
	FindScope(kind ScopeType, id uuid.UUID) (Scope, error) // removed scopes are missing
	ListScopes(ScopeQuery) ([]Scope, int, error)
	CountScopes(ScopeQuery) (int, error)
	FindRole(id uuid.UUID) (Role, error)
	ListRoles(RoleQuery) ([]Role, int, error)
	CountRoles(RoleQuery) (int, error)
	ListPermissions(PermissionQuery) ([]Permission, int, error)
	CountPermissions(PermissionQuery) (int, error)
}

// Permission is an active membership with its user, role and scope. The creator has a uuid and names only.
type Permission struct {
	Membership
	User      User
	Role      Role
	Scope     Scope
	CreatedBy *User // nil: unknown
}

// ScopeQuery asks for the scopes of one type that are not removed and whose customer is not removed. Empty texts filter
// nothing.
type ScopeQuery struct {
	Type    ScopeType
	Visible ScopeSet

	Name         string // substring, case-insensitive
	NameExact    string
	Description  string // substring, case-insensitive
	CustomerName string // substring, case-insensitive
	Any          string // substring of name, description or uuid, case-insensitive
	Customer     *uuid.UUID
	Customers    []uuid.UUID // any of these; none: all

	Order []Order // none: by name; ties are broken by uuid
	Window
}

// RoleQuery asks for roles, ordered by name.
type RoleQuery struct {
	Name        string // substring, case-insensitive
	Description string // substring, case-insensitive
	Any         string // substring of name or description, case-insensitive
	ScopeType   string
	Active      *bool
	Window
}

// PermissionQuery asks for active memberships in scopes that are not removed and whose customer is not removed.
type PermissionQuery struct {
	Visible PermissionVisibility

	User      *uuid.UUID
	Username  string
	FullName  string // substring, case-insensitive
	Role      *uuid.UUID
	RoleName  string
	Scope     *uuid.UUID
	ScopeName string // substring, case-insensitive
	ScopeType string

	Order []Order // none: the newest first; ties are broken by uuid
	Window
}

// The keys that scopes and permissions can be ordered by. Names and addresses are ordered case-insensitively; rows
// without a start date or an expiry come last.
const (
	ByCreated        OrderBy = "created"
	ByCustomerName   OrderBy = "customer_name"
	ByEmail          OrderBy = "email"
	ByExpirationTime OrderBy = "expiration_time"
	ByFullName       OrderBy = "full_name"
	ByName           OrderBy = "name"
	ByRole           OrderBy = "role"
	ByStartDate      OrderBy = "start_date"
	ByUsername       OrderBy = "username"
)

// Scopes returns one page of the scopes of a type that the caller can see, and the number of scopes on all pages; see
// Paginate. Scopes sets the query's Visible and Window.
func (r *Reader) Scopes(ctx context.Context, caller Actor, q ScopeQuery, page, size int) (rows []Scope, total int, err error) {
	q.Visible = caller.Sees()
	return r.listScopes(ctx, caller, q, page, size)
}

func (r *Reader) listScopes(
	ctx context.Context, caller Actor, q ScopeQuery, page, size int,
) (rows []Scope, total int, err error) {
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		rows, total, err = Paginate(page, size, func(w Window) ([]Scope, int, error) {
			q.Window = w
			return tx.ListScopes(q)
		})
		return err
	})
	return rows, total, err
}

// ManagedScopes is Scopes for the scopes whose invitations the caller may manage.
func (r *Reader) ManagedScopes(
	ctx context.Context, caller Actor, q ScopeQuery, page, size int,
) (rows []Scope, total int, err error) {
	q.Visible = caller.Manages()
	return r.listScopes(ctx, caller, q, page, size)
}

// CountScopes returns the number of scopes on all pages of Scopes.
func (r *Reader) CountScopes(ctx context.Context, caller Actor, q ScopeQuery) (total int, err error) {
	q.Visible = caller.Sees()
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		total, err = tx.CountScopes(q)
		return err
	})
	return total, err
}

// Scope returns a scope that the caller can see; fault.KindNotFound otherwise.
func (r *Reader) Scope(ctx context.Context, caller Actor, kind ScopeType, id uuid.UUID) (found Scope, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		found, err = tx.FindScope(kind, id)
		return err
	})
	if err == nil && !caller.CanSee(found) {
		err = fault.NotFound()
	}
	if err != nil {
		return Scope{}, err
	}
	return found, nil
}

// Roles returns one page of the roles and the number of roles on all pages; see Paginate. Everybody sees all roles;
// the zero Actor is a caller who is not known. Roles sets the query's Window.
func (r *Reader) Roles(ctx context.Context, caller Actor, q RoleQuery, page, size int) (rows []Role, total int, err error) {
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		rows, total, err = Paginate(page, size, func(w Window) ([]Role, int, error) {
			q.Window = w
			return tx.ListRoles(q)
		})
		return err
	})
	return rows, total, err
}

// CountRoles returns the number of roles on all pages of Roles.
func (r *Reader) CountRoles(ctx context.Context, caller Actor, q RoleQuery) (total int, err error) {
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		total, err = tx.CountRoles(q)
		return err
	})
	return total, err
}

// Role returns a role; fault.KindNotFound where the role is missing.
func (r *Reader) Role(ctx context.Context, id uuid.UUID) (found Role, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		found, err = tx.FindRole(id)
		return err
	})
	return found, err
}

// Permissions returns one page of the permissions that the caller can see and the number of permissions on all pages; see
// Paginate. Permissions sets the query's Visible and Window.
func (r *Reader) Permissions(
	ctx context.Context, caller Actor, q PermissionQuery, page, size int,
) (rows []Permission, total int, err error) {
	q.Visible = caller.PermissionVisibility()
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		rows, total, err = Paginate(page, size, func(w Window) ([]Permission, int, error) {
			q.Window = w
			return tx.ListPermissions(q)
		})
		return err
	})
	return rows, total, err
}

// CountPermissions returns the number of permissions on all pages of Permissions.
func (r *Reader) CountPermissions(ctx context.Context, caller Actor, q PermissionQuery) (total int, err error) {
	q.Visible = caller.PermissionVisibility()
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		total, err = tx.CountPermissions(q)
		return err
	})
	return total, err
}

// maxOwnPermissions is the largest number of permissions that Own returns.
const maxOwnPermissions = 10_000

// Own returns the permissions that the caller holds, the newest first.
func (r *Reader) Own(ctx context.Context, caller Actor) ([]Permission, error) {
	rows, _, err := r.Permissions(ctx, caller, PermissionQuery{User: &caller.UUID}, 1, maxOwnPermissions)
	return rows, err
}
