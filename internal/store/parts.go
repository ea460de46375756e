package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// Lists of which a caller sees "these customers, or their own" are read in parts: each row is in one part, and an index has
// each part in the order of the list. Of an OR, PostgreSQL and SQLite find all rows before they sort: a page of 10 out of
// 100,000 permission requests then takes 60 times as long. Where the planner of PostgreSQL expects the OR to hold often, the
// caller who sees nothing waits as long.

// maxParts is the number of parts of the longest statement. A list of more parts is read as one.
const maxParts = 16

// inParts makes a listing one of the rows that pass one of some alternatives and one of some other ones. The alternatives
// exclude each other, and so do the other ones.
func (l listing) inParts(alternatives, others []clause.Expr) listing {
	if n := len(alternatives) * len(others); n == 0 || n > maxParts {
		l.filters = append(l.filters, anyOf(alternatives...), anyOf(others...))
		return l
	}
	for _, one := range alternatives {
		for _, other := range others {
			l.parts = append(l.parts, both(one, other))
		}
	}
	return l
}

// always is the alternative that has all rows.
var always = clause.Expr{SQL: "1 = 1"}

// pageOfParts is page for a listing in parts. The rows of the window are among the first of each part. All windows of a size are
// one statement, as in page: an index has each part in order, so that a plan for any offset reads no more than it has to.
func (l listing) pageOfParts(tx *Tx, w directory.Window, count clause.Expr) *gorm.DB {
	first := make([]string, len(l.parts))
	var args []any
	for i, part := range l.parts {
		first[i] = fmt.Sprintf("SELECT * FROM (?%s LIMIT ?) AS part%d", l.orderBy("found"), i)
		args = append(args, l.hitsBehind(tx).Where(part), w.Offset+w.Limit)
	}
	page := fmt.Sprintf("SELECT * FROM (%s) AS parts%s LIMIT %d OFFSET ?",
		strings.Join(first, " UNION ALL "), l.orderBy("found"), w.Limit)
	return tx.db.Raw(l.fill(page, count.SQL), slices.Concat(l.columns.Vars, count.Vars, args, []any{w.Offset})...)
}

// countOfParts is the expression for the number of rows of a listing in parts.
func (l listing) countOfParts(tx *Tx) clause.Expr {
	var sum clause.Expr
	for i, part := range l.parts {
		if i > 0 {
			sum.SQL += " + "
		}
		sum.SQL += "(?)"
		sum.Vars = append(sum.Vars, tx.db.Table(l.table).Select("count(*)").Scopes(l.filters...).Where(part))
	}
	return sum
}

// ownCustomers returns the alternatives of a list of the rows of some customers: one for each customer, and those of the other
// customers' rows that fulfil a condition.
func (tx *Tx) ownCustomers(column string, customers []uuid.UUID, otherwise clause.Expr) (alternatives []clause.Expr) {
	customers = distinct(slices.Clone(customers), func(id uuid.UUID) uuid.UUID { return id })
	for _, each := range customers {
		alternatives = append(alternatives, clause.Expr{SQL: column + " = ?", Vars: []any{each}})
	}
	if len(customers) > 0 {
		in := tx.engine.In(column, customers)
		otherwise = both(otherwise, clause.Expr{SQL: "NOT " + in.SQL, Vars: in.Vars})
	}
	return append(alternatives, otherwise)
}
