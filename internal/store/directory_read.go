package store

import (
	"slices"

	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// scopeColumns are the columns of a scope that are shown, with its customer's. E-mail patterns, of which there can be a
// megabyte, are not among them.
const (
	scopeColumns = "scopes.uuid, scopes.type, scopes.name, scopes.slug, scopes.description, scopes.start_date, scopes.created," +
		" customers.uuid, customers.type, customers.name"
	joinScopeCustomer = " JOIN scopes AS customers ON customers.uuid = scopes.customer_uuid"
)

// scopeTargets returns where scopeColumns are scanned into.
func scopeTargets(scope, customer *directory.Scope) []any {
	return []any{
		&scope.UUID, &scope.Type, &scope.Name, &scope.Slug, &scope.Description, &scope.StartDate, &scope.Created,
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

// scopeListColumns are scopeColumns, the e-mail patterns and the counts. The counts of the rows on a page are a part of the
// page's one statement.
func (tx *Tx) scopeListColumns(q directory.ScopeQuery) clause.Expr {
	columns := clause.Expr{SQL: scopeColumns + ", NULL"}
	if q.WithPatterns {
		columns.SQL = scopeColumns + ", scopes.user_email_patterns"
	}
	d := q.Counts
	if d == nil || q.Type != directory.Customer {
		columns.SQL += ", 0, 0"
		return columns
	}
	projects := clause.Expr{SQL: "parts.customer_uuid = scopes.uuid AND parts.type = 'project' AND NOT parts.is_removed"}
	if !d.Scopes.All {
		projects = both(projects, oneOf(tx.within(d.Scopes, "parts.uuid", "parts.customer_uuid")...))
	}
	users := both(clause.Expr{SQL: "parts.customer_uuid = scopes.uuid AND NOT parts.is_removed"},
		clause.Expr{SQL: isActive, Vars: []any{tx.now}})
	if !d.Permissions.All { // as visiblePermissions, with the scope at hand
		own := clause.Expr{SQL: "memberships.user_uuid = ?", Vars: []any{d.Permissions.User}}
		managed := tx.within(d.Permissions.ScopeSet, "parts.uuid", "parts.customer_uuid")
		users = both(users, oneOf(append(managed, own)...))
	}
	columns.SQL += ", (SELECT count(*) FROM scopes AS parts WHERE " + projects.SQL + ")" +
		", (SELECT count(DISTINCT memberships.user_uuid) FROM scopes AS parts" +
		" JOIN memberships ON memberships.scope_uuid = parts.uuid WHERE " + users.SQL + ")"
	columns.Vars = append(projects.Vars, users.Vars...)
	return columns
}

// FindScope implements directory.ReadTx.
func (tx *Tx) FindScope(kind directory.ScopeType, id uuid.UUID) (directory.Scope, error) {
	return collectOne(tx.db.Table("scopes").Select(scopeColumns).Joins(joinScopeCustomer).
		Where("scopes.type = ? AND scopes.uuid = ?", kind, id).Where(notRemoved),
		func(scan scanFunc) (directory.Scope, error) {
			var scope, customer directory.Scope
			err := scan(scopeTargets(&scope, &customer)...)
			return withCustomer(scope, customer), err
		})
}

// ListScopes implements directory.ReadTx.
func (tx *Tx) ListScopes(q directory.ScopeQuery) (rows []directory.Scope, total int, err error) {
	rows, err = collect(tx.scopeList(q).page(tx, q.Window), func(scan scanFunc) (directory.Scope, error) {
		var scope, customer directory.Scope
		err := scan(append(scopeTargets(&scope, &customer),
			jsonStrings{&scope.UserEmailPatterns}, &scope.ProjectsCount, &scope.UsersCount, &total)...)
		return withCustomer(scope, customer), err
	})
	return rows, total, err
}

// CountScopes implements directory.ReadTx.
func (tx *Tx) CountScopes(q directory.ScopeQuery) (int, error) { return tx.scopeList(q).count(tx) }

func (tx *Tx) scopeList(q directory.ScopeQuery) listing {
	l := listing{table: "scopes", columns: tx.scopeListColumns(q), joins: joinScopeCustomer}
	l.filters = []filter{
		where("scopes.type = ?", q.Type),
		where(notRemoved),
		equalUUID("scopes.uuid", q.UUID),
		equalBool("scopes.is_removed", q.Removed),
		equal("scopes.name", q.NameExact),
		equal("scopes.slug", q.Slug),
		contains(q.Name, "scopes.name_folded"),
		contains(q.Description, "scopes.description_folded"),
		contains(q.Any, "scopes.name_folded", "scopes.description_folded", "CAST(scopes.uuid AS text)"),
		equalUUID("scopes.customer_uuid", q.Customer),
		during("scopes.created", q.Created),
		during("COALESCE(scopes.modified, scopes.created)", q.Modified),
	}
	for _, set := range append(slices.Clone(q.Within), q.Visible) {
		if !set.All {
			l.filters = append(l.filters, anyOf(tx.within(set, "scopes.uuid", "scopes.customer_uuid")...))
		}
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
	rows, err = collect(tx.roleList(q).page(tx, q.Window), func(scan scanFunc) (r directory.Role, err error) {
		err = scan(&r.UUID, &r.Name, &r.Description, &r.ScopeType, jsonStrings{&r.Permissions}, &r.IsActive, &r.UsersCount, &total)
		return r, err
	})
	return rows, total, err
}

// CountRoles implements directory.ReadTx.
func (tx *Tx) CountRoles(q directory.RoleQuery) (int, error) { return tx.roleList(q).count(tx) }

func (tx *Tx) roleList(q directory.RoleQuery) listing {
	users := clause.Expr{
		SQL: "(SELECT count(DISTINCT memberships.user_uuid) FROM memberships WHERE memberships.role_uuid = roles.uuid AND " +
			isActive + " AND memberships.scope_uuid NOT IN (" + removedScopes + "))",
		Vars: []any{tx.now},
	}
	shown := clause.Expr{SQL: "NULL"}
	if q.CountUsers {
		shown = users
	}
	l := listing{
		table: "roles",
		columns: clause.Expr{
			SQL:  "roles.uuid, roles.name, roles.description, roles.scope_type, roles.permissions, roles.is_active, " + shown.SQL,
			Vars: shown.Vars,
		},
		filters: []filter{
			equalUUID("roles.uuid", q.UUID),
			contains(q.Name, "roles.name_folded"),
			contains(q.Description, "roles.description_folded"),
			contains(q.Any, "roles.name_folded", "roles.description_folded"),
			equalAny("roles.scope_type", q.ScopeTypes),
			equalBool("roles.is_active", q.Active),
		},
	}
	l.order = ordering(q.Order, directory.Order{By: directory.ByName}, map[directory.OrderBy][]key{
		directory.ByIsActive:   by("roles.is_active"),
		directory.ByName:       by("roles.name"),
		directory.ByScopeType:  by("roles.scope_type"),
		directory.ByUsersCount: by(users.SQL, users.Vars...),
	})
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
			&p.UUID, &p.Created, &p.Expires,
			&p.User.UUID, &p.User.Username, &p.User.FullName, &p.User.Email, &p.User.Image,
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
		columns: clause.Expr{SQL: "memberships.uuid, memberships.created, memberships.expires," +
			" users.uuid, users.username, users.full_name, users.email, users.image, roles.uuid, roles.name, roles.description," +
			" creators.uuid, COALESCE(creators.username, ''), COALESCE(creators.full_name, ''), " + scopeColumns},
		joins: joinMember + joinMembershipRole + " JOIN scopes ON scopes.uuid = memberships.scope_uuid" + joinScopeCustomer +
			" LEFT JOIN users AS creators ON creators.uuid = memberships.created_by_uuid",
		filters: []filter{
			where(isActive, tx.now),
			equalBool("(memberships.revoked IS NULL)", q.Active), // true of every row that isActive lets through
			equalUUID("memberships.user_uuid", q.User),
			equalUUID("memberships.role_uuid", q.Role),
			equalUUID("memberships.scope_uuid", q.Scope),
			during("memberships.created", q.Created),
			during("COALESCE(memberships.modified, memberships.created)", q.Modified),
			tx.in("memberships.scope_uuid", "scopes", where(notRemoved), equal("scopes.type", q.ScopeType),
				contains(q.ScopeName, "scopes.name_folded"), equalUUID("scopes.customer_uuid", q.Customer)),
		},
	}
	if !q.Visible.All {
		visible := tx.visiblePermissions(q.Visible)
		l.filters = append(l.filters, where(visible.SQL, visible.Vars...))
	}
	if q.Username != "" || q.FullName != "" || q.AnyUser != "" {
		l.filters = append(l.filters, tx.in("memberships.user_uuid", "users",
			equal("users.username", q.Username), contains(q.FullName, "users.full_name_folded"),
			containsEmail(q.AnyUser, "users", "users.full_name_folded", "lower(users.username)")))
	}
	if len(q.Roles) > 0 {
		l.filters = append(l.filters, tx.in("memberships.role_uuid", "roles", hasNameOrUUID(q.Roles)))
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

// GrantsOf implements directory.ReadTx.
func (tx *Tx) GrantsOf(user uuid.UUID, visible directory.PermissionVisibility) ([]directory.Grant, error) {
	query := tx.db.Table("memberships").Select("scopes.uuid, scopes.type, scopes.customer_uuid, roles.uuid, roles.name").
		Joins("JOIN scopes ON scopes.uuid = memberships.scope_uuid").
		Joins(joinMembershipRole).
		Where("memberships.user_uuid = ?", user).Where(isActive, tx.now).Where(notRemoved)
	if !visible.All {
		condition := tx.visiblePermissions(visible)
		query = query.Where(condition.SQL, condition.Vars...)
	}
	return collect(query, func(scan scanFunc) (g directory.Grant, err error) {
		return g, scan(&g.ScopeUUID, &g.ScopeType, &g.CustomerUUID, &g.RoleUUID, &g.RoleName)
	})
}

// visiblePermissions is the condition of a visibility: the same as directory.Permission.VisibleTo. Each alternative is a
// query of its own with an index of its own: for an OR of them SQLite reads all memberships.
func (tx *Tx) visiblePermissions(v directory.PermissionVisibility) clause.Expr {
	own := clause.Expr{SQL: "memberships.user_uuid = ?", Vars: []any{v.User}}
	var union clause.Expr
	for i, alternative := range append([]clause.Expr{own}, tx.within(v.ScopeSet, "memberships.scope_uuid", "")...) {
		if i > 0 {
			union.SQL += " UNION ALL "
		}
		union.SQL += "SELECT memberships.uuid FROM memberships WHERE memberships.revoked IS NULL AND " + alternative.SQL
		union.Vars = append(union.Vars, alternative.Vars...)
	}
	union.SQL = "memberships.uuid IN (" + union.SQL + ")"
	return union
}
