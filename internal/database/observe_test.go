package database

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

func TestStatementsAreNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		`SELECT * FROM "invitations" WHERE uuid = $1`:                                   {"select", "invitations"},
		"INSERT INTO `river_job` (`args`) VALUES (?)":                                   {"insert", "river_job"},
		`UPDATE "invitations" SET "state"=$1`:                                           {"update", "invitations"},
		`delete from sessions where digest = ?`:                                         {"delete", "sessions"},
		"WITH due AS (SELECT uuid FROM invitations) SELECT * FROM due":                  {"with", "invitations"},
		"-- name: JobGetAvailable :many\nWITH locked AS (\nSELECT *\nFROM\n  river_job": {"with", "river_job"},
		"-- only a comment":      {"other", ""},
		"begin":                  {"begin", ""},
		"commit":                 {"commit", ""},
		"SAVEPOINT unit_of_work": {"savepoint", ""},
		"RELEASE SAVEPOINT unit": {"savepoint", ""},
		"SET jit = off":          {"other", ""},
		"":                       {"other", ""},
	} {
		require.Equal(t, want, [2]string{operationOf(text), Statement{text: text}.Table()}, text)
	}
}

// BenchmarkObserve measures what an observer costs a statement on SQLite.
func BenchmarkObserve(b *testing.B) {
	for name, observe := range map[string]func(context.Context, Statement){
		"nobody": nil, "somebody": func(context.Context, Statement) {},
	} {
		b.Run(name, func(b *testing.B) {
			db, err := Open(Options{SQLite: filepath.Join(b.TempDir(), "bench.db"), Observe: observe})
			require.NoError(b, err)
			b.Cleanup(func() { _ = db.Close() })
			b.ReportAllocs()
			for b.Loop() {
				err := db.Read(b.Context(), func(tx *gorm.DB, _ time.Time) error {
					var found int
					return tx.Raw("SELECT count(*) FROM sqlite_master WHERE name = ?", "none").Row().Scan(&found)
				})
				require.NoError(b, err)
			}
		})
	}
}
