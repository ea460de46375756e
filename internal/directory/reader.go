package directory

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/fault"
)

// Reader is what the API tells of the directory, one method for each operation. A refusal is a *fault.Error: beside
// those that a method names, fault.KindUnavailable where the database is out of reach or busy. Any other error is internal.
type Reader struct{ Store ReadStore }

// ReadStore is what reading the directory needs of a database.
type ReadStore interface {
	// Read runs f, which must not write; each method of ReadTx sees what was committed when it was called.
	Read(ctx context.Context, f func(ReadTx) error) error
}

// ReadTx is the database while it is read. Methods that look for one thing return fault.KindNotFound where it is not
// there; those that look for a page say how many rows there are in all, but not of a page past the end. Scopes come
// without their e-mail patterns, and with their customers.
type ReadTx interface {
	// Actor is the user with what they hold now.
	Actor(User) (Actor, error)
	// FindScope is a scope that was not removed.
	FindScope(kind ScopeType, id uuid.UUID) (Scope, error)
	ListScopes(ScopeQuery) ([]Scope, int, error)
	CountScopes(ScopeQuery) (int, error)
	// Role is a role.
	Role(id uuid.UUID) (Role, error)
	ListRoles(RoleQuery) ([]Role, int, error)
	CountRoles(RoleQuery) (int, error)
	ListPermissions(PermissionQuery) ([]Permission, int, error)
	CountPermissions(PermissionQuery) (int, error)
}

// Permission is a membership in force with all that belongs to it. Of the creator only the names are there.
type Permission struct {
	Membership
	User      User
	Role      Role
	Scope     Scope // with its customer
	CreatedBy *User // nil where nobody or not known
}

// ScopeQuery asks for a page of the scopes of one type that were not removed, and whose customer was not. Texts are
// compared as they are; empty ones filter nothing.
type ScopeQuery struct {
	Type    ScopeType
	Visible ScopeSet

	Name         string // contained, case aside
	NameExact    string
	Description  string // contained, case aside
	CustomerName string // contained, case aside
	Any          string // contained in name, description or uuid, case aside
	Customer     *uuid.UUID
	Customers    []uuid.UUID // any of these; none: all

	Order []Order // none: by name; ties fall to the uuid
	Window
}

// RoleQuery asks for a page of the roles, by name.
type RoleQuery struct {
	Name        string // contained, case aside
	Description string // contained, case aside
	ScopeType   string
	Active      *bool
	Window
}

// PermissionQuery asks for a page of the memberships in force in scopes that were not removed, and whose customer was
// not.
type PermissionQuery struct {
	Visible PermissionVisibility

	User      *uuid.UUID
	Username  string
	FullName  string // contained, case aside
	Role      *uuid.UUID
	RoleName  string
	Scope     *uuid.UUID
	ScopeName string // contained, case aside
	ScopeType string

	Order []Order // none: the newest first; ties fall to the uuid
	Window
}

// The keys that scopes and permissions can be ordered by. Names and addresses order case aside; what has no start or no
// end comes after what has.
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

// Scopes returns the page'th page of size scopes of a type, from 1, that the caller can see and the query asks for, and
// how many there are on all pages. It returns fault.KindNotFound for a page past the end; page 1 of nothing is empty. It
// sets the query's Visible and Window itself.
func (r *Reader) Scopes(ctx context.Context, caller User, q ScopeQuery, page, size int) (rows []Scope, total int, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		q.Visible = actor.Sees()
		rows, total, err = Paginate(page, size, func(c Window) ([]Scope, int, error) {
			q.Window = c
			return tx.ListScopes(q)
		})
		return err
	})
	return rows, total, err
}

// CountScopes returns how many scopes there are on all pages of Scopes.
func (r *Reader) CountScopes(ctx context.Context, caller User, q ScopeQuery) (total int, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		q.Visible = actor.Sees()
		total, err = tx.CountScopes(q)
		return err
	})
	return total, err
}

// Scope returns a scope that the caller sees in the list; fault.KindNotFound otherwise.
func (r *Reader) Scope(ctx context.Context, caller User, kind ScopeType, id uuid.UUID) (Scope, error) {
	var found Scope
	err := r.Store.Read(ctx, func(tx ReadTx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		scope, err := tx.FindScope(kind, id)
		if err != nil {
			return err
		}
		if !actor.CanSee(scope) {
			return fault.NotFound()
		}
		found = scope
		return nil
	})
	return found, err
}

// Roles returns the page'th page of size roles, from 1, that the query asks for, and how many there are on all pages;
// fault.KindNotFound for a page past the end. Everybody sees all roles. It sets the query's Window itself.
func (r *Reader) Roles(ctx context.Context, q RoleQuery, page, size int) (rows []Role, total int, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		rows, total, err = Paginate(page, size, func(c Window) ([]Role, int, error) {
			q.Window = c
			return tx.ListRoles(q)
		})
		return err
	})
	return rows, total, err
}

// CountRoles returns how many roles there are on all pages of Roles.
func (r *Reader) CountRoles(ctx context.Context, q RoleQuery) (total int, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		total, err = tx.CountRoles(q)
		return err
	})
	return total, err
}

// Role returns a role; fault.KindNotFound where there is none.
func (r *Reader) Role(ctx context.Context, id uuid.UUID) (Role, error) {
	var found Role
	err := r.Store.Read(ctx, func(tx ReadTx) (err error) {
		found, err = tx.Role(id)
		return err
	})
	return found, err
}

// Permissions returns the page'th page of size permissions, from 1, that the caller can see and the query asks for, and
// how many there are on all pages; fault.KindNotFound for a page past the end. It sets the query's Visible and Window itself.
func (r *Reader) Permissions(
	ctx context.Context, caller User, q PermissionQuery, page, size int,
) (rows []Permission, total int, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		q.Visible = actor.PermissionVisibility()
		rows, total, err = Paginate(page, size, func(c Window) ([]Permission, int, error) {
			q.Window = c
			return tx.ListPermissions(q)
		})
		return err
	})
	return rows, total, err
}

// CountPermissions returns how many permissions there are on all pages of Permissions.
func (r *Reader) CountPermissions(ctx context.Context, caller User, q PermissionQuery) (total int, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		q.Visible = actor.PermissionVisibility()
		total, err = tx.CountPermissions(q)
		return err
	})
	return total, err
}

// ownPermissions is how many permissions somebody is told of themselves at most.
const ownPermissions = 10_000

// Own returns what the caller holds, newest first.
func (r *Reader) Own(ctx context.Context, caller User) ([]Permission, error) {
	rows, _, err := r.Permissions(ctx, caller, PermissionQuery{User: &caller.UUID}, 1, ownPermissions)
	return rows, err
}
