package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/store"
)

// Engine is one of the two database engines.
type Engine struct {
	Name string // sqlite or postgres
	// Fresh creates a migrated database, which is removed with the test, and returns its URL in the format of
	// INVITED_DATABASE_URL.
	Fresh func(t testing.TB) string
	// Empty is Fresh without the migrations.
	Empty func(t testing.TB) string
}

// Engines are SQLite and PostgreSQL.
var Engines = []Engine{
	{Name: "sqlite", Fresh: freshSQLite, Empty: emptySQLite},
	{Name: "postgres", Fresh: freshPostgres, Empty: emptyPostgres},
}

// Each runs a test on both engines in parallel. The test fails where there is no PostgreSQL: no test passes on one engine
// alone.
func Each(t *testing.T, test func(t *testing.T, e Engine)) {
	t.Helper()
	for _, engine := range Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			test(t, engine)
		})
	}
}

// Open opens a fresh database until the test ends. The database's time is clock's; where clock is nil, it is the engine's
// own.
func (e Engine) Open(t *testing.T, clock func() time.Time) *store.Store {
	t.Helper()
	return Open(t, e.Fresh(t), clock)
}

// Open opens the database at a URL until the test ends. The database's time is clock's; where clock is nil, it is the
// engine's own.
func Open(t *testing.T, address string, clock func() time.Time) *store.Store {
	t.Helper()
	return open(t, address, database.Options{Clock: clock})
}

func open(t *testing.T, address string, o database.Options) *store.Store {
	t.Helper()
	if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
		o.SQLite = path
	} else {
		o.Postgres = address
	}
	db, err := store.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func migrate(o database.Options) error {
	db, err := store.Open(o)
	if err != nil {
		return err
	}
	if _, err := db.Migrate(context.Background()); err != nil {
		_ = db.Close()
		return err
	}
	return db.Close()
}
