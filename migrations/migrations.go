// Package migrations holds the schema as numbered steps, one folder for each engine: the same numbers and the
// same schema on both. A step that was released is never changed; the next change is the next number. Numbers 2 (the
// job queue's own schema), 6 (folded names), 20 (slugs) and 22 (folded addresses) are written in Go, in package store.
package migrations

import "embed"

// Postgres holds postgres/*.sql.
//
//go:embed postgres/*.sql
var Postgres embed.FS

// SQLite holds sqlite/*.sql.
//
//go:embed sqlite/*.sql
var SQLite embed.FS
