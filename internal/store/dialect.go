package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/migrations"
)

// dialect is where the two engines differ.
type dialect interface {
	// migrations are how the schema is migrated: the SQL files, how they are to be read, and what else.
	migrations() (goose.Dialect, fs.FS, []goose.ProviderOption, error)
	// now is the database's clock within a transaction.
	now(tx *gorm.DB) (time.Time, error)
	// hasTable is a query for whether there is a table of the name that is its argument.
	hasTable() string
	// statement is a statement, whose arguments stand as ? in it, as the engine takes it.
	statement(text string, arguments []any) (string, []any)
	// snapshot is how a transaction is begun that only reads, all of it from one moment.
	snapshot() *sql.TxOptions
	// in is the condition that a column is one of a set of uuids of any size, and its one argument.
	in(column string, set []uuid.UUID) (condition string, argument any)
	// locked makes a query lock the rows of a table that it finds.
	locked(query *gorm.DB, table string) *gorm.DB
	// forUpdate ends a query that locks the invitations that it finds.
	forUpdate() string
	// forUpdateUnlocked is forUpdate, and leaves out those that others have locked.
	forUpdateUnlocked() string
	// among is a query for the rows of a list of any length that is its one argument: JSON, an array of rows, each
	// an array of texts, numbers, truths and nulls. There is a limit to how many arguments a query has.
	among(columns []column) string
	// noting makes one statement of one that changes an invitation, of a row that is written with it, if any, and of the
	// writing of its event, with the arguments of each in this order; empty where they have to be several, which cost nothing.
	// Where nothing is changed that has to be, or the row is not written, it fails: nothingWritten tells.
	noting(change string, must bool, with *row) string
	// batching is a statement after which a transaction counts what it changes once for each statement, and must wait for
	// nobody any more; empty where that costs nothing.
	batching() string
	// lockDirectory is a statement that makes transactions wait for each other which change the directory; empty
	// where all that write do.
	lockDirectory() string
	// rolledBack tells whether the engine ended a transaction so that another could go on.
	rolledBack(err error) bool
	// duplicate tells whether an error is the refusal of a second row by a unique index, of this name if it has one and the
	// engine tells.
	duplicate(err error, index string) bool
	// nothingWritten tells whether an error is that of noting where nothing was changed, or where the row was not written.
	nothingWritten(err error) (change, row bool)
	// unavailable tells whether an error is the database's being busy, full or out of reach.
	unavailable(err error) bool
	queue(pool *sql.DB) riverdriver.Driver[*sql.Tx]
	// insertJobs is a statement that writes jobs that are due now. Its argument is a JSON list of lists of arguments, kind,
	// queue, priority and number of attempts.
	insertJobs() string
}

// column is a column with its type in PostgreSQL.
type column struct{ name, kind string }

// names are those of columns, in a list.
func names(columns []column) string {
	all := make([]string, len(columns))
	for i, each := range columns {
		all[i] = each.name
	}
	return strings.Join(all, ", ")
}

type postgresDialect struct{}

// How often a process that waits to migrate looks again, in seconds, and how many times.
const (
	lockPeriod   = 1
	lockAttempts = 300
)

func (postgresDialect) migrations() (goose.Dialect, fs.FS, []goose.ProviderOption, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockAttempts))
	if err != nil {
		return "", nil, nil, err
	}
	files, err := fs.Sub(migrations.Postgres, "postgres")
	return goose.DialectPostgres, files, []goose.ProviderOption{goose.WithSessionLocker(locker)}, err
}

func (postgresDialect) now(tx *gorm.DB) (time.Time, error) {
	var now time.Time
	err := tx.Raw("SELECT now()").Row().Scan(&now)
	return now, err
}

func (postgresDialect) hasTable() string { return "SELECT to_regclass(?) IS NOT NULL" }

func (postgresDialect) statement(text string, arguments []any) (string, []any) {
	found, ok := numberedTexts.Get(text)
	if !ok {
		found = numbered(text)
		numberedTexts.Add(text, found)
	}
	return found, native(arguments)
}

// numberedTexts are statements as PostgreSQL takes them: to make them is a fortieth of what a read costs.
var numberedTexts, _ = lru.New[string, string](statementsKept) // it fails for a size below one

func (postgresDialect) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (postgresDialect) in(column string, set []uuid.UUID) (string, any) {
	texts := make([]string, len(set))
	for i, each := range set {
		texts[i] = each.String()
	}
	return column + " = ANY (?::uuid[])", "{" + strings.Join(texts, ",") + "}"
}

func (postgresDialect) locked(query *gorm.DB, table string) *gorm.DB {
	return query.Clauses(clause.Locking{Strength: "UPDATE", Table: clause.Table{Name: table}})
}

func (postgresDialect) forUpdate() string { return " FOR UPDATE OF invitations" }

func (postgresDialect) forUpdateUnlocked() string { return " FOR UPDATE OF invitations SKIP LOCKED" }

// SQLSTATE codes and classes (PostgreSQL documentation, appendix A).
const (
	uniqueViolation        = "23505"
	invalidText            = "22P02"
	classConnection        = "08"
	classRollback          = "40" // deadlock, serialization
	classResources         = "53" // disk full, too many connections
	classOperatorIntervene = "57" // shutting down, starting up, timed out
	readOnlyTransaction    = "25006"
)

func (postgresDialect) duplicate(err error, index string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == uniqueViolation && (index == "" || e.ConstraintName == index)
}

func (postgresDialect) unavailable(err error) bool {
	var connect *pgconn.ConnectError // whatever the server's reason: a password, a database that is not there
	var network *net.OpError
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed) { // an earlier statement's end of it
		return true
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	for _, class := range []string{classConnection, classRollback, classResources, classOperatorIntervene} {
		if strings.HasPrefix(e.Code, class) {
			return true
		}
	}
	return e.Code == readOnlyTransaction
}

func (postgresDialect) rolledBack(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && strings.HasPrefix(e.Code, classRollback)
}

func (postgresDialect) among(columns []column) string {
	values := make([]string, len(columns))
	for i, each := range columns {
		values[i] = fmt.Sprintf("(value->>%d)::%s", i, each.kind)
	}
	// Of a json each value would be looked for from its beginning.
	return "SELECT " + strings.Join(values, ", ") + " FROM jsonb_array_elements(?::jsonb) AS wanted (value)"
}

// What noting tells of what it counted.
const (
	nothingChanged = "0 changed"
	nothingAdded   = "0 added"
)

func (postgresDialect) noting(change string, must bool, with *row) string {
	text := "WITH changed AS (" + change + " RETURNING uuid)"
	all, counts := "EXISTS (SELECT FROM changed)", "(SELECT count(*) || ' changed' FROM changed)"
	if with != nil {
		text += ", added AS (" + with.into() + " SELECT " + with.places() + " FROM changed " + with.unless + " RETURNING uuid)"
		all += " AND EXISTS (SELECT FROM added)"
		counts += " || (SELECT ', ' || count(*) || ' added' FROM added)"
	}
	text += " INSERT INTO invitation_events (" + eventColumns + ") SELECT "
	if !must {
		return text + "?, " + eventPlaces + " FROM changed"
	}
	// What is no uuid ends the transaction, and with it what was sent behind this. PostgreSQL writes it into its log, where
	// what a constraint refuses would stand with people's addresses.
	return text + "CASE WHEN " + all + " THEN ?::uuid ELSE (" + counts + ")::uuid END, " + eventPlaces
}

func (postgresDialect) nothingWritten(err error) (change, row bool) {
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != invalidText {
		return false, false
	}
	return strings.Contains(e.Message, nothingChanged), strings.Contains(e.Message, nothingAdded)
}

func (postgresDialect) batching() string { return "SELECT set_config('invited.batch', 'on', true)" }

// Any number will do that nobody else uses: the migrations' lock is another.
func (postgresDialect) lockDirectory() string { return "SELECT pg_advisory_xact_lock(4703145181527)" }

func (postgresDialect) queue(pool *sql.DB) riverdriver.Driver[*sql.Tx] {
	return riverdatabasesql.New(pool)
}

func (postgresDialect) insertJobs() string {
	return "INSERT INTO river_job (args, kind, queue, priority, max_attempts)" +
		" SELECT value->0, value->>1, value->>2, (value->>3)::smallint, (value->>4)::smallint" +
		" FROM jsonb_array_elements(?::jsonb) AS wanted (value)"
}

type sqliteDialect struct{}

// Processes that migrate wait for each other at a file: see DB.Migrate.
func (sqliteDialect) migrations() (goose.Dialect, fs.FS, []goose.ProviderOption, error) {
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	return goose.DialectSQLite3, files, nil, err
}

// The engine runs in this process: its clock is the machine's.
func (sqliteDialect) now(*gorm.DB) (time.Time, error) { return time.Now(), nil }

func (sqliteDialect) hasTable() string {
	return "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = ?"
}

func (sqliteDialect) statement(text string, arguments []any) (string, []any) { return text, arguments }

func (sqliteDialect) snapshot() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }

func (sqliteDialect) in(column string, set []uuid.UUID) (string, any) {
	list, _ := json.Marshal(set) // uuids always encode
	return column + " IN (SELECT value FROM json_each(?))", string(list)
}

// Every transaction that writes is the only one that does: there is nothing to lock.
func (sqliteDialect) locked(query *gorm.DB, _ string) *gorm.DB { return query }

func (sqliteDialect) forUpdate() string { return "" }

func (sqliteDialect) forUpdateUnlocked() string { return "" }

func (sqliteDialect) duplicate(err error, _ string) bool {
	return errors.Is(err, sqlite3.CONSTRAINT_UNIQUE)
}

func (sqliteDialect) unavailable(err error) bool {
	for _, code := range []error{
		sqlite3.BUSY, sqlite3.LOCKED, sqlite3.FULL, sqlite3.IOERR, sqlite3.READONLY, sqlite3.CANTOPEN,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// One transaction writes at a time, and none is ended for another.
func (sqliteDialect) rolledBack(error) bool { return false }

func (sqliteDialect) among(columns []column) string {
	values := make([]string, len(columns))
	for i := range columns {
		values[i] = fmt.Sprintf("value->>%d", i)
	}
	return "SELECT " + strings.Join(values, ", ") + " FROM json_each(?)"
}

func (sqliteDialect) noting(string, bool, *row) string { return "" }

func (sqliteDialect) nothingWritten(error) (change, row bool) { return false, false }

func (sqliteDialect) batching() string { return "" }

func (sqliteDialect) lockDirectory() string { return "" }

func (sqliteDialect) queue(pool *sql.DB) riverdriver.Driver[*sql.Tx] {
	return riversqlite.New(pool)
}

// The queue compares times as text.
func (sqliteDialect) insertJobs() string {
	return "INSERT INTO river_job (args, kind, queue, priority, max_attempts, created_at, scheduled_at)" +
		" SELECT CAST(value->>0 AS BLOB), value->>1, value->>2, value->>3, value->>4," +
		" datetime('now', 'subsec'), datetime('now', 'subsec') FROM json_each(?)"
}
