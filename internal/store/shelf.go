package store

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Shelf returns the database as reading the directory needs it.
func (db *DB) Shelf() directory.ReadStore { return shelf{db} }

// shelf adapts DB to directory.ReadStore: the same reads, with the narrower interface.
type shelf struct{ db *DB }

func (s shelf) Read(ctx context.Context, f func(directory.ReadTx) error) error {
	return s.db.Read(ctx, func(tx *Tx) error { return f(tx) })
}

var _ directory.ReadTx = (*Tx)(nil)

// present is the condition that neither a scope nor its customer was removed. Few customers were: to look at the one of
// each scope would take several times as long.
const present = "NOT scopes.is_removed AND scopes.customer_uuid NOT IN" +
	" (SELECT gone.uuid FROM scopes AS gone WHERE gone.is_removed)"

// scopeColumns are what is shown of a scope, in the order of scopeDestinations. E-mail patterns, of which there can be a
// megabyte, are not.
const scopeColumns = "scopes.uuid, scopes.type, scopes.name, scopes.description, scopes.start_date, scopes.created," +
	" customers.uuid, customers.type, customers.name"

func scopeDestinations(s, customer *directory.Scope) []any {
	return []any{
		uuidInto{&s.UUID},
		(*string)(&s.Type), &s.Name, &s.Description, &s.StartDate, &s.Created,
		uuidInto{&customer.UUID},
		(*string)(&customer.Type), &customer.Name,
	}
}

// wholeScope is a scope with its customer, once the destinations of both are filled.
func wholeScope(s, customer directory.Scope) directory.Scope {
	s.StartDate, s.Created = utc(s.StartDate), s.Created.UTC()
	s.CustomerUUID, customer.CustomerUUID = customer.UUID, customer.UUID
	s.Customer = &customer
	return s
}

func utc(moment *time.Time) *time.Time {
	if moment == nil {
		return nil
	}
	there := moment.UTC()
	return &there
}

var scopeJoins = []join{{"customers", " JOIN scopes AS customers ON customers.uuid = scopes.customer_uuid"}}

// scopes are the scopes that a query finds, which asks for scopeColumns and for what goes to more.
func (tx *Tx) scopes(query string, arguments []any, more ...any) ([]directory.Scope, error) {
	return found(tx, query, arguments, func(scan scanFunc) (directory.Scope, error) {
		var scope, customer directory.Scope
		err := scan(append(scopeDestinations(&scope, &customer), more...)...)
		return wholeScope(scope, customer), err
	})
}

// FindScope is a scope that was not removed.
func (tx *Tx) FindScope(kind directory.ScopeType, id uuid.UUID) (directory.Scope, error) {
	rows, err := tx.scopes("SELECT "+scopeColumns+" FROM scopes"+scopeJoins[0].text+
		" WHERE scopes.type = ? AND scopes.uuid = ? AND "+present, []any{kind, id})
	if err == nil && len(rows) == 0 {
		err = fault.NotFound()
	}
	if err != nil {
		return directory.Scope{}, err
	}
	return rows[0], nil
}

// ListScopes is a page of scopes, and how many there are in all.
func (tx *Tx) ListScopes(q directory.ScopeQuery) ([]directory.Scope, int, error) {
	l := tx.scopeListing(q)
	var count int
	query, arguments := l.page(q.Window)
	rows, err := tx.scopes(query, arguments, &count)
	return rows, count, err
}

// CountScopes is how many scopes a query shows.
func (tx *Tx) CountScopes(q directory.ScopeQuery) (int, error) { return tx.counted(tx.scopeListing(q)) }

func (tx *Tx) scopeListing(q directory.ScopeQuery) listing {
	l := listing{table: "scopes", joins: scopeJoins, columns: scopeColumns}
	l.shown.and("scopes.type = ? AND "+present, q.Type)
	if !q.Visible.All {
		var any conditions
		tx.within(&any, q.Visible, "scopes.uuid", "scopes.customer_uuid")
		l.shown.and(any.either(), any.arguments...)
	}
	l.shown.equal("scopes.name", q.NameExact)
	l.shown.contains(q.Name, "scopes.name_folded")
	l.shown.contains(q.Description, "scopes.description_folded")
	l.shown.contains(q.CustomerName, "customers.name_folded")
	l.shown.contains(q.Any, "scopes.name_folded", "scopes.description_folded", "CAST(scopes.uuid AS text)")
	l.shown.is("scopes.customer_uuid", q.Customer)
	if len(q.Customers) > 0 {
		l.shown.and(tx.db.dialect.in("scopes.customer_uuid", q.Customers))
	}
	l.order = ordered(q.Order, directory.Order{By: directory.ByName}, map[directory.OrderBy]key{
		directory.ByCreated:      by("scopes.created"),
		directory.ByCustomerName: by("customers.name_folded"),
		directory.ByName:         by("scopes.name_folded"),
		directory.ByStartDate:    {texts: []string{"scopes.start_date IS NULL", "scopes.start_date"}},
	})
	return l
}

// ListRoles is a page of roles, and how many there are in all.
func (tx *Tx) ListRoles(q directory.RoleQuery) ([]directory.Role, int, error) {
	l := roleListing(q)
	var count int
	query, arguments := l.page(q.Window)
	rows, err := found(tx, query, arguments, func(scan scanFunc) (r directory.Role, err error) {
		err = scan(&r.UUID, &r.Name, &r.Description, &r.ScopeType, list{&r.Permissions}, &r.IsActive, &count)
		return r, err
	})
	return rows, count, err
}

// CountRoles is how many roles a query shows.
func (tx *Tx) CountRoles(q directory.RoleQuery) (int, error) { return tx.counted(roleListing(q)) }

func roleListing(q directory.RoleQuery) listing {
	l := listing{
		table:   "roles",
		columns: "roles.uuid, roles.name, roles.description, roles.scope_type, roles.permissions, roles.is_active",
		order:   ordering{keys: []string{"roles.name"}, descending: []bool{false}},
	}
	l.shown.contains(q.Name, "roles.name_folded")
	l.shown.contains(q.Description, "roles.description_folded")
	l.shown.equal("roles.scope_type", q.ScopeType)
	if q.Active != nil {
		l.shown.and("roles.is_active = ?", *q.Active)
	}
	return l
}

var permissionJoins = append([]join{
	{"users", " JOIN users ON users.uuid = memberships.user_uuid"},
	{"roles", " JOIN roles ON roles.uuid = memberships.role_uuid"},
	{"scopes", " JOIN scopes ON scopes.uuid = memberships.scope_uuid"},
	{"creators", " LEFT JOIN users AS creators ON creators.uuid = memberships.created_by_uuid"},
}, scopeJoins...)

// ListPermissions is a page of memberships in force, and how many there are in all.
func (tx *Tx) ListPermissions(q directory.PermissionQuery) ([]directory.Permission, int, error) {
	l := tx.permissionListing(q)
	var count int
	query, arguments := l.page(q.Window)
	rows, err := found(tx, query, arguments, func(scan scanFunc) (directory.Permission, error) {
		var (
			p               directory.Permission
			scope, customer directory.Scope
			creator         struct {
				uuid               *uuid.UUID
				username, fullName *string
			}
		)
		err := scan(append(append([]any{
			&p.UUID, &p.Created, &p.Expires, &p.User.UUID, &p.User.Username, &p.User.FullName, &p.User.Email,
			&p.Role.UUID, &p.Role.Name, &p.Role.Description, &creator.uuid, &creator.username, &creator.fullName,
		}, scopeDestinations(&scope, &customer)...), &count)...)
		p.Created, p.Expires, p.Scope = p.Created.UTC(), utc(p.Expires), wholeScope(scope, customer)
		p.UserUUID, p.RoleUUID, p.ScopeUUID, p.CreatedByUUID = p.User.UUID, p.Role.UUID, p.Scope.UUID, creator.uuid
		if creator.uuid != nil {
			p.CreatedBy = &directory.User{UUID: *creator.uuid, Username: *creator.username, FullName: *creator.fullName}
		}
		return p, err
	})
	return rows, count, err
}

// CountPermissions is how many memberships a query shows.
func (tx *Tx) CountPermissions(q directory.PermissionQuery) (int, error) {
	return tx.counted(tx.permissionListing(q))
}

func (tx *Tx) permissionListing(q directory.PermissionQuery) listing {
	l := listing{
		table: "memberships", joins: permissionJoins,
		columns: "memberships.uuid, memberships.created, memberships.expires," +
			" users.uuid, users.username, users.full_name, users.email, roles.uuid, roles.name, roles.description," +
			" creators.uuid, creators.username, creators.full_name, " + scopeColumns,
	}
	l.shown.and(inForce, tx.now)
	l.shown.and(present)
	if !q.Visible.All {
		var any conditions
		any.and("memberships.user_uuid = ?", q.Visible.User)
		tx.within(&any, q.Visible.ScopeSet, "memberships.scope_uuid", "")
		// Each by an index of its own: for an OR of them SQLite would read all memberships.
		for i, each := range any.texts {
			any.texts[i] = "SELECT memberships.uuid FROM memberships WHERE memberships.revoked IS NULL AND " + each
		}
		l.shown.and("memberships.uuid IN ("+strings.Join(any.texts, " UNION ALL ")+")", any.arguments...)
	}
	l.shown.is("memberships.user_uuid", q.User)
	l.shown.is("memberships.role_uuid", q.Role)
	l.shown.is("memberships.scope_uuid", q.Scope)
	l.shown.equal("users.username", q.Username)
	l.shown.equal("roles.name", q.RoleName)
	l.shown.equal("scopes.type", q.ScopeType)
	l.shown.contains(q.FullName, "users.full_name_folded")
	l.shown.contains(q.ScopeName, "scopes.name_folded")
	l.order = ordered(q.Order, directory.Order{By: directory.ByCreated, Descending: true}, map[directory.OrderBy]key{
		directory.ByCreated:        by("memberships.created"),
		directory.ByEmail:          by("users.email_folded"),
		directory.ByExpirationTime: {texts: []string{"memberships.expires IS NULL", "memberships.expires"}},
		directory.ByFullName:       by("users.full_name_folded"),
		directory.ByRole:           by("roles.name"),
		directory.ByUsername:       by("users.username"),
	})
	return l
}
