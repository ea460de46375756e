package database

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"
)

// openCompiledOnce returns a connection of a pool that keeps compiled statements, with a table notes of three rows.
func openCompiledOnce(t *testing.T) *sql.Conn {
	t.Helper()
	connector, err := (&sqlite.SQLite{}).OpenConnector(sqliteDSN(filepath.Join(t.TempDir(), "notes.db")))
	require.NoError(t, err)
	pool := sql.OpenDB(compiledOnce{connector})
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	_, err = conn.ExecContext(t.Context(), "CREATE TABLE notes (id integer); INSERT INTO notes VALUES (1), (2), (3)")
	require.NoError(t, err)
	return conn
}

// idle returns the number of statements that a connection keeps.
func idle(t *testing.T, conn *sql.Conn) (n int) {
	t.Helper()
	require.NoError(t, conn.Raw(func(c any) error {
		n = len(c.(*compilingConn).idle)
		return nil
	}))
	return n
}

func count(t *testing.T, conn *sql.Conn, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRowContext(t.Context(), query, args...).Scan(&n))
	return n
}

func TestStatementsAreCompiledOnce(t *testing.T) {
	t.Parallel()
	conn := openCompiledOnce(t)
	const above = "SELECT count(*) FROM notes WHERE id > ?"
	require.Equal(t, 2, count(t, conn, above, 1))
	require.Equal(t, 1, count(t, conn, above, 2), "each use has its own arguments")
	require.Equal(t, 1, idle(t, conn))

	tx, err := conn.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	for id := range 3 {
		_, err := tx.ExecContext(t.Context(), "INSERT INTO notes VALUES (?)", 10+id)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Rollback())
	require.Equal(t, 2, idle(t, conn), "a transaction leaves its statements to the next")
	require.Equal(t, 3, count(t, conn, above, 0))
}

func TestOneStatementIsUsedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	conn := openCompiledOnce(t)
	var pairs []string
	eachID(t, conn, 1, func(left int) {
		eachID(t, conn, left, func(right int) { pairs = append(pairs, fmt.Sprint(left, right)) })
	})
	require.Equal(t, []string{"1 1", "1 2", "1 3", "2 2", "2 3", "3 3"}, pairs)
	require.Equal(t, 1, idle(t, conn))
}

// eachID calls f for each note from an id on, while the query runs.
func eachID(t *testing.T, conn *sql.Conn, from int, f func(id int)) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), "SELECT id FROM notes WHERE id >= ? ORDER BY id", from)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var id int
		require.NoError(t, rows.Scan(&id))
		f(id)
	}
	require.NoError(t, rows.Err())
}

// A statement that failed, or whose table was changed by a migration, works again.
func TestKeptStatementsFollowTheirTables(t *testing.T) {
	t.Parallel()
	conn := openCompiledOnce(t)
	exec := func(text string, args ...any) error {
		_, err := conn.ExecContext(t.Context(), text, args...)
		return err
	}
	const insert = "INSERT INTO notes (id) VALUES (?)"
	require.NoError(t, exec("CREATE UNIQUE INDEX one ON notes (id)"))
	require.Error(t, exec(insert, 3))
	require.NoError(t, exec(insert, 4))

	const all = "SELECT count(*) FROM (SELECT * FROM notes WHERE id > ?)"
	require.Equal(t, 4, count(t, conn, all, 0))
	require.NoError(t, exec("ALTER TABLE notes ADD COLUMN text text"))
	require.Equal(t, 4, count(t, conn, all, 0))
	require.NoError(t, exec("DROP TABLE notes"))
	var none int
	require.ErrorContains(t, conn.QueryRowContext(t.Context(), all, 0).Scan(&none), "no such table")
	require.NoError(t, exec("CREATE TABLE notes (other text, id integer)"))
	require.Equal(t, 0, count(t, conn, all, 0))
}

func TestConnectionKeepsAFewStatements(t *testing.T) {
	t.Parallel()
	conn := openCompiledOnce(t)
	for i := range maxCompiled + 10 {
		require.Equal(t, i, count(t, conn, fmt.Sprintf("SELECT ? + %d", i), 0))
	}
	require.Equal(t, maxCompiled, idle(t, conn))
}
