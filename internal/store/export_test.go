package store

// FoldNames is the migration of that name. No database of a test is old enough to need it.
var FoldNames = foldNames
