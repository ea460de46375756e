package store

import (
	"slices"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// filter narrows a query: a GORM scope.
type filter = func(*gorm.DB) *gorm.DB

// where is a filter by a condition.
func where(condition string, args ...any) filter {
	return func(db *gorm.DB) *gorm.DB { return db.Where(condition, args...) }
}

// all is no filter.
func all(db *gorm.DB) *gorm.DB { return db }

// anyOf is a filter by alternatives; without alternatives it lets nothing through.
func anyOf(alternatives ...clause.Expr) filter {
	either := oneOf(alternatives...)
	return where(either.SQL, either.Vars...)
}

// oneOf is the condition that one of some alternatives holds; without alternatives it never does.
func oneOf(alternatives ...clause.Expr) clause.Expr {
	if len(alternatives) == 0 {
		return clause.Expr{SQL: "1 = 0"}
	}
	var either clause.Expr
	for i, each := range alternatives {
		if i > 0 {
			either.SQL += " OR "
		}
		either.SQL += "(" + each.SQL + ")"
		either.Vars = append(either.Vars, each.Vars...)
	}
	either.SQL = "(" + either.SQL + ")"
	return either
}

// both is the condition that two conditions hold.
func both(one, other clause.Expr) clause.Expr {
	return clause.Expr{SQL: "(" + one.SQL + ") AND (" + other.SQL + ")", Vars: slices.Concat(one.Vars, other.Vars)}
}

// equal is a filter by the text of a column; an empty text filters nothing.
func equal(column, value string) filter {
	if value == "" {
		return all
	}
	return where(column+" = ?", value)
}

// equalUUID is a filter by the UUID of a column; nil filters nothing.
func equalUUID(column string, id *uuid.UUID) filter {
	if id == nil {
		return all
	}
	return where(column+" = ?", *id)
}

// equalAny is a filter by the texts that a column may have; none filters nothing.
func equalAny(column string, values []string) filter {
	if len(values) == 0 {
		return all
	}
	return where(column+" IN ?", values)
}

// equalBool is a filter by the value of a column; nil filters nothing.
func equalBool(column string, value *bool) filter {
	if value == nil {
		return all
	}
	return where(column+" = ?", *value)
}

// hasNameOrUUID is a filter of roles by what each value is: the name of a role, or its UUID.
func hasNameOrUUID(values []string) filter {
	var ids []uuid.UUID
	for _, value := range values {
		if id, ok := directory.ParseUUID(value); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return equalAny("roles.name", values)
	}
	return where("roles.name IN ? OR roles.uuid IN ?", values, ids)
}

// during is a filter by the time of a column.
func during(column string, p directory.Period) filter {
	return func(db *gorm.DB) *gorm.DB {
		if p.From != nil {
			db = db.Where(column+" >= ?", p.From.UTC())
		}
		if p.To != nil {
			db = db.Where(column+" <= ?", p.To.UTC())
		}
		return db
	}
}

// contains is a filter by a substring, case-insensitive, of any of some columns of folded text; an empty text filters
// nothing.
func contains(value string, columns ...string) filter {
	if value == "" {
		return all
	}
	return anyOf(containing(directory.Fold(value), columns...)...)
}

// containing returns, for each of some columns, the condition that the column contains a text.
func containing(text string, columns ...string) []clause.Expr {
	conditions := make([]clause.Expr, len(columns))
	for i, column := range columns {
		conditions[i] = clause.Expr{SQL: column + ` LIKE ? ESCAPE '\'`, Vars: []any{"%" + literal.Replace(text) + "%"}}
	}
	return conditions
}

// containsEmail is a filter by a substring of an address or of any of some columns of folded text, case-insensitive. The
// address is in a table's column email_folded. The labels of an internationalized domain are found in either form; a part of a
// label in ASCII form is not found. An empty text filters nothing.
func containsEmail(value, table string, columns ...string) filter {
	if value == "" {
		return all
	}
	return anyOf(append(containing(directory.Fold(value), columns...),
		containing(directory.FoldEmailPart(value), table+".email_folded")...)...)
}

// literal makes every character of a text stand for itself in a LIKE pattern with the escape character \.
var literal = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// in is a filter by a reference to a row of another table that passes filters.
func (tx *Tx) in(column, table string, filters ...filter) filter {
	return func(db *gorm.DB) *gorm.DB {
		return db.Where(column+" IN (?)", tx.db.Table(table).Select("uuid").Scopes(filters...))
	}
}

// isActive is the condition, with the present time as its argument, that a membership is active. The row of a
// membership whose own time is over need not say that it is revoked.
const isActive = "memberships.revoked IS NULL AND (memberships.expires IS NULL OR memberships.expires > ?)"

// notRemoved is the condition that neither a scope nor its customer was removed. Few scopes are: to look at the
// customer of each scope takes several times as long.
const notRemoved = "NOT scopes.is_removed AND scopes.customer_uuid NOT IN" +
	" (SELECT removed.uuid FROM scopes AS removed WHERE removed.is_removed)"

// removedScopes is the query for the UUIDs of the scopes that are not notRemoved.
const removedScopes = "SELECT removed.uuid FROM scopes AS removed WHERE removed.is_removed UNION ALL" +
	" SELECT parts.uuid FROM scopes AS removed JOIN scopes AS parts ON parts.customer_uuid = removed.uuid WHERE removed.is_removed"

// within returns the alternatives of which a row in a scope set fulfils one: the same as directory.ScopeSet.Has. The
// columns hold the UUID of the row's scope and of the scope's customer; customer is empty where only another table has
// it, and then a list of scopes is compared, for which the index on scope will do.
func (tx *Tx) within(set directory.ScopeSet, scope, customer string) []clause.Expr {
	var alternatives []clause.Expr
	if len(set.Scopes) > 0 {
		alternatives = append(alternatives, tx.engine.In(scope, set.Scopes))
	}
	scopesOf := func(customers []uuid.UUID, condition string, args ...any) clause.Expr {
		in := tx.engine.In("within.customer_uuid", customers)
		return clause.Expr{
			SQL:  scope + " IN (SELECT within.uuid FROM scopes AS within WHERE " + condition + in.SQL + ")",
			Vars: append(args, in.Vars...),
		}
	}
	if len(set.Customers) > 0 && customer != "" {
		alternatives = append(alternatives, tx.engine.In(customer, set.Customers))
	} else if len(set.Customers) > 0 {
		alternatives = append(alternatives, scopesOf(set.Customers, ""))
	}
	for _, kind := range directory.ScopeTypes {
		if customers := set.OfType[kind]; len(customers) > 0 {
			alternatives = append(alternatives, scopesOf(customers, "within.type = ? AND ", kind))
		}
	}
	return alternatives
}
