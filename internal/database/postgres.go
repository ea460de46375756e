package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/migrations"
)

// postgresConnections is the number of connections where the URL has no pool_max_conns.
const postgresConnections = 20

// pools has the number of connections of each pool.
type pools struct{ short, lists, queue int32 }

// divide divides n connections, at least 3, among the pools. A fifth is for lists: of 20, with half of them for one
// caller, two expensive lists run at once, and with a quarter for lists there were three, which on two cores kept others
// waiting five times as long. The job queue needs no more than 4, whatever the traffic. A process that migrates needs two
// connections of one pool: where there are 3 in all, lists have no pool, and take one of the two for short requests.
func divide(n int32) pools {
	p := pools{queue: min(max(1, n/5), 4)}
	if n > 3 {
		p.lists = max(1, n/5)
	}
	p.short = n - p.lists - p.queue
	return p
}

// statementCacheSize is the number of statements whose plan a connection keeps, which takes memory in the server. There
// are about 30 statements, and lists multiply some by their filters, orders and page sizes.
const statementCacheSize = 128

// postgresPools are the names of the pools; the last one may be missing.
var postgresPools = [3]string{"requests", "queue", "lists"}

type postgresEngine struct{}

// poolConfig reads the URL of a variable. At most defaultConns connections are open where the URL has no pool_max_conns.
func poolConfig(address string, defaultConns int32) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		// The library's error repeats the URL with its password.
		return nil, errors.New("the database URL can't be read; it looks like postgres://user:password@host:5432/name")
	}
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "invited"
	}
	if config.ConnConfig.ConnectTimeout == 0 { // the URL has no connect_timeout
		config.ConnConfig.ConnectTimeout = connectTimeout(config.ConnConfig)
	}
	config.ConnConfig.DialFunc = dialer(config.ConnConfig.ConnectTimeout)
	config.BeforeClose = abandon
	config.PingTimeout = pingTimeout
	plain, err := pgx.ParseConfig(address)
	if err != nil || plain.RuntimeParams["pool_max_conns"] == "" { // the library's default depends on this machine's cores
		config.MaxConns = defaultConns
	}
	config.MaxConnIdleTime = 5 * time.Minute
	config.AfterConnect = setUpConnection
	config.ConnConfig.StatementCacheCapacity = min(config.ConnConfig.StatementCacheCapacity, statementCacheSize)
	return config, nil
}

func openPostgres(o Options) (*DB, error) {
	config, err := poolConfig(o.Postgres, postgresConnections)
	if err != nil {
		return nil, err
	}
	if config.MaxConns < 3 {
		return nil, errors.New("pool_max_conns in the database URL must be at least 3")
	}
	db, sizes := &DB{engine: postgresEngine{}}, divide(config.MaxConns)
	db.shares = newListShares(int64(max(1, sizes.lists)))
	var opened []*pgxpool.Pool
	db.close = func() {
		for _, each := range opened {
			each.Close()
		}
	}
	for i, size := range []int32{sizes.short, sizes.queue, sizes.lists} {
		if size == 0 {
			continue
		}
		each := config.Copy()
		each.ConnConfig.Tracer = tracerOf(o, postgresPools[i])
		each.MaxConns, each.MinConns, each.MinIdleConns = size, min(size, config.MinConns), min(size, config.MinIdleConns)
		pool, err := pgxpool.NewWithConfig(context.Background(), each)
		if err != nil {
			db.close()
			return nil, fmt.Errorf("the database can't be opened: %w", err)
		}
		opened = append(opened, pool)
	}
	db.poolUses = func() map[string]PoolUse {
		uses := map[string]PoolUse{}
		for i, name := range postgresPools[:len(opened)] {
			uses[name] = poolUse(opened[i])
		}
		return uses
	}
	short := stdlib.OpenDBFromPool(opened[0])
	lists := short
	if sizes.lists > 0 {
		lists = stdlib.OpenDBFromPool(opened[2])
	}
	db.pools = []*sql.DB{short, lists}
	db.queue = sql.OpenDB(replanning{stdlib.GetPoolConnector(opened[1])})
	db.queue.SetMaxIdleConns(0) // the pool below keeps the idle connections
	dialector := func(pool *sql.DB) gorm.Dialector {
		return postgresDialector{postgres.New(postgres.Config{Conn: pool})}
	}
	if _, err := db.init(o, dialector(short), dialector(short), dialector(lists)); err != nil {
		return nil, err
	}
	if o.PostgresRead == "" {
		return db, nil
	}
	if err := db.openStandby(o, max(1, sizes.lists)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openStandby opens the pool of the standby, of as many connections as lists have on the writer where its URL says nothing else.
func (db *DB) openStandby(o Options, connections int32) error {
	config, err := poolConfig(o.PostgresRead, connections)
	if err != nil {
		return err
	}
	config.ConnConfig.ConnectTimeout, config.ConnConfig.DialFunc = standbyTimeout, dialer(standbyTimeout)
	config.ConnConfig.Tracer = tracerOf(o, "standby")
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return fmt.Errorf("the standby can't be opened: %w", err)
	}
	lists := stdlib.OpenDBFromPool(pool)
	closeOthers, usesOfOthers := db.close, db.poolUses
	db.close = func() { pool.Close(); closeOthers() }
	db.poolUses = func() map[string]PoolUse {
		uses := usesOfOthers()
		uses["standby"] = poolUse(pool)
		return uses
	}
	db.pools = append(db.pools, lists)
	reader, err := openReader(postgresDialector{postgres.New(postgres.Config{Conn: lists})}, db.engine)
	db.standby = &standby{writer: db.reader, reader: reader, reset: pool.Reset}
	return err
}

func poolUse(pool *pgxpool.Pool) PoolUse {
	s := pool.Stat()
	return PoolUse{int(s.AcquiredConns()), int(s.MaxConns()), s.EmptyAcquireCount(), s.EmptyAcquireWaitTime()}
}

const (
	// deadPeerTimeout is how long the other side's machine may be silent before a connection is given up. By default the
	// kernel goes on for a quarter of an hour. A packet is sent again four times before.
	deadPeerTimeout = 6 * time.Second
	// pingTimeout bounds the question whether a connection that was idle still works: a server that hangs never answers.
	pingTimeout = 3 * time.Second
)

// connectTimeout is how long an attempt to connect to one host may take where the URL has no connect_timeout. Where there are
// several hosts, the next one may be there.
func connectTimeout(config *pgx.ConnConfig) time.Duration {
	for _, each := range config.Fallbacks { // has the same host once more for a connection without TLS
		if each.Host != config.Host || each.Port != config.Port {
			return 3 * time.Second
		}
	}
	return 10 * time.Second
}

// abandonTimeout is how long a connection that was given up may take to close. It keeps its place in the pool meanwhile, and the
// driver's own limit of 15 seconds would leave a pool whose server hangs without a place for connections to the next one.
const abandonTimeout = 3 * time.Second

// abandon bounds how long the driver waits for the server to close a connection that was given up.
func abandon(conn *pgx.Conn) {
	if conn.IsClosed() {
		time.AfterFunc(abandonTimeout, func() { _ = conn.PgConn().Conn().Close() }) // fails where it is closed already
	}
}

// dialer returns a function that connects to a server, within timeout. The connection fails within deadPeerTimeout of the
// server's machine being lost, idle or not. Before the driver closes a connection that was given up, it connects once more to
// cancel the statement: its context has more time than timeout, and abandonTimeout has to do.
func dialer(timeout time.Duration) pgconn.DialFunc {
	d := net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadPeerTimeout / 2, Interval: time.Second, Count: 3},
		Control:         limitSilence,
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		deadline, limited := ctx.Deadline()
		isCancel := limited && time.Until(deadline) > timeout
		conn, err := d.DialContext(ctx, network, address)
		if err == nil && isCancel {
			err = conn.SetDeadline(time.Now().Add(abandonTimeout))
		}
		return conn, err
	}
}

// setUpConnection makes the server plan each statement once, whatever its arguments. By default the server plans most
// lists again each time, which takes several times as long as to run them, and compiles some. It also makes the server run
// each statement on one core: otherwise an expensive list takes three. These are no parameters of the connection, because
// some poolers refuse those.
func setUpConnection(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan; SET jit = off;"+
		" SET max_parallel_workers_per_gather = 0")
	return err
}

// postgresDialector writes the number of a LIMIT into the text of a statement, as gormlite does: a plan for any number of
// rows is a plan for many.
type postgresDialector struct{ gorm.Dialector }

// Initialize implements gorm.Dialector.
func (d postgresDialector) Initialize(db *gorm.DB) error {
	db.ClauseBuilders["LIMIT"] = func(c clause.Clause, builder clause.Builder) {
		limit, ok := c.Expression.(clause.Limit)
		if !ok {
			return
		}
		if limit.Limit != nil {
			_, _ = builder.WriteString("LIMIT " + strconv.Itoa(*limit.Limit))
		}
		if limit.Offset > 0 {
			_, _ = builder.WriteString(" OFFSET ")
			builder.AddVar(builder, limit.Offset)
		}
	}
	return d.Dialector.Initialize(db)
}

// How often a process that waits to migrate looks again, and how many times.
const (
	lockPeriod   = 500 * time.Millisecond
	lockAttempts = 600
)

// How long a process that died keeps others from migrating, and how often a process that migrates says that it lives.
const (
	lockLease     = 15 * time.Second
	lockHeartbeat = 3 * time.Second
)

// migrations implements engine. The lock of those who migrate is a row, because a lock of a session does not pass a pooler that
// shares connections between transactions.
func (postgresEngine) migrations() (goose.Dialect, fs.FS, []goose.ProviderOption, error) {
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableLeaseDuration(lockLease), lock.WithTableHeartbeatInterval(lockHeartbeat),
		lock.WithTableLockTimeout(lockPeriod, lockAttempts), lock.WithTableLogger(slog.New(slog.DiscardHandler)),
		lock.WithTableRetryPolicy(isHeld))
	if err != nil {
		return "", nil, nil, err
	}
	files, err := fs.Sub(migrations.Postgres, "postgres")
	return goose.DialectPostgres, files, []goose.ProviderOption{goose.WithLocker(locker)}, err
}

// isHeld reports whether the error of a try to get the lock means that another process has it, and not that the database can't be
// used. The library has no error of its own for that.
func isHeld(err error) bool {
	var refused *pgconn.PgError
	return !errors.As(err, &refused) && !postgresEngine{}.unavailable(err)
}

func (postgresEngine) now(session *gorm.DB) (now time.Time, err error) {
	return now, session.Raw("SELECT now()").Row().Scan(&now)
}

func (postgresEngine) hasTable() string { return "SELECT to_regclass(?) IS NOT NULL" }

func (postgresEngine) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (postgresEngine) in(column string, ids []uuid.UUID) clause.Expr {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return clause.Expr{SQL: column + " = ANY (?::uuid[])", Vars: []any{"{" + strings.Join(texts, ",") + "}"}}
}

func (postgresEngine) inQuery(column string, query *gorm.DB) clause.Expr {
	return clause.Expr{SQL: column + " = ANY (ARRAY(?))", Vars: []any{query}}
}

func (postgresEngine) list(types []string) string {
	values := make([]string, len(types))
	for i, kind := range types {
		values[i] = fmt.Sprintf("(value->>%d)::%s", i, kind)
	}
	// In json, unlike jsonb, each value is searched for from the beginning of the text.
	return "SELECT " + strings.Join(values, ", ") + " FROM jsonb_array_elements(?::jsonb) AS listed (value)"
}

// SQLSTATE codes and classes (PostgreSQL documentation, appendix A).
const (
	uniqueViolation        = "23505"
	foreignKeyViolation    = "23503"
	classConnection        = "08"
	classRollback          = "40" // deadlock, serialization failure
	classResources         = "53" // disk full, too many connections
	classOperatorIntervene = "57" // shutting down, starting up, timed out
	readOnlyTransaction    = "25006"
)

func (postgresEngine) currentTime() string { return "now()" }

func (postgresEngine) duplicate(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == uniqueViolation
}

func (postgresEngine) missing(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == foreignKeyViolation
}

func (postgresEngine) unavailable(err error) bool {
	var connect *pgconn.ConnectError // for any reason of the server's: a password, a missing database
	var network *net.OpError
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed) { // an earlier statement ended the connection
		return true
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	for _, class := range []string{classConnection, classRollback, classResources, classOperatorIntervene} {
		if strings.HasPrefix(refused.Code, class) {
			return true
		}
	}
	return refused.Code == readOnlyTransaction
}

func (postgresEngine) rolledBack(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && strings.HasPrefix(refused.Code, classRollback)
}

// replanning is a driver whose statements PostgreSQL plans each time. The queue's tables go from empty to a hundred
// thousand rows and back within a minute: a plan that was made for the empty table reads the whole table at each look,
// until the table is analyzed.
type replanning struct{ driver.Connector }

// Connect implements driver.Connector.
func (r replanning) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return replanningConn{conn.(*stdlib.Conn)}, nil
}

type replanningConn struct{ *stdlib.Conn }

// QueryContext implements driver.QueryerContext.
func (c replanningConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.QueryContext(ctx, query, describedOnly(args))
}

// ExecContext implements driver.ExecerContext.
func (c replanningConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.ExecContext(ctx, query, describedOnly(args))
}

// describedOnly makes the driver keep the types of a statement's arguments and columns, and no prepared statement.
func describedOnly(args []driver.NamedValue) []driver.NamedValue {
	if len(args) == 0 { // a text without arguments may hold several statements, which can't be described
		return args
	}
	return append([]driver.NamedValue{{Value: pgx.QueryExecModeCacheDescribe}}, args...)
}
