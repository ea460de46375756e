package store

import (
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
)

// listing is a list from which pages are read.
type listing struct {
	table   string      // has a column uuid
	columns clause.Expr // of the rows on a page, from the table and the joins
	joins   string      // the tables that columns names
	filters []filter
	order   []key
	parts   []clause.Expr // that exclude each other; none: the list is not read in parts. See inParts
	// isKeyset breaks ties in the direction of the order's one key, which has no arguments, so that key and UUID are one order.
	// behind is the key (twice) and the UUID of the row behind which windows begin; none: they begin with the first row.
	isKeyset bool
	behind   []any
}

// key is an expression that a list is ordered by.
type key struct {
	sql        string
	args       []any
	join       string // a table that the expression names; empty: only the list's own table
	descending bool
}

// ordering returns the keys of an order. An order key may stand for several expressions, of which the last one can be
// descending.
func ordering(asked []directory.Order, otherwise directory.Order, keys map[directory.OrderBy][]key) []key {
	if len(asked) == 0 {
		asked = []directory.Order{otherwise}
	}
	var order []key
	for _, each := range asked {
		order = append(order, keys[each.By]...)
		order[len(order)-1].descending = each.Descending
	}
	return order
}

// by is the key of one expression.
func by(sql string, args ...any) []key { return []key{{sql: sql, args: args}} }

// page is the query for the rows of a window and, in a column after l.columns, the number of rows on all pages. A
// window without rows has no number.
//
// This is SQL text, because GORM has no WITH: one statement sees the page and the count as of one moment. The rows of
// the list are found once, then counted and ordered, and only the rows of the page are joined: joined first, a page of
// 10 out of 10,000 takes 5.5 times as long. MATERIALIZED keeps PostgreSQL from reading all rows in the order asked for,
// in the hope of finding 10 soon: all of them have to be counted. The limit is text, because a plan for any limit is a
// plan for a large one; the offset is an argument, because each page would be a statement with a plan of its own.
func (l listing) page(tx *Tx, w directory.Window) *gorm.DB {
	if len(l.parts) > 0 {
		return l.pageOfParts(tx, w, l.countOfParts(tx))
	}
	behind := ""
	if l.behind != nil {
		behind = " WHERE " + l.isBehind("key0", "found")
	}
	page := fmt.Sprintf("SELECT * FROM hits%s%s LIMIT %d OFFSET ?", behind, l.orderBy("found"), w.Limit)
	args := slices.Concat([]any{l.hits(tx)}, l.columns.Vars, l.behind, []any{w.Offset})
	return tx.db.Raw("WITH hits AS MATERIALIZED (?) "+l.fill(page, "(SELECT count(*) FROM hits)"), args...)
}

// pageWithCount is page where another query knows the count, so that no rows after the window are read. The offset is
// text here: a plan for any offset sorts all rows to find the first page.
func (l listing) pageWithCount(tx *Tx, w directory.Window, count clause.Expr) *gorm.DB {
	if len(l.parts) > 0 {
		return l.pageOfParts(tx, w, count)
	}
	page := fmt.Sprintf("?%s LIMIT %d OFFSET %d", l.orderBy("found"), w.Limit, w.Offset)
	return tx.db.Raw(l.fill(page, "?"), append(slices.Clone(l.columns.Vars), count, l.hitsBehind(tx))...)
}

// hitsBehind is hits without the rows before a window.
func (l listing) hitsBehind(tx *Tx) *gorm.DB {
	if l.behind == nil {
		return l.hits(tx)
	}
	return l.hits(tx).Where(l.isBehind(l.order[0].sql, l.table+".uuid"), l.behind...)
}

// hits is the query for the UUIDs (found) and the order keys (key0, key1, …) of all rows of the list.
func (l listing) hits(tx *Tx) *gorm.DB {
	columns, args := l.table+".uuid AS found", []any(nil)
	query := tx.db.Table(l.table)
	joined := map[string]bool{"": true}
	for i, each := range l.order {
		columns += fmt.Sprintf(", %s AS key%d", each.sql, i)
		args = append(args, each.args...)
		if !joined[each.join] {
			joined[each.join] = true
			query = query.Joins(each.join)
		}
	}
	return query.Select(columns, args...).Scopes(l.filters...)
}

// fill is the text of the query that joins what is shown to the rows of a page.
func (l listing) fill(page, count string) string {
	return fmt.Sprintf("SELECT %s, %s FROM (%s) AS page JOIN %s ON %s.uuid = page.found %s%s",
		l.columns.SQL, count, page, l.table, l.table, l.joins, l.orderBy("page.found"))
}

// orderBy is the text of the order, with ties broken by a column.
func (l listing) orderBy(tie string) string {
	var text strings.Builder
	text.WriteString(" ORDER BY ")
	for i, each := range l.order {
		fmt.Fprintf(&text, "key%d", i)
		if each.descending {
			text.WriteString(" DESC")
		}
		text.WriteString(", ")
	}
	if l.isKeyset && l.order[0].descending {
		tie += " DESC"
	}
	return text.String() + tie
}

// isBehind is the condition that a row, whose order key and UUID are two expressions, comes behind the row of l.behind. SQLite
// finds a place in an index of expressions by the first comparison alone.
func (l listing) isBehind(key, id string) string {
	than := ">"
	if l.order[0].descending {
		than = "<"
	}
	return fmt.Sprintf("%s %s= ? AND (%s, %s) %s (?, ?)", key, than, key, id, than)
}

// count returns the number of rows on all pages.
func (l listing) count(tx *Tx) (int, error) {
	var count int64
	if len(l.parts) > 0 {
		sum := l.countOfParts(tx)
		err := tx.db.Raw("SELECT "+sum.SQL, sum.Vars...).Row().Scan(&count)
		return int(count), err
	}
	err := tx.db.Table(l.table).Scopes(l.filters...).Count(&count).Error
	return int(count), err
}
