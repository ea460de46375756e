package store

// FoldNames is the migration of that name, which no database is old enough for any more.
var FoldNames = foldNames
