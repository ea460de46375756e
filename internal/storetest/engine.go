package storetest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to make databases with
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/store"
	"invited/migrations"
)

// PostgresURL names the variable with the URL of a PostgreSQL server where tests may make databases.
const PostgresURL = "INVITED_TEST_POSTGRES_URL"

// Engine is one of the two databases.
type Engine struct {
	Name string
	// Fresh makes a migrated database that goes when the test does, and returns its URL, as in
	// INVITED_DATABASE_URL.
	Fresh func(t testing.TB) string
	// Empty is Fresh without the migrations.
	Empty func(t testing.TB) string
}

// Engines are both of them.
var Engines = []Engine{
	{Name: "sqlite", Fresh: freshSQLite, Empty: emptySQLite},
	{Name: "postgres", Fresh: freshPostgres, Empty: emptyPostgres},
}

// Each runs a test on both engines, at once. It fails where there is no PostgreSQL: no test passes on one engine
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

// Open opens a fresh database for the length of the test. Its time is what clock says; nil: its own.
func (e Engine) Open(t *testing.T, clock func() time.Time) *store.Store {
	t.Helper()
	return Open(t, e.Fresh(t), clock)
}

// Open opens the database of a URL for the length of the test.
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

// Clock is a clock that stands still until it is moved. It is safe for use by any number of goroutines.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at a moment.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now is what the clock says.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func emptySQLite(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "invited.db")
}

// sqliteTemplate is a migrated database, made once: copying it is faster than migrating anew.
var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "invited-template-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.db")
	if err := migrate(database.Options{SQLite: path}); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func freshSQLite(t testing.TB) string {
	t.Helper()
	template, err := sqliteTemplate()
	require.NoError(t, err)
	address := emptySQLite(t)
	require.NoError(t, os.WriteFile(strings.TrimPrefix(address, "sqlite://"), template, 0o600))
	return address
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

// server is the PostgreSQL server of the tests, and the URL of its databases.
var server = sync.OnceValues(func() (*sql.DB, error) {
	address := os.Getenv(PostgresURL)
	if address == "" {
		return nil, fmt.Errorf("%s is not set, and no test passes without PostgreSQL: run `make test`, which brings one",
			PostgresURL)
	}
	db, err := sql.Open("pgx", address)
	if err == nil {
		db.SetMaxOpenConns(4)
	}
	return db, err
})

func databaseURL(name string) (string, error) {
	address, err := url.Parse(os.Getenv(PostgresURL))
	if err != nil {
		return "", fmt.Errorf("%s is no URL", PostgresURL)
	}
	address.Path = "/" + name
	return address.String(), nil
}

// postgresTemplate is the name of a migrated database to copy. It is kept, named for what is in it, so that every
// test program of a run, and of the next, finds it.
var postgresTemplate = sync.OnceValues(func() (string, error) {
	admin, err := server()
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	name := "invited_template_" + fingerprint()
	conn, err := admin.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	// Held until the connection is closed: test programs run side by side.
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return "", err
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock(hashtext($1))", name) }()
	var there bool
	err = conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there)
	if err != nil || there {
		return name, err
	}
	making := name + "_new"
	for _, each := range []string{"DROP DATABASE IF EXISTS " + making, "CREATE DATABASE " + making} {
		if _, err := conn.ExecContext(ctx, each); err != nil {
			return "", err
		}
	}
	address, err := databaseURL(making)
	if err != nil {
		return "", err
	}
	if err := migrate(database.Options{Postgres: address}); err != nil {
		return "", err
	}
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+making+" RENAME TO "+name)
	return name, err
})

// fingerprint tells schemas apart.
func fingerprint() string {
	sum := sha256.New()
	_ = fs.WalkDir(migrations.Postgres, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := migrations.Postgres.ReadFile(path)
		sum.Write(content)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

func freshPostgres(t testing.TB) string {
	t.Helper()
	template, err := postgresTemplate()
	require.NoError(t, err)
	return createDatabase(t, " TEMPLATE "+template)
}

func emptyPostgres(t testing.TB) string {
	t.Helper()
	return createDatabase(t, "")
}

func createDatabase(t testing.TB, how string) string {
	t.Helper()
	admin, err := server()
	require.NoError(t, err)
	name := fmt.Sprintf("invited_test_%d_%d", os.Getpid(), time.Now().UnixNano())
	_, err = admin.ExecContext(t.Context(), "CREATE DATABASE "+name+how)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		require.NoError(t, err)
	})
	address, err := databaseURL(name)
	require.NoError(t, err)
	return address
}
