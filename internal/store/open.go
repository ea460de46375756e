package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/gormlite"
	"github.com/riverqueue/river/riverdriver"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// Options says which database to open. Exactly one of SQLite and Postgres is set.
type Options struct {
	SQLite   string // path of the file; it and its folder are made where they are not there
	Postgres string // connection URL
	// Clock is used for the time of transactions; nil: the database's own. Tests pass one to move time.
	Clock func() time.Time
	// Driver is put around SQLite's driver; nil: nothing is. Tests pass one to fail at a chosen statement, or to count them.
	Driver func(driver.Connector) driver.Connector
	// Tracer is told of all statements on PostgreSQL; nil: nobody is. Tests pass one for the same.
	Tracer pgx.QueryTracer
}

func (o Options) driver(engine driver.Connector) driver.Connector {
	if o.Driver == nil {
		return engine
	}
	return o.Driver(engine)
}

// DB is an open database. It is safe for use by any number of goroutines.
type DB struct {
	gorm    *gorm.DB
	sql     *sql.DB
	reads   *gorm.DB      // for transactions that only read
	readers *sql.DB       // theirs, which may be the same
	queue   *sql.DB       // the job queue's, of the same connections as sql
	pool    *pgxpool.Pool // PostgreSQL only: what the others are made of
	dialect dialect
	kept    *prepared // SQLite only: of readers
	lock    string    // SQLite only: path of the file that migrating processes lock
	clock   func() time.Time
	told    atomic.Pointer[told]
	owners  *lru.Cache[string, *cachedOwner] // PostgreSQL only: by the digests of their keys
}

// Sizes of the connection pools. SQLite has one writer at a time whatever its pool, and the others wait for it with a
// connection each; who only reads waits for nobody, and so has connections that no writer takes.
const (
	postgresConnections = 20 // where the URL has no pool_max_conns
	sqliteConnections   = 4  // of each of the two pools
)

// statementsKept is of how many statements a PostgreSQL connection keeps the plan, which takes memory in the server. Callers
// choose among many: filters, orders and sizes of pages. It is four times what there is but for those.
const statementsKept = 128

// Open opens a database. It does not migrate it and does not need to reach it: Ping tells. It returns an error
// that says what to do where the options make no sense or the SQLite file can't be made.
func Open(o Options) (*DB, error) {
	if o.Postgres != "" {
		return openPostgres(o)
	}
	return openSQLite(o)
}

func openPostgres(o Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(o.Postgres)
	if err != nil {
		// The library's error repeats the URL, password and all.
		return nil, errors.New("the database URL can't be read; it looks like postgres://user:password@host:5432/name")
	}
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "invited"
	}
	config.ConnConfig.ConnectTimeout = 10 * time.Second
	plain, err := pgx.ParseConfig(o.Postgres)
	if err != nil || plain.RuntimeParams["pool_max_conns"] == "" { // the library would go by the cores of this machine
		config.MaxConns = postgresConnections
	}
	if config.MaxConns < 2 { // who migrates holds one, and needs another
		return nil, errors.New("pool_max_conns in the database URL must be at least 2")
	}
	config.MaxConnIdleTime = 5 * time.Minute
	config.AfterConnect = prepare
	config.ConnConfig.Tracer = o.Tracer
	config.ConnConfig.StatementCacheCapacity = min(config.ConnConfig.StatementCacheCapacity, statementsKept)
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("the database can't be opened: %w", err)
	}
	shared := stdlib.OpenDBFromPool(pool)
	db, err := newDB(o, shared, postgres.New(postgres.Config{Conn: shared}), postgresDialect{}, "")
	if err != nil {
		pool.Close()
		return nil, err
	}
	db.pool, db.readers = pool, shared
	db.queue = sql.OpenDB(unkept{stdlib.GetPoolConnector(pool)})
	db.queue.SetMaxIdleConns(0) // that are kept, pool keeps
	if db.owners, err = lru.New[string, *cachedOwner](cachedOwners); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if db.reads, err = openORM(postgres.New(postgres.Config{Conn: shared})); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, refuseWrites(db.reads)
}

// prepare has a connection make the plan of a statement once, whatever its arguments. Left alone the server plans most
// lists anew each time, which takes it several times as long as to carry them out; and it would compile some. It is no
// parameter of the connection, because poolers between refuse to pass that on.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan; SET jit = off")
	return err
}

func openSQLite(o Options) (*DB, error) {
	path, err := filepath.Abs(o.SQLite)
	if err != nil {
		return nil, fmt.Errorf("the database file %s: %w", o.SQLite, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the database file can't be made: %w", err)
	}
	// Made here so that nobody else can read it: it holds people's addresses.
	if file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		_ = file.Close()
	} else if !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the database file can't be opened: %w", err)
	}
	connector, err := (&sqlite.SQLite{}).OpenConnector(sqliteDSN(path))
	if err != nil {
		return nil, fmt.Errorf("the database file can't be opened: %w", err)
	}
	pool, readers := sql.OpenDB(o.driver(connector)), sql.OpenDB(o.driver(connector))
	for _, each := range []*sql.DB{pool, readers} {
		each.SetMaxOpenConns(sqliteConnections)
		each.SetMaxIdleConns(sqliteConnections)
	}
	db, err := newDB(o, pool, gormlite.OpenDB(sqlitePool{pool}), sqliteDialect{}, path+".migrate.lock")
	if err != nil {
		return nil, errors.Join(err, readers.Close())
	}
	db.readers = readers
	if db.kept, err = newPrepared(readers); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if db.reads, err = openORM(gormlite.OpenDB(sqlitePool{readers})); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, refuseWrites(db.reads)
}

func sqliteDSN(path string) string {
	query := url.Values{
		"_pragma": {
			"busy_timeout(5000)", // first: the next ones wait for other processes too
			"journal_mode(WAL)",  // readers and the writer don't wait for each other
			"synchronous(FULL)",  // an answered request survives a power cut
			"foreign_keys(ON)",
		},
		// A transaction that begins as a reader and then writes fails at once where another wrote in between,
		// busy_timeout or not.
		"_txlock": {"immediate"},
		// The job queue compares times as text, in SQLite's own form; in the driver's, which has a T where that has a
		// space, what is to be tried again today waits for tomorrow.
		"_timefmt": {"sqlite"},
		"modeof":   {path}, // the log beside it, which has its contents, is as private as it is
	}
	// A plus is no space in SQLite's URIs.
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
}

func newDB(o Options, pool *sql.DB, dialector gorm.Dialector, d dialect, lock string) (*DB, error) {
	orm, err := openORM(dialector)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &DB{gorm: orm, sql: pool, queue: pool, dialect: d, lock: lock, clock: o.Clock}, nil
}

func openORM(dialector gorm.Dialector) (*gorm.DB, error) {
	orm, err := gorm.Open(dialector, &gorm.Config{
		Logger:                 logger.Discard, // what matters is returned as an error and logged once, by whoever answers for it
		SkipDefaultTransaction: true,           // every write runs in one that was asked for
		DisableAutomaticPing:   true,
		NowFunc:                func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
	})
	if err != nil {
		return nil, fmt.Errorf("the database can't be opened: %w", err)
	}
	return orm, nil
}

// errReading is what becomes of a write where DB.Read or DB.Snapshot runs, on either engine.
var errReading = errors.New("store: a write among what only reads")

// refuseWrites has every write by an ORM fail. Outside of a transaction no engine can be asked to.
func refuseWrites(orm *gorm.DB) error {
	refuse := func(orm *gorm.DB) { _ = orm.AddError(errReading) }
	on := orm.Callback()
	return errors.Join(
		on.Create().Before("*").Register("invited:refuse", refuse),
		on.Update().Before("*").Register("invited:refuse", refuse),
		on.Delete().Before("*").Register("invited:refuse", refuse),
		on.Raw().Before("*").Register("invited:refuse", refuse), // Exec: Raw().Scan() is a query
	)
}

// Close closes the database. Transactions that run are finished first.
func (db *DB) Close() error {
	err := errors.Join(db.readers.Close(), db.sql.Close(), db.queue.Close())
	if db.pool != nil {
		db.pool.Close()
	}
	return err
}

// Ping tells whether the database can be reached.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.readers.PingContext(ctx); err != nil {
		return db.translate(err)
	}
	return nil
}

// Now is the moment by the database's own clock, which all who use the database share, in UTC. Options.Clock does not
// move it. It returns fault.KindUnavailable where the database can't tell.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	now, err := db.dialect.now(db.gorm.WithContext(ctx))
	return now.UTC(), db.translate(err)
}

// Queue returns the driver that a job queue's worker runs on: the same connections as everything else.
func (db *DB) Queue() riverdriver.Driver[*sql.Tx] { return db.dialect.queue(db.queue) }

// Invitations returns the database as package invitation needs it.
func (db *DB) Invitations() invitation.Store { return invitations{db} }

// invitations adapts DB to invitation.Store: the same transactions, with the narrower interface.
type invitations struct{ db *DB }

func (s invitations) Read(ctx context.Context, f func(invitation.Tx) error) error {
	return s.db.Read(ctx, func(tx *Tx) error { return f(tx) })
}

func (s invitations) Write(ctx context.Context, f func(invitation.Tx) error) error {
	return s.db.Write(ctx, func(tx *Tx) error { return f(tx) })
}

var (
	_ invitation.Tx  = (*Tx)(nil)
	_ directory.Keys = (*DB)(nil)
)
