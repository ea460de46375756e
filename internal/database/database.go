package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// Options says which database to open. Exactly one of SQLite and Postgres is set.
type Options struct {
	SQLite   string // path of the file; the file and its folder are created where they are missing
	Postgres string // connection URL
	// PostgresRead is the connection URL of a standby of Postgres, from which lists are read; "": none.
	PostgresRead string
	// Migrations are the steps of the schema that are written in Go. The steps in SQL are in package migrations.
	Migrations []GoMigration
	// Clock replaces the database's clock in transactions; nil: the database's own. Tests move time with it.
	Clock func() time.Time
	// ListTimeout is how long a list may take; 0: five seconds. Tests shorten it.
	ListTimeout time.Duration
	// Driver wraps SQLite's driver; nil: no wrapper. Tests fail at a chosen statement with it, or count statements.
	Driver func(driver.Connector) driver.Connector
	// Tracer sees every statement on PostgreSQL; nil: no tracer. Tests use it as they use Driver.
	Tracer pgx.QueryTracer
	// Observe is called with every statement that is over, in the context of the statement; nil: no calls, and no cost.
	Observe func(context.Context, Statement)
}

// DB is an open database. Any number of goroutines may use a DB at the same time.
type DB struct {
	engine      engine
	writer      *gorm.DB // for transactions that write
	reader      *gorm.DB // for statements that only read; refuses to write
	lister      *gorm.DB // a reader with a pool of its own
	standby     *standby // nil: none
	shares      *listShares
	listTimeout time.Duration
	pools       []*sql.DB
	queue       *sql.DB
	close       func() // closes what the pools are made of; nil: nothing
	poolUses    func() map[string]PoolUse
	clock       clock
	goSteps     []GoMigration
	lockFile    string // SQLite only: path of the file that a process holds while it migrates
}

// engine holds the differences between SQLite and PostgreSQL.
type engine interface {
	// migrations returns the steps in SQL and how goose runs them.
	migrations() (goose.Dialect, fs.FS, []goose.ProviderOption, error)
	// now asks the database for the time.
	now(*gorm.DB) (time.Time, error)
	// hasTable is a query that reports whether the table exists whose name is its argument.
	hasTable() string
	// snapshot are the options of a transaction that reads everything as of one moment.
	snapshot() *sql.TxOptions
	// in is the condition that a column holds one of a set of UUIDs of any size.
	in(column string, ids []uuid.UUID) clause.Expr
	// inQuery is the condition that a column holds one of the values that a query finds; see DB.InQuery.
	inQuery(column string, query *gorm.DB) clause.Expr
	// list is a query for the rows of a JSON list, its one argument; see DB.List.
	list(types []string) string
	// duplicate reports whether an error means that a unique index refused a row.
	duplicate(err error) bool
	// missing reports whether an error means that a row refers to another one that is missing.
	missing(err error) bool
	// currentTime is an expression for the database's time, in the format of the job queue's tables.
	currentTime() string
	// unavailable reports whether an error means that the database is busy, full or out of reach.
	unavailable(err error) bool
	// rolledBack reports whether the engine ended a transaction so that another could go on.
	rolledBack(err error) bool
}

// Open opens a database. Open does not connect to PostgreSQL and does not migrate: see Ping and Migrate. The error says
// what to do where the options make no sense or the SQLite file can't be created.
func Open(o Options) (*DB, error) {
	if o.Postgres != "" {
		return openPostgres(o)
	}
	return openSQLite(o)
}

// init makes the GORM sessions of a DB whose engine and shares are set.
func (db *DB) init(o Options, writer, reader, lister gorm.Dialector) (*DB, error) {
	var err error
	if db.writer, err = openGORM(writer, db.engine); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if db.reader, err = openReader(reader, db.engine); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if db.lister, err = openReader(lister, db.engine); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if db.listTimeout = o.ListTimeout; db.listTimeout == 0 {
		db.listTimeout = listTimeout
	}
	db.goSteps = o.Migrations
	db.clock = clock{fixed: o.Clock, ask: func(ctx context.Context) (time.Time, error) {
		return db.engine.now(db.reader.WithContext(ctx))
	}}
	return db, nil
}

func openGORM(dialector gorm.Dialector, e engine) (*gorm.DB, error) {
	session, err := gorm.Open(translating{dialector, e}, &gorm.Config{
		Logger:                 logger.Discard, // an error is returned, and logged once by whoever answers for it
		SkipDefaultTransaction: true,           // every write is in a transaction of Write
		DisableAutomaticPing:   true,
		TranslateError:         true,
	})
	if err != nil {
		return nil, fmt.Errorf("the database can't be opened: %w", err)
	}
	return session, nil
}

func openReader(dialector gorm.Dialector, e engine) (*gorm.DB, error) {
	session, err := openGORM(dialector, e)
	if err != nil {
		return nil, err
	}
	return session, refuseWrites(session)
}

// ErrReadOnly is the error of every write in Read, ReadList or Snapshot.
var ErrReadOnly = errors.New("database: a write where only reads are allowed")

// refuseWrites makes every write through a session fail. Outside of a transaction no engine can be told to.
func refuseWrites(session *gorm.DB) error {
	refuse := func(session *gorm.DB) { _ = session.AddError(ErrReadOnly) }
	on := session.Callback()
	return errors.Join(
		on.Create().Before("*").Register("invited:refuse", refuse),
		on.Update().Before("*").Register("invited:refuse", refuse),
		on.Delete().Before("*").Register("invited:refuse", refuse),
		on.Raw().Before("*").Register("invited:refuse", refuse), // Exec; Raw with Rows or Scan is a query
	)
}

// Close closes the database. Transactions that run are finished first.
func (db *DB) Close() error {
	var errs []error
	for _, pool := range append(db.pools, db.queue) {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if db.close != nil {
		db.close()
	}
	return errors.Join(errs...)
}

// Ping reports whether the database can be reached; fault.KindUnavailable where it can't.
func (db *DB) Ping(ctx context.Context) error {
	pool, err := db.reader.DB()
	if err != nil {
		return err
	}
	return translate(db.engine, pool.PingContext(ctx))
}

// Now returns the time by the database's own clock, which all processes on the database share, in UTC. Options.Clock
// does not move it. Now returns fault.KindUnavailable where the database can't be asked.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	now, err := db.engine.now(db.reader.WithContext(ctx))
	return now.UTC(), translate(db.engine, err)
}

// IsPostgres reports whether the engine is PostgreSQL. The job queue's library has a driver for each engine.
func (db *DB) IsPostgres() bool {
	_, ok := db.engine.(postgresEngine)
	return ok
}

// QueuePool returns the pool for the job queue's own statements.
func (db *DB) QueuePool() *sql.DB { return db.queue }

// A PoolUse says how a pool of connections is used.
type PoolUse struct {
	InUse, Max int
	Waits      int64         // how often nothing was free
	Waited     time.Duration // in all
}

// PoolUses returns how each pool of connections is used, by what it is for.
func (db *DB) PoolUses() map[string]PoolUse { return db.poolUses() }

// List is a subquery for rows that are passed as one argument: rows is a JSON list of lists of strings, numbers,
// booleans and nulls, of these PostgreSQL types. A statement takes a limited number of arguments, and a statement for each
// number of rows would need a plan each.
func (db *DB) List(rows []byte, types ...string) clause.Expr {
	return clause.Expr{SQL: db.engine.list(types), Vars: []any{string(rows)}}
}

// In is the condition that a column holds one of a set of UUIDs of any size.
func (db *DB) In(column string, ids []uuid.UUID) clause.Expr { return db.engine.in(column, ids) }

// InQuery is the condition that a column holds one of the values that a query finds. PostgreSQL runs the query first, and uses an
// index on the column for the condition also where it is one of several alternatives.
func (db *DB) InQuery(column string, query *gorm.DB) clause.Expr {
	return db.engine.inQuery(column, query)
}

// CurrentTime is an expression for the database's time, in the format of the job queue's tables.
func (db *DB) CurrentTime() clause.Expr { return clause.Expr{SQL: db.engine.currentTime()} }

// Lock makes a transaction wait for every other one that has locked the same number, until that one ends. On SQLite
// transactions that write run one at a time anyway.
func (db *DB) Lock(tx *gorm.DB, number int64) error {
	if !db.IsPostgres() {
		return nil
	}
	return tx.Exec("SELECT pg_advisory_xact_lock(?)", number).Error
}

// TryLock is Lock without the wait: it reports false where another transaction has locked the number.
func (db *DB) TryLock(tx *gorm.DB, number int64) (locked bool, err error) {
	if !db.IsPostgres() {
		return true, nil
	}
	return locked, tx.Raw("SELECT pg_try_advisory_xact_lock(?)", number).Row().Scan(&locked)
}

// IndexedBy returns a table for FROM of which SQLite reads an index. SQLite, which has no statistics of a table, may choose
// another index; PostgreSQL chooses by itself.
func (db *DB) IndexedBy(table, index string) string {
	if db.IsPostgres() {
		return table
	}
	return table + " INDEXED BY " + index
}
