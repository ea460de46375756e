package store

import (
	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// scopeColumns are the columns of a scope that are shown, with its customer's. E-mail patterns, of which there can be a
// megabyte, are not among them.
const (
	scopeColumns = "scopes.uuid, scopes.type, scopes.name, scopes.description, scopes.start_date, scopes.created," +
		" customers.uuid, customers.type, customers.name"
	joinScopeCustomer = " JOIN scopes AS customers ON customers.uuid = scopes.customer_uuid"
)

// scopeTargets returns where scopeColumns are scanned into.
func scopeTargets(scope, customer *directory.Scope) []any {
	return []any{
		&scope.UUID, &scope.Type, &scope.Name, &scope.Description, &scope.StartDate, &scope.Created,
		&customer.UUID, &customer.Type, &customer.Name,
	}
}

// withCustomer returns a scanned scope with its scanned customer.
func withCustomer(scope, customer directory.Scope) directory.Scope {
	scope.StartDate, scope.Created = utc(scope.StartDate), scope.Created.UTC()
	scope.CustomerUUID, customer.CustomerUUID = customer.UUID, customer.UUID
	scope.Customer = &customer
	return scope
}

// scanScope reads scopeColumns and the columns after them.
func scanScope(scan scanFunc, more ...any) (directory.Scope, error) {
	var scope, customer directory.Scope
	err := scan(append(scopeTargets(&scope, &customer), more...)...)
	return withCustomer(scope, customer), err
}

// FindScope implements directory.ReadTx.
func (tx *Tx) FindScope(kind directory.ScopeType, id uuid.UUID) (directory.Scope, error) {
	return collectOne(tx.db.Table("scopes").Select(scopeColumns).Joins(joinScopeCustomer).
		Where("scopes.type = ? AND scopes.uuid = ?", kind, id).Where(notRemoved),
		func(scan scanFunc) (directory.Scope, error) { return scanScope(scan) })
}

// ListScopes implements directory.ReadTx.
func (tx *Tx) ListScopes(q directory.ScopeQuery) (rows []directory.Scope, total int, err error) {
	rows, err = collect(tx.scopeList(q).page(tx, q.Window), func(scan scanFunc) (directory.Scope, error) {
		return scanScope(scan, &total)
	})
	return rows, total, err
}

// CountScopes implements directory.ReadTx.
func (tx *Tx) CountScopes(q directory.ScopeQuery) (int, error) { return tx.scopeList(q).count(tx) }

func (tx *Tx) scopeList(q directory.ScopeQuery) listing {
	l := listing{table: "scopes", columns: scopeColumns, joins: joinScopeCustomer}
	l.filters = []filter{
		where("scopes.type = ?", q.Type),
		where(notRemoved),
		equal("scopes.name", q.NameExact),
		contains(q.Name, "scopes.name_folded"),
		contains(q.Description, "scopes.description_folded"),
		contains(q.Any, "scopes.name_folded", "scopes.description_folded", "CAST(scopes.uuid AS text)"),
		equalUUID("scopes.customer_uuid", q.Customer),
	}
	if !q.Visible.All {
		l.filters = append(l.filters, anyOf(tx.within(q.Visible, "scopes.uuid", "scopes.customer_uuid")...))
	}
	if q.CustomerName != "" {
		l.filters = append(l.filters, tx.in("scopes.customer_uuid", "scopes", contains(q.CustomerName, "name_folded")))
	}
	if len(q.Customers) > 0 {
		l.filters = append(l.filters, anyOf(tx.engine.In("scopes.customer_uuid", q.Customers)))
	}
	l.order = ordering(q.Order, directory.Order{By: directory.ByName}, map[directory.OrderBy][]key{
		directory.ByCreated:      by("scopes.created"),
		directory.ByCustomerName: {{sql: "customers.name_folded", join: joinScopeCustomer}},
		directory.ByName:         by("scopes.name_folded"),
		directory.ByStartDate:    {{sql: "scopes.start_date IS NULL"}, {sql: "scopes.start_date"}},
	})
	return l
}

// ListRoles implements directory.ReadTx.
func (tx *Tx) ListRoles(q directory.RoleQuery) (rows []directory.Role, total int, err error) {
	rows, err = collect(roleList(q).page(tx, q.Window), func(scan scanFunc) (r directory.Role, err error) {
		err = scan(&r.UUID, &r.Name, &r.Description, &r.ScopeType, jsonStrings{&r.Permissions}, &r.IsActive, &total)
		return r, err
	})
	return rows, total, err
}

// CountRoles implements directory.ReadTx.
func (tx *Tx) CountRoles(q directory.RoleQuery) (int, error) { return roleList(q).count(tx) }

func roleList(q directory.RoleQuery) listing {
	l := listing{
		table:   "roles",
		columns: "roles.uuid, roles.name, roles.description, roles.scope_type, roles.permissions, roles.is_active",
		filters: []filter{
			contains(q.Name, "roles.name_folded"),
			contains(q.Description, "roles.description_folded"),
			contains(q.Any, "roles.name_folded", "roles.description_folded"),
			equal("roles.scope_type", q.ScopeType),
		},
		order: by("roles.name"),
	}
	if q.Active != nil {
		l.filters = append(l.filters, where("roles.is_active = ?", *q.Active))
	}
	return l
}

const (
	joinMember         = " JOIN users ON users.uuid = memberships.user_uuid"
	joinMembershipRole = " JOIN roles ON roles.uuid = memberships.role_uuid"
)

// ListPermissions implements directory.ReadTx.
func (tx *Tx) ListPermissions(q directory.PermissionQuery) (rows []directory.Permission, total int, err error) {
	rows, err = collect(tx.permissionList(q).page(tx, q.Window), func(scan scanFunc) (directory.Permission, error) {
		var (
			p               directory.Permission
			scope, customer directory.Scope
			creator         directory.User
		)
		err := scan(append(append([]any{
			&p.UUID, &p.Created, &p.Expires, &p.User.UUID, &p.User.Username, &p.User.FullName, &p.User.Email,
			&p.Role.UUID, &p.Role.Name, &p.Role.Description, &p.CreatedByUUID, &creator.Username, &creator.FullName,
		}, scopeTargets(&scope, &customer)...), &total)...)
		p.Created, p.Expires, p.Scope = p.Created.UTC(), utc(p.Expires), withCustomer(scope, customer)
		p.UserUUID, p.RoleUUID, p.ScopeUUID = p.User.UUID, p.Role.UUID, p.Scope.UUID
		if p.CreatedByUUID != nil {
			creator.UUID = *p.CreatedByUUID
			p.CreatedBy = &creator
		}
		return p, err
	})
	return rows, total, err
}

// CountPermissions implements directory.ReadTx.
func (tx *Tx) CountPermissions(q directory.PermissionQuery) (int, error) {
	return tx.permissionList(q).count(tx)
}

func (tx *Tx) permissionList(q directory.PermissionQuery) listing {
	l := listing{
		table: "memberships",
		columns: "memberships.uuid, memberships.created, memberships.expires," +
			" users.uuid, users.username, users.full_name, users.email, roles.uuid, roles.name, roles.description," +
			" creators.uuid, COALESCE(creators.username, ''), COALESCE(creators.full_name, ''), " + scopeColumns,
		joins: joinMember + joinMembershipRole + " JOIN scopes ON scopes.uuid = memberships.scope_uuid" + joinScopeCustomer +
			" LEFT JOIN users AS creators ON creators.uuid = memberships.created_by_uuid",
		filters: []filter{
			where(isActive, tx.now),
			equalUUID("memberships.user_uuid", q.User),
			equalUUID("memberships.role_uuid", q.Role),
			equalUUID("memberships.scope_uuid", q.Scope),
			tx.in("memberships.scope_uuid", "scopes",
				where(notRemoved), equal("scopes.type", q.ScopeType), contains(q.ScopeName, "scopes.name_folded")),
		},
	}
	if !q.Visible.All {
		l.filters = append(l.filters, tx.visiblePermissions(q.Visible))
	}
	if q.Username != "" || q.FullName != "" {
		l.filters = append(l.filters, tx.in("memberships.user_uuid", "users",
			equal("users.username", q.Username), contains(q.FullName, "users.full_name_folded")))
	}
	if q.RoleName != "" {
		l.filters = append(l.filters, tx.in("memberships.role_uuid", "roles", equal("roles.name", q.RoleName)))
	}
	l.order = ordering(q.Order, directory.Order{By: directory.ByCreated, Descending: true}, map[directory.OrderBy][]key{
		directory.ByCreated:        by("memberships.created"),
		directory.ByEmail:          {{sql: "users.email_folded", join: joinMember}},
		directory.ByExpirationTime: {{sql: "memberships.expires IS NULL"}, {sql: "memberships.expires"}},
		directory.ByFullName:       {{sql: "users.full_name_folded", join: joinMember}},
		directory.ByRole:           {{sql: "roles.name", join: joinMembershipRole}},
		directory.ByUsername:       {{sql: "users.username", join: joinMember}},
	})
	return l
}

// visiblePermissions is the filter by a visibility: the same as directory.Permission.VisibleTo. Each alternative is a
// query of its own with an index of its own: for an OR of them SQLite reads all memberships.
func (tx *Tx) visiblePermissions(v directory.PermissionVisibility) filter {
	own := clause.Expr{SQL: "memberships.user_uuid = ?", Vars: []any{v.User}}
	var union clause.Expr
	for i, alternative := range append([]clause.Expr{own}, tx.within(v.ScopeSet, "memberships.scope_uuid", "")...) {
		if i > 0 {
			union.SQL += " UNION ALL "
		}
		union.SQL += "SELECT memberships.uuid FROM memberships WHERE memberships.revoked IS NULL AND " + alternative.SQL
		union.Vars = append(union.Vars, alternative.Vars...)
	}
	return where("memberships.uuid IN ("+union.SQL+")", union.Vars...)
}
