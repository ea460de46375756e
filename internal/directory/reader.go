package directory

import (
	"context"
	"slices"
	"time"

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
// end. Scopes have their customer; their e-mail patterns and counts only where a query asks for them.
type ReadTx interface {
	FindScope(kind ScopeType, id uuid.UUID) (Scope, error) // removed scopes are missing
	ListScopes(ScopeQuery) ([]Scope, int, error)
	CountScopes(ScopeQuery) (int, error)
	ListRoles(RoleQuery) ([]Role, int, error)
	CountRoles(RoleQuery) (int, error)
	ListPermissions(PermissionQuery) ([]Permission, int, error)
	CountPermissions(PermissionQuery) (int, error)
	// GrantsOf returns the grants of a user that a visibility includes, without the permissions of their roles.
	GrantsOf(user uuid.UUID, visible PermissionVisibility) ([]Grant, error)
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

	UUID         *uuid.UUID
	Name         string // substring, case-insensitive
	NameExact    string
	Description  string // substring, case-insensitive
	CustomerName string // substring, case-insensitive
	Slug         string
	Any          string // substring of name, description or uuid, case-insensitive
	Customer     *uuid.UUID
	Customers    []uuid.UUID // any of these; none: all
	Created      Period
	Modified     Period // of the last change, or of creation
	Removed      *bool  // no removed scope is in any list, so that true finds nothing

	CallerRoles     []string   // names of roles of which the caller holds one in the scope; none: all scopes
	Owned           bool       // the caller holds the role CustomerOwner
	CreatesProjects bool       // see Actor.CreatesProjectsIn
	Managed         bool       // see Actor.Manages
	Member          *uuid.UUID // a user who would see the scope by those of their permissions that the caller sees

	WithPatterns bool // asks for Scope.UserEmailPatterns, which can be a megabyte for each row
	WithCounts   bool // asks for what ScopeCounts describes

	// Within and Counts are made by Reader from the fields above. Each set of Within includes the scope.
	Within []ScopeSet
	Counts *ScopeCounts // nil: without

	Order []Order // none: by name; ties are broken by uuid
	Window
}

// Period is a span of time, ends included. An end that is nil is open.
type Period struct{ From, To *time.Time }

// ScopeCounts asks for the number of a customer's projects that are in Scopes, and of the users who hold a role in the
// customer or in its scopes by a membership that Permissions includes.
type ScopeCounts struct {
	Scopes      ScopeSet
	Permissions PermissionVisibility
}

// RoleQuery asks for roles.
type RoleQuery struct {
	UUID        *uuid.UUID
	Name        string   // substring, case-insensitive
	Description string   // substring, case-insensitive
	Any         string   // substring of name or description, case-insensitive
	ScopeTypes  []string // any of these; none: all
	Active      *bool

	// CountUsers asks for Role.UsersCount. Reader lets only callers who see all scopes count, or order by the count.
	CountUsers bool

	Order []Order // none: by name; ties are broken by uuid
	Window
}

// PermissionQuery asks for active memberships in scopes that are not removed and whose customer is not removed.
type PermissionQuery struct {
	Visible PermissionVisibility

	User      *uuid.UUID
	Username  string
	FullName  string // substring, case-insensitive
	AnyUser   string // substring of the user's full name, e-mail address (case-insensitive) or username (so in ASCII letters)
	Role      *uuid.UUID
	RoleName  string
	Roles     []string // names or uuids, any of these; none: all
	Scope     *uuid.UUID
	ScopeName string // substring, case-insensitive
	ScopeType string
	Customer  *uuid.UUID
	Created   Period
	Modified  Period // of the last change, or of creation
	Active    *bool  // no list has inactive memberships, so that false finds nothing

	Order []Order // none: the newest first; ties are broken by uuid
	Window
}

// The keys that scopes, roles and permissions can be ordered by. Names and addresses are ordered case-insensitively; rows
// without a start date or an expiry come last.
const (
	ByCreated        OrderBy = "created"
	ByCustomerName   OrderBy = "customer_name"
	ByEmail          OrderBy = "email"
	ByExpirationTime OrderBy = "expiration_time"
	ByFullName       OrderBy = "full_name"
	ByIsActive       OrderBy = "is_active"
	ByName           OrderBy = "name"
	ByRole           OrderBy = "role"
	ByScopeType      OrderBy = "scope"
	ByStartDate      OrderBy = "start_date"
	ByUsername       OrderBy = "username"
	ByUsersCount     OrderBy = "users_count"
)

// Scopes returns one page of the scopes of a type that the caller can see, and the number of scopes on all pages; see
// Paginate. Scopes sets the query's Visible, Within, Counts and Window.
func (r *Reader) Scopes(ctx context.Context, caller Actor, q ScopeQuery, page, size int) (rows []Scope, total int, err error) {
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		if err := q.narrow(tx, caller); err != nil {
			return err
		}
		rows, total, err = Paginate(page, size, func(w Window) ([]Scope, int, error) {
			q.Window = w
			return tx.ListScopes(q)
		})
		return err
	})
	return rows, total, err
}

// CountScopes returns the number of scopes on all pages of Scopes.
func (r *Reader) CountScopes(ctx context.Context, caller Actor, q ScopeQuery) (total int, err error) {
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		if err := q.narrow(tx, caller); err != nil {
			return err
		}
		total, err = tx.CountScopes(q)
		return err
	})
	return total, err
}

// narrow sets Visible to what the caller sees, Within to what the fields about roles ask for, and Counts.
func (q *ScopeQuery) narrow(tx ReadTx, caller Actor) error {
	q.Visible, q.Within, q.Counts = caller.Sees(), nil, nil
	if q.WithCounts {
		q.Counts = &ScopeCounts{caller.Sees(), caller.PermissionVisibility()}
	}
	if len(q.CallerRoles) > 0 {
		q.Within = append(q.Within, caller.Holds(q.CallerRoles...))
	}
	if q.Owned {
		q.Within = append(q.Within, caller.Holds(CustomerOwner))
	}
	if q.CreatesProjects {
		q.Within = append(q.Within, caller.CreatesProjectsIn())
	}
	if q.Managed {
		q.Within = append(q.Within, caller.Manages())
	}
	if q.Member != nil {
		grants, err := tx.GrantsOf(*q.Member, caller.PermissionVisibility())
		if err != nil {
			return err
		}
		q.Within = append(q.Within, Actor{Grants: grants}.Sees())
	}
	return nil
}

// Scope returns a scope that the caller can see; fault.KindNotFound otherwise.
func (r *Reader) Scope(ctx context.Context, caller Actor, kind ScopeType, id uuid.UUID) (found Scope, err error) {
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		found, err = findVisible(tx, caller, kind, id)
		return err
	})
	return found, err
}

// findVisible returns a scope that the caller can see; fault.KindNotFound otherwise.
func findVisible(tx ReadTx, caller Actor, kind ScopeType, id uuid.UUID) (Scope, error) {
	found, err := tx.FindScope(kind, id)
	if err == nil && !caller.CanSee(found) {
		err = fault.NotFound()
	}
	if err != nil {
		return Scope{}, err
	}
	return found, nil
}

// ScopeWithDetails is Scope with e-mail patterns and what ScopeCounts describes.
func (r *Reader) ScopeWithDetails(ctx context.Context, caller Actor, kind ScopeType, id uuid.UUID) (found Scope, err error) {
	q := ScopeQuery{Type: kind, UUID: &id, WithPatterns: true, WithCounts: true, Window: Window{Limit: 1}}
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		if err := q.narrow(tx, caller); err != nil {
			return err
		}
		found, err = onlyRow(tx.ListScopes(q))
		return err
	})
	return found, err
}

// onlyRow returns the row of a list by a UUID; fault.KindNotFound where there is none.
func onlyRow[Row any](rows []Row, _ int, err error) (row Row, _ error) {
	if err == nil && len(rows) == 0 {
		err = fault.NotFound()
	}
	if err != nil {
		return row, err
	}
	return rows[0], nil
}

// Roles returns one page of the roles and the number of roles on all pages; see Paginate. Everybody sees all roles;
// the zero Actor is a caller who is not known. Roles sets the query's Window.
func (r *Reader) Roles(ctx context.Context, caller Actor, q RoleQuery, page, size int) (rows []Role, total int, err error) {
	q.limitCount(caller)
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

// limitCount removes the count of a role's users for callers who do not see all scopes. The count would reveal how many
// users exist.
func (q *RoleQuery) limitCount(caller Actor) {
	if caller.SeesAll() {
		return
	}
	q.CountUsers = false
	q.Order = slices.DeleteFunc(slices.Clone(q.Order), func(o Order) bool { return o.By == ByUsersCount })
}

// Role returns a role, with the number of its users where the caller sees all scopes; fault.KindNotFound where the role is
// missing. The zero Actor is a caller who is not known.
func (r *Reader) Role(ctx context.Context, caller Actor, id uuid.UUID) (found Role, err error) {
	q := RoleQuery{UUID: &id, CountUsers: true, Window: Window{Limit: 1}}
	q.limitCount(caller)
	err = r.Store.Read(ctx, func(tx ReadTx) error {
		found, err = onlyRow(tx.ListRoles(q))
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

// ScopeUsers is Permissions for one scope. It returns fault.KindNotFound where the caller can't see the scope.
func (r *Reader) ScopeUsers(
	ctx context.Context, caller Actor, kind ScopeType, id uuid.UUID, q PermissionQuery, page, size int,
) (rows []Permission, total int, err error) {
	q.Scope, q.Visible = &id, caller.PermissionVisibility()
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		if _, err := findVisible(tx, caller, kind, id); err != nil {
			return err
		}
		rows, total, err = Paginate(page, size, func(w Window) ([]Permission, int, error) {
			q.Window = w
			return tx.ListPermissions(q)
		})
		return err
	})
	return rows, total, err
}

// CountScopeUsers returns the number of permissions on all pages of ScopeUsers.
func (r *Reader) CountScopeUsers(
	ctx context.Context, caller Actor, kind ScopeType, id uuid.UUID, q PermissionQuery,
) (total int, err error) {
	q.Scope, q.Visible = &id, caller.PermissionVisibility()
	err = r.Store.ReadList(ctx, caller.UUID, func(tx ReadTx) error {
		if _, err := findVisible(tx, caller, kind, id); err != nil {
			return err
		}
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
