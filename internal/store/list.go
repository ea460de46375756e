package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// conditions have all to hold.
type conditions struct {
	texts     []string
	arguments []any
}

func (c *conditions) and(text string, arguments ...any) {
	c.texts, c.arguments = append(c.texts, text), append(c.arguments, arguments...)
}

func (c *conditions) where() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

// either is that one of them holds; none does where there are none.
func (c *conditions) either() string {
	if len(c.texts) == 0 {
		return "1 = 0"
	}
	return "(" + strings.Join(c.texts, " OR ") + ")"
}

// equal asks for the text of a column, where there is one to ask for.
func (c *conditions) equal(column, value string) {
	if value != "" {
		c.and(column+" = ?", value)
	}
}

// is asks for the uuid of a column, where there is one to ask for.
func (c *conditions) is(column string, id *uuid.UUID) {
	if id != nil {
		c.and(column+" = ?", *id)
	}
}

// contains asks for a text in one of some columns of folded texts, case aside, where there is one to ask for.
func (c *conditions) contains(value string, columns ...string) {
	if value == "" {
		return
	}
	var any conditions
	for _, each := range columns {
		any.and(each+` LIKE ? ESCAPE '\'`, "%"+literal.Replace(directory.Fold(value))+"%")
	}
	c.and(any.either(), any.arguments...)
}

// literal makes every character of a text mean itself in a LIKE pattern with the escape character \.
var literal = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// within asks for scopes of a reach, the same as directory.ScopeSet.Has: columns have the uuid of the scope and, where that
// is not empty, of its customer.
func (tx *Tx) within(c *conditions, r directory.ScopeSet, scope, customer string) {
	if len(r.Scopes) > 0 {
		c.and(tx.db.dialect.in(scope, r.Scopes))
	}
	// of asks for the scopes of customers; by a list of scopes where the customer is in another table, so that an index
	// will do for it.
	of := func(customers []uuid.UUID, condition string, arguments ...any) {
		if len(customers) == 0 {
			return
		}
		column := customer
		if column == "" || condition != "" {
			column = "within.customer_uuid"
		}
		among, list := tx.db.dialect.in(column, customers)
		if column != customer {
			among = scope + " IN (SELECT within.uuid FROM scopes AS within WHERE " + condition + among + ")"
		}
		c.and(among, append(arguments, list)...)
	}
	of(r.Customers, "")
	for _, kind := range directory.ScopeTypes {
		of(r.OfType[kind], "within.type = ? AND ", kind)
	}
}

// join is a table that belongs to the rows of another.
type join struct{ name, text string }

// listing is a list of which a page is asked for.
type listing struct {
	table   string // whose uuid tells rows apart
	joins   []join // all that columns, conditions and order can speak of
	columns string
	shown   conditions
	order   ordering
}

// from is the table with the others that a text speaks of.
func (l listing) from(text string) string {
	tables := l.table
	for _, each := range l.joins {
		if strings.Contains(text, each.name+".") {
			tables += each.text
		}
	}
	return tables
}

// total is a query for how many rows the list has in all.
func (l listing) total() string {
	where := l.shown.where()
	return "SELECT count(*) FROM " + l.from(where) + where
}

// page is a query for a part of the list, and after the columns for how many rows the list has in all; where there is no
// row there is no number. It is one statement, so that both are of one moment; and what the page says of a row beside the
// row itself is looked up for the page alone. All that the list has is found once, and counted and ordered then.
func (l listing) page(cut directory.Window) (string, []any) {
	// Materialized, or a plan would go through all rows in the order that is asked for, in the hope of finding the first few
	// soon: but all have to be counted.
	rows, arguments := l.rows()
	return "WITH hits AS MATERIALIZED (" + rows + ") " +
		// Where it begins is an argument, or each page would be a statement of its own, and its plan kept.
		l.filled(fmt.Sprintf("SELECT * FROM hits%s LIMIT %d OFFSET ?", l.order.by("found"), cut.Limit),
			"SELECT count(*) FROM hits"), append(arguments, cut.Offset)
}

// pageOf is page where the number is known to another query, so that no more rows are looked at than up to its end. Where
// it begins stands in the text: a plan for any beginning sorts all rows for the first of them.
func (l listing) pageOf(cut directory.Window, total string, counted []any) (string, []any) {
	rows, arguments := l.rows()
	return l.filled(fmt.Sprintf("%s%s LIMIT %d OFFSET %d", rows, l.order.by("found"), cut.Limit, cut.Offset), total),
		slices.Concat(counted, arguments)
}

// rows is a query for what tells the rows of the list apart and orders them.
func (l listing) rows() (string, []any) {
	where, keys := l.shown.where(), ""
	for i, each := range l.order.keys {
		keys += fmt.Sprintf(", %s AS key%d", each, i)
	}
	return fmt.Sprintf("SELECT %s.uuid AS found%s FROM %s%s", l.table, keys, l.from(where+keys), where),
		slices.Concat(l.order.arguments, l.shown.arguments)
}

// filled is a query for what is shown of the rows of a page, in its order, and for a number. How many rows a page has stands in
// its text: a plan for any number of rows is one for many.
func (l listing) filled(page, total string) string {
	query := fmt.Sprintf("SELECT %s, (%s) FROM (%s) AS page JOIN %s ON %s.uuid = page.found", l.columns, total, page, l.table, l.table)
	for _, each := range l.joins {
		query += each.text
	}
	return query + l.order.by("page.found")
}

// ordering is what a list is ordered by, most significant first.
type ordering struct {
	keys       []string
	descending []bool // of each key
	arguments  []any
}

// by orders what rows found; last tells apart what the keys don't.
func (o ordering) by(last string) string {
	text := " ORDER BY "
	for i, descends := range o.descending {
		text += fmt.Sprintf("key%d", i)
		if descends {
			text += " DESC"
		}
		text += ", "
	}
	return text + last
}

// key is what rows are ordered by; of several texts the last decides, and is the one that can descend.
type key struct {
	texts     []string
	arguments []any
}

// ordered is the order asked for, or another where none is.
func ordered(asked []directory.Order, otherwise directory.Order, keys map[directory.OrderBy]key) ordering {
	if len(asked) == 0 {
		asked = []directory.Order{otherwise}
	}
	var o ordering
	for _, each := range asked {
		k := keys[each.By]
		o.keys, o.arguments = append(o.keys, k.texts...), append(o.arguments, k.arguments...)
		o.descending = append(o.descending, make([]bool, len(k.texts))...)
		o.descending[len(o.descending)-1] = each.Descending
	}
	return o
}

// by is a key of one text.
func by(text string, arguments ...any) key { return key{[]string{text}, arguments} }

// found are the rows that a query finds, each read from its columns.
func found[Row any](tx *Tx, query string, arguments []any, read func(scanFunc) (Row, error)) ([]Row, error) {
	var all []Row
	err := tx.query(query, arguments, func(scan scanFunc) error {
		row, err := read(scan)
		all = append(all, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// counted is how many rows a list has in all.
func (tx *Tx) counted(l listing) (int, error) { return tx.number(l.total(), l.shown.arguments) }

// number is the one number that a query finds.
func (tx *Tx) number(query string, arguments []any) (int, error) {
	var found int
	err := tx.row(query, arguments, &found)
	return found, err
}
