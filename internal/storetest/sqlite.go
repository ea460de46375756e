package storetest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
)

func emptySQLite(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "invited.db")
}

func freshSQLite(t testing.TB) string {
	t.Helper()
	template, err := sqliteTemplate()
	require.NoError(t, err)
	address := emptySQLite(t)
	require.NoError(t, os.WriteFile(strings.TrimPrefix(address, "sqlite://"), template, 0o600))
	return address
}

// sqliteTemplate returns the file of a migrated database. Copying the file is faster than migrating each test's database.
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
