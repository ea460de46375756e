package store

import "github.com/pressly/goose/v3"

// FoldNames is the migration of that name. No database of a test is old enough to need it.
var FoldNames = foldNames

// FoldAddresses is the migration of that name.
var FoldAddresses = foldAddresses

// GoMigrations returns the steps in Go, for a test that applies some of the steps only.
func (s *Store) GoMigrations() (all []*goose.Migration) {
	for _, each := range s.goMigrations() {
		all = append(all, each.Migration)
	}
	return all
}

// PersonColumns returns the columns that are classified by what they keep of a person, as TABLE.COLUMN.
func PersonColumns() (columns []string) {
	for _, t := range personTables {
		for name := range t.columns {
			columns = append(columns, t.name+"."+name)
		}
	}
	return columns
}
