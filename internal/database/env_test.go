package database_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/database"
	"invited/internal/storetest"
)

// note is a row of the table that the tests write to. The package under test knows no table.
type note struct {
	ID    int64 `gorm:"primaryKey"`
	Body  string
	Owner uuid.UUID
	At    time.Time
	Until *time.Time
}

// env is an open database with an empty table of notes.
type env struct {
	t        *testing.T
	url      string
	postgres bool
	db       *database.DB
	outside  *sql.DB // a pool that the package under test does not know of
}

// onEachEngine runs a test on a fresh database of each engine.
func onEachEngine(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) { test(t, newEnv(t, engine, database.Options{})) })
}

// onPostgres runs a test on a fresh database of PostgreSQL.
func onPostgres(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	onEachEngine(t, func(t *testing.T, e *env) {
		if e.postgres {
			test(t, e)
		}
	})
}

// onSQLite runs a test on a fresh database of SQLite.
func onSQLite(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	onEachEngine(t, func(t *testing.T, e *env) {
		if !e.postgres {
			test(t, e)
		}
	})
}

func newEnv(t *testing.T, engine storetest.Engine, o database.Options) *env {
	t.Helper()
	e := &env{t: t, url: engine.Empty(t), postgres: engine.Name == "postgres"}
	columns := "id bigint PRIMARY KEY, body text NOT NULL UNIQUE, owner text NOT NULL, at timestamp NOT NULL, until timestamp"
	if e.postgres {
		columns = "id bigint PRIMARY KEY, body text NOT NULL UNIQUE, owner uuid NOT NULL, at timestamptz NOT NULL, until timestamptz"
	}
	e.db, e.outside = open(t, e.url, o), outside(t, e.url)
	e.exec("CREATE TABLE notes (" + columns + ", CHECK (body <> 'odd'))")
	e.exec("CREATE TABLE replies (note_id bigint NOT NULL REFERENCES notes)")
	return e
}

// open opens the database of a URL for the length of the test.
func open(t *testing.T, address string, o database.Options) *database.DB {
	t.Helper()
	if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
		o.SQLite = path
	} else {
		o.Postgres = address
	}
	db, err := database.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// outside returns a connection pool that the package under test does not know of.
func outside(t *testing.T, address string) *sql.DB {
	t.Helper()
	var (
		pool *sql.DB
		err  error
	)
	if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
		pool, err = sqlite.Open("file:" + path + "?_pragma=busy_timeout(10000)")
	} else {
		pool, err = sql.Open("pgx", address)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

func newNote(id int64, body string) *note {
	return &note{ID: id, Body: body, At: time.Now()}
}

// write runs f in a transaction.
func (e *env) write(f func(tx *gorm.DB) error) error {
	return e.db.Write(e.t.Context(), func(tx *gorm.DB, _ time.Time) error { return f(tx) })
}

// read runs f outside of any transaction.
func (e *env) read(f func(tx *gorm.DB) error) error {
	return e.db.Read(e.t.Context(), func(tx *gorm.DB, _ time.Time) error { return f(tx) })
}

// insert writes a note.
func (e *env) insert(n *note) {
	e.t.Helper()
	require.NoError(e.t, e.write(func(tx *gorm.DB) error { return tx.Create(n).Error }))
}

// find reads a note; fault.KindNotFound where it is missing.
func (e *env) find(id int64) (found note, err error) {
	err = e.read(func(tx *gorm.DB) error { return tx.Take(&found, id).Error })
	return found, err
}

// count returns the number of notes that are committed.
func (e *env) count() (rows int) {
	e.t.Helper()
	require.NoError(e.t, e.outside.QueryRow("SELECT count(*) FROM notes").Scan(&rows))
	return rows
}

func (e *env) exec(statement string) {
	e.t.Helper()
	require.NoError(e.t, e.write(func(tx *gorm.DB) error { return tx.Exec(statement).Error }))
}

// lockNote reads a note and locks its row where the engine locks rows.
func lockNote(tx *gorm.DB, id int64) (found note, err error) {
	return found, tx.Clauses(clause.Locking{Strength: "UPDATE"}).Take(&found, id).Error
}

// The reasons for which an engine refuses a row: SQLSTATE codes.
const (
	foreignKeyViolation = "23503"
	checkViolation      = "23514"
)

func requireRefused(t *testing.T, err error, reason string) {
	t.Helper()
	require.Error(t, err)
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		require.Equal(t, reason, refusal.Code)
		return
	}
	code := map[string]error{
		foreignKeyViolation: sqlite3.CONSTRAINT_FOREIGNKEY, checkViolation: sqlite3.CONSTRAINT_CHECK,
	}[reason]
	require.ErrorIs(t, err, code)
}

// requireWaits fails the test where a result arrives within 200 ms.
func requireWaits(t *testing.T, result <-chan error, message string) {
	t.Helper()
	select {
	case err := <-result:
		require.Fail(t, message, "%v", err)
	case <-time.After(200 * time.Millisecond):
	}
}

var errOnPurpose = errors.New("on purpose")

// cancelable returns a context that can be ended before the test ends.
func (e *env) cancelable() (context.Context, context.CancelFunc) {
	return context.WithCancel(e.t.Context())
}
