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
