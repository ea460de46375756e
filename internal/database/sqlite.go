package database

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"
	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/gormlite"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/migrations"
)

// sqliteConnections is the size of each of the three pools. SQLite has one writer at a time whatever the pool, and the
// other writers, the job queue among them, wait with a connection each. Readers wait for nobody: short requests and lists
// have a pool each, from which no writer takes.
const sqliteConnections = 4

// busyTimeout is how long a statement, or opening the database, waits for another process.
const busyTimeout = 5 * time.Second

// lockSuffix ends the name of the file that a process locks while it migrates.
const lockSuffix = ".migrate.lock"

// sqlitePools are the names of the pools.
var sqlitePools = [3]string{"writes", "reads", "lists"}

type sqliteEngine struct{}

func openSQLite(o Options) (*DB, error) {
	path, err := filepath.Abs(o.SQLite)
	if err != nil {
		return nil, fmt.Errorf("the database file %s: %w", o.SQLite, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the database file can't be made: %w", err)
	}
	// Created here so that nobody else can read the file: it holds people's addresses.
	if file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		_ = file.Close()
	} else if !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the database file can't be opened: %w", err)
	}
	connector, err := (&sqlite.SQLite{}).OpenConnector(sqliteDSN(path))
	if err != nil {
		return nil, fmt.Errorf("the database file can't be opened: %w", err)
	}
	connector = compiledOnce{unlessReplaced{connector, path}}
	if o.Driver != nil {
		connector = o.Driver(connector)
	}
	var opened [3]*sql.DB
	for i, name := range sqlitePools {
		observed, err := observedConnector(connector, o, name)
		if err != nil {
			return nil, fmt.Errorf("the database file can't be opened: %w", err)
		}
		opened[i] = sql.OpenDB(observed)
		opened[i].SetMaxOpenConns(sqliteConnections)
		opened[i].SetMaxIdleConns(sqliteConnections)
	}
	writers, readers, listers := opened[0], opened[1], opened[2]
	db := &DB{
		engine: sqliteEngine{}, pools: []*sql.DB{listers, readers, writers}, queue: writers,
		shares: newListShares(sqliteConnections), lockFile: path + lockSuffix,
	}
	db.poolUses = func() map[string]PoolUse {
		uses := map[string]PoolUse{}
		for i, name := range sqlitePools {
			s := opened[i].Stats()
			uses[name] = PoolUse{s.InUse, s.MaxOpenConnections, s.WaitCount, s.WaitDuration}
		}
		return uses
	}
	dialector := func(pool *sql.DB) gorm.Dialector { return sqliteDialector{gormlite.OpenDB(pool)} }
	return db.init(o, dialector(writers), dialector(readers), dialector(listers))
}

func sqliteDSN(path string) string {
	query := url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), // first: the pragmas below wait for other processes too
			"journal_mode(WAL)", // readers and the writer don't wait for each other
			"synchronous(FULL)", // an answered request survives a power cut
			"foreign_keys(ON)",
		},
		// A transaction that begins as a reader and then writes fails at once where another wrote in between,
		// busy_timeout or not.
		"_txlock": {"immediate"},
		// The job queue compares times as text, in SQLite's own format; in the driver's, which has a T where SQLite's has
		// a space, a job that is due again today waits until tomorrow.
		"_timefmt": {"sqlite"},
		"modeof":   {path}, // the log beside the file, which has the same contents, gets the same permissions
	}
	// A plus is no space in SQLite's URIs.
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
}

// TimeFormat is the format of times in our tables on SQLite, which PostgreSQL reads too: text of one width in UTC, which sorts as
// time does. The driver's own format drops trailing zeros, and then "…05.5Z" sorts before "…05Z".
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// sqliteDialector passes times in that format. The setting of the driver is for the job queue's tables.
type sqliteDialector struct{ gorm.Dialector }

// BindVarTo implements gorm.Dialector.
func (d sqliteDialector) BindVarTo(writer clause.Writer, statement *gorm.Statement, value any) {
	last := &statement.Vars[len(statement.Vars)-1]
	switch at := value.(type) {
	case time.Time:
		*last = at.UTC().Format(TimeFormat)
	case *time.Time:
		if at != nil {
			*last = at.UTC().Format(TimeFormat)
		}
	}
	d.Dialector.BindVarTo(writer, statement, value)
}

// Processes that migrate wait for each other at a file; see DB.Migrate.
func (sqliteEngine) migrations() (goose.Dialect, fs.FS, []goose.ProviderOption, error) {
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	return goose.DialectSQLite3, files, nil, err
}

// now is the machine's time: the engine runs in this process.
func (sqliteEngine) now(*gorm.DB) (time.Time, error) { return time.Now(), nil }

func (sqliteEngine) hasTable() string {
	return "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = ?"
}

func (sqliteEngine) snapshot() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }

func (sqliteEngine) in(column string, ids []uuid.UUID) clause.Expr {
	list, _ := json.Marshal(ids) // UUIDs always encode
	return clause.Expr{SQL: column + " IN (SELECT value FROM json_each(?))", Vars: []any{string(list)}}
}

func (sqliteEngine) inQuery(column string, query *gorm.DB) clause.Expr {
	return clause.Expr{SQL: column + " IN (?)", Vars: []any{query}}
}

func (sqliteEngine) list(types []string) string {
	values := make([]string, len(types))
	for i := range types {
		values[i] = fmt.Sprintf("value->>%d", i)
	}
	return "SELECT " + strings.Join(values, ", ") + " FROM json_each(?)"
}

func (sqliteEngine) currentTime() string { return "datetime('now', 'subsec')" }

func (sqliteEngine) duplicate(err error) bool {
	return errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) || errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY)
}

func (sqliteEngine) missing(err error) bool {
	return errors.Is(err, sqlite3.CONSTRAINT_FOREIGNKEY)
}

func (sqliteEngine) unavailable(err error) bool {
	for _, code := range []error{
		sqlite3.BUSY, sqlite3.LOCKED, sqlite3.FULL, sqlite3.IOERR, sqlite3.READONLY, sqlite3.CANTOPEN,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// rolledBack is always false: one transaction writes at a time, and the engine ends none for another.
func (sqliteEngine) rolledBack(error) bool { return false }
