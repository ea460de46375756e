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
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that creates databases
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/store"
	"invited/migrations"
)

// PostgresURL is the name of the environment variable with the URL of a PostgreSQL server where tests may create databases.
const PostgresURL = "INVITED_TEST_POSTGRES_URL"

func freshPostgres(t testing.TB) string {
	t.Helper()
	template, err := postgresTemplate()
	require.NoError(t, err)
	return createDatabase(t, template)
}

func emptyPostgres(t testing.TB) string {
	t.Helper()
	return createDatabase(t, "template1")
}

func createDatabase(t testing.TB, template string) string {
	t.Helper()
	admin, err := adminPool()
	require.NoError(t, err)
	strategy, err := copyStrategy()
	require.NoError(t, err)
	name := fmt.Sprintf("invited_test_%d_%d", os.Getpid(), time.Now().UnixNano())
	_, err = admin.ExecContext(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template+strategy)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		require.NoError(t, err)
	})
	address, err := databaseURL(name)
	require.NoError(t, err)
	return address
}

// copyStrategy returns the clause of CREATE DATABASE for how a template is copied. PostgreSQL 15 and newer write each page of
// the copy into the log by default, which takes 1.4 to 3 times the processor time of copying the files (64 to 277 ms against
// 46 to 93 ms, on a busy machine with two processors). Older versions have no clause, and only copy files.
var copyStrategy = sync.OnceValues(func() (string, error) {
	admin, err := adminPool()
	if err != nil {
		return "", err
	}
	var version int
	err = admin.QueryRowContext(context.Background(), "SELECT current_setting('server_version_num')::int").Scan(&version)
	if err != nil || version < 150_000 {
		return "", err
	}
	return " STRATEGY FILE_COPY", nil
})

// adminPool returns connections to the PostgreSQL server of the tests.
var adminPool = sync.OnceValues(func() (*sql.DB, error) {
	address := os.Getenv(PostgresURL)
	if address == "" {
		return nil, fmt.Errorf("%s is not set, and no test passes without PostgreSQL: run `make test`, which starts a server",
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
		return "", fmt.Errorf("%s is not a URL", PostgresURL)
	}
	address.Path = "/" + name
	return address.String(), nil
}

// postgresTemplate returns the name of a migrated database to copy. The name has a hash of the migrations, and the database
// stays on the server: all test programs of a run, and of later runs on the same server, use one template.
var postgresTemplate = sync.OnceValues(func() (string, error) {
	admin, err := adminPool()
	if err != nil {
		return "", err
	}
	hash, err := migrationsHash()
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	name := "invited_template_" + hash
	conn, err := admin.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	// Test programs run in parallel: one creates the template, and the others wait.
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return "", err
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock(hashtext($1))", name) }()
	var exists bool
	err = conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	if err != nil || exists {
		return name, err
	}
	unfinished := name + "_new" // a run that was interrupted leaves no half-migrated template
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + unfinished, "CREATE DATABASE " + unfinished} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return "", err
		}
	}
	address, err := databaseURL(unfinished)
	if err != nil {
		return "", err
	}
	if err := migrate(database.Options{Postgres: address}); err != nil {
		return "", err
	}
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name)
	return name, err
})

// migrationsHash returns 12 hexadecimal digits that differ where the migrations differ.
func migrationsHash() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(migrations.Postgres, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := migrations.Postgres.ReadFile(path)
		sum.Write(content)
		return err
	})
	for _, step := range store.GoSteps() {
		sum.Write([]byte(step))
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], err
}
