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

// within asks for scopes of a reach, the same as directory.Reach.Has: columns have the uuid of the scope and, where that
// is not empty, of its customer.
func (tx *Tx) within(c *conditions, r directory.Reach, scope, customer string) {
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

// page is a query for a part of the list, and for the number that the query total finds after the columns; where there is
// no row there is no number. It is one statement, so that both are of one moment; and what the page says of a row beside
// the row itself is looked up for the page alone.
func (l listing) page(cut directory.Cut, total string, counted []any) (string, []any) {
	where, order := l.shown.where(), strings.Join(append(slices.Clone(l.order.keys), l.table+".uuid"), ", ")
	// The numbers stand in the text: a plan made for any number of rows is one for many.
	page := fmt.Sprintf("SELECT %s.uuid FROM %s%s ORDER BY %s LIMIT %d OFFSET %d",
		l.table, l.from(where+order), where, order, cut.Limit, cut.Offset)
	query := "SELECT " + l.columns + ", (" + total + ") FROM (" + page + ") AS page" +
		" JOIN " + l.table + " ON " + l.table + ".uuid = page.uuid"
	for _, each := range l.joins {
		query += each.text
	}
	return query + " ORDER BY " + order, slices.Concat(counted, l.shown.arguments, l.order.arguments, l.order.arguments)
}

// ordering is what a list is ordered by, most significant first.
type ordering struct {
	keys      []string
	arguments []any
}

// key is what rows are ordered by; of several the last decides, and is the one that can descend.
type key struct {
	text      string
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
		if each.Descending {
			k.text += " DESC"
		}
		o.keys, o.arguments = append(o.keys, k.text), append(o.arguments, k.arguments...)
	}
	return o
}

// found are the rows that a query finds, each read from its columns.
func found[Row any](tx *Tx, query string, arguments []any, read func(scan func(...any) error) (Row, error)) ([]Row, error) {
	rows, err := tx.orm.Raw(query, arguments...).Rows()
	if err != nil {
		return nil, tx.db.translate(err)
	}
	defer func() { _ = rows.Close() }()
	var all []Row
	for rows.Next() {
		row, err := read(rows.Scan)
		if err != nil {
			return nil, tx.db.translate(err)
		}
		all = append(all, row)
	}
	return all, tx.db.translate(rows.Err())
}

// counted is how many rows a list has in all.
func (tx *Tx) counted(l listing) (int, error) { return tx.number(l.total(), l.shown.arguments) }

// number is the one number that a query finds.
func (tx *Tx) number(query string, arguments []any) (int, error) {
	var found int
	err := tx.orm.Raw(query, arguments...).Row().Scan(&found)
	return found, tx.db.translate(err)
}
