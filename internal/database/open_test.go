package database_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/fault"
	"invited/internal/store"
	"invited/internal/storetest"
)

// eachConnection runs a query on every connection of a pool, all of which are taken at once. A row's connection is taken
// until the row is scanned.
func eachConnection(t *testing.T, pool *sql.DB, size int, query string) []*sql.Row {
	t.Helper()
	rows := make([]*sql.Row, size)
	waiting, stop := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(stop) // a row is read with the context that it was asked for with
	for i := range rows {
		rows[i] = pool.QueryRowContext(waiting, query)
	}
	// No connection is left: the rows are of all connections, and each is of another one.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var one int
	require.ErrorIs(t, pool.QueryRowContext(ctx, "SELECT 1").Scan(&one), context.DeadlineExceeded,
		"the pool has more than %d connections", size)
	return rows
}

// poolOf returns the pool of the sessions of Read or Write.
func poolOf(t *testing.T, run func(context.Context, func(*gorm.DB, time.Time) error) error) (pool *sql.DB) {
	t.Helper()
	require.NoError(t, run(t.Context(), func(tx *gorm.DB, _ time.Time) (err error) {
		pool, err = tx.Session(&gorm.Session{NewDB: true}).DB()
		return err
	}))
	return pool
}

func TestEverySQLiteConnectionIsSetUp(t *testing.T) {
	onSQLite(t, func(t *testing.T, e *env) {
		for name, pool := range map[string]*sql.DB{"writers and queue": e.db.QueuePool(), "readers": poolOf(t, e.db.Read), "lists": poolOf(t, e.listsOf(uuid.New()))} {
			for _, row := range eachConnection(t, pool, 4, `SELECT journal_mode, timeout, foreign_keys, synchronous
				FROM pragma_journal_mode, pragma_busy_timeout, pragma_foreign_keys, pragma_synchronous`) {
				var (
					journal                           string
					busyTimeout, foreign, synchronous int
				)
				require.NoError(t, row.Scan(&journal, &busyTimeout, &foreign, &synchronous))
				require.Equal(t, "wal", journal, name)
				require.Equal(t, 5000, busyTimeout, name)
				require.Equal(t, 1, foreign, name)
				require.Equal(t, 2, synchronous, "FULL")
			}
		}
	})
}

// Readers have a pool that no writer takes a connection from.
func TestSQLiteReadersWaitForNoWriter(t *testing.T) {
	onSQLite(t, func(t *testing.T, e *env) {
		for _, row := range eachConnection(t, e.db.QueuePool(), 4, "SELECT 1") {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			require.NoError(t, e.db.Read(ctx, func(tx *gorm.DB, _ time.Time) error { return tx.Find(&[]note{}).Error }))
			cancel()
			var one int
			require.NoError(t, row.Scan(&one))
		}
	})
}

func TestEveryPostgresConnectionIsSetUp(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) {
		for name, each := range e.pools() {
			for _, row := range eachConnection(t, each.pool, each.size, `SELECT current_setting('TimeZone'),
				current_setting('application_name'), current_setting('plan_cache_mode'), current_setting('jit'),
				current_setting('max_parallel_workers_per_gather')`) {
				var zone, application, plans, jit, parallel string
				require.NoError(t, row.Scan(&zone, &application, &plans, &jit, &parallel))
				require.Equal(t, "UTC", zone, name)
				require.Equal(t, "invited", application, name)
				require.Equal(t, "force_generic_plan", plans, name)
				require.Equal(t, "off", jit, name)
				require.Equal(t, "0", parallel, name)
			}
		}
	})
}

type sizedPool struct {
	pool *sql.DB
	size int
}

// pools returns the three pools of a database of PostgreSQL whose URL does not set their size.
func (e *env) pools() map[string]sizedPool {
	return map[string]sizedPool{
		"short": {poolOf(e.t, e.db.Read), 12}, "lists": {poolOf(e.t, e.listsOf(uuid.New())), 4}, "queue": {e.db.QueuePool(), 4},
	}
}

func TestPostgresPoolsAreAsLargeAsTheURLSays(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) {
		address, err := url.Parse(e.url)
		require.NoError(t, err)
		withSize := func(size string) string {
			query := address.Query()
			query.Set("pool_max_conns", size)
			query.Set("pool_min_conns", size) // no pool opens more than its own
			changed := *address
			changed.RawQuery = query.Encode()
			return changed.String()
		}
		for size, want := range map[string][3]int{"3": {2, 2, 1}, "4": {2, 1, 1}, "10": {6, 2, 2}} { // short, lists, queue
			small := &env{t: t, db: open(t, withSize(size), database.Options{})}
			lists := small.listsOf(uuid.New())
			for i, pool := range []*sql.DB{poolOf(t, small.db.Read), poolOf(t, lists), small.db.QueuePool()} {
				for _, row := range eachConnection(t, pool, want[i], "SELECT 1") {
					var one int
					require.NoError(t, row.Scan(&one))
				}
			}
			many := hold(t, 5, lists)
			many.have(t, 1) // half of 2, of 1, and of the one that lists may take where there are 3 in all
			small.requireRuns("a short request", small.db.Read)
			many.finish(t)
		}
		smallest := storetest.Open(t, withSize("3"), nil)
		_, err = smallest.Migrate(t.Context()) // holds a connection for the lock, and needs another
		require.NoError(t, err)
		_, err = database.Open(database.Options{Postgres: withSize("2")})
		require.EqualError(t, err, "pool_max_conns in the database URL must be at least 3")
	})
}

func TestSQLiteFileIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	// Characters with a meaning in a URL have none in a path.
	folder := filepath.Join(t.TempDir(), "new folder", "50% off? #1 ü +")
	path := filepath.Join(folder, "invited.db")
	db := storetest.Open(t, "sqlite://"+path, nil)
	_, err := db.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.Write(t.Context(), func(tx *gorm.DB, _ time.Time) error {
		return tx.Exec("CREATE TABLE notes (id bigint)").Error
	}))

	info, err := os.Stat(folder)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	names := []string{}
	for _, each := range entries {
		info, err := each.Info()
		require.NoError(t, err)
		names = append(names, each.Name())
		if each.Name() != "invited.db-shm" { // holds the positions of pages, and nothing of their contents
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), each.Name())
		}
	}
	require.Subset(t, names, []string{"invited.db", "invited.db-wal", "invited.db-shm"})
}

func TestSQLiteFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{filepath.Join(file, "invited.db"), filepath.Dir(file)} {
		_, err := database.Open(database.Options{SQLite: path})
		require.Error(t, err)
		require.Contains(t, err.Error(), "the database file")
		require.Contains(t, err.Error(), filepath.Dir(file))
	}

	// The first query finds that a file is no database.
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("no database at all. ", 500)), 0o600))
	db, err := database.Open(database.Options{SQLite: file})
	if err == nil {
		require.Error(t, db.Ping(t.Context()))
		require.NoError(t, db.Close())
	}
}

func TestSQLiteFileIsOpenedAgain(t *testing.T) {
	t.Parallel()
	o := database.Options{SQLite: filepath.Join(t.TempDir(), "invited.db")}
	db, err := store.Open(o)
	require.NoError(t, err)
	_, err = db.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Error(t, db.Write(t.Context(), func(*gorm.DB, time.Time) error { return nil }), "used after Close")

	db, err = store.Open(o)
	require.NoError(t, err)
	current, err := db.Current(t.Context())
	require.NoError(t, err)
	require.True(t, current)
	require.NoError(t, db.Close())
}

// A writer waits for the write lock of another program. After five seconds the database is unavailable. Readers never wait.
func TestBusySQLite(t *testing.T) {
	onSQLite(t, func(t *testing.T, e *env) {
		conn, err := e.outside.Conn(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		hold := func() {
			_, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
			require.NoError(t, err)
		}
		letGo := func() error {
			_, err := conn.ExecContext(context.WithoutCancel(t.Context()), "COMMIT")
			return err
		}
		next := int64(0)
		write := func() error {
			next++
			return e.write(func(tx *gorm.DB) error { return tx.Create(newNote(next, time.Now().String())).Error })
		}

		hold()
		held := time.Now()
		timer := time.AfterFunc(300*time.Millisecond, func() { assert.NoError(t, letGo()) })
		defer timer.Stop()
		require.NoError(t, write())
		require.GreaterOrEqual(t, time.Since(held), 290*time.Millisecond)

		hold()
		begun := time.Now()
		_, err = e.find(1)
		require.NoError(t, err)
		require.Less(t, time.Since(begun), time.Second)

		begun = time.Now()
		err = write()
		require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		require.ErrorIs(t, err, database.ErrUnavailable)
		require.Greater(t, time.Since(begun), 4*time.Second)
		require.NoError(t, letGo())
		require.NoError(t, write())
	})
}

func TestUnreachablePostgres(t *testing.T) {
	t.Parallel()
	db, err := database.Open(database.Options{Postgres: "postgres://invited:pa55word@127.0.0.1:1/invited"})
	require.NoError(t, err, "opening must not need the server")
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	nothing := func(*gorm.DB, time.Time) error { return nil }
	_, migrating := db.Migrate(t.Context())
	_, listing := db.Migrations(t.Context())
	_, comparing := db.Current(t.Context())
	_, asking := db.Now(t.Context())
	for what, err := range map[string]error{
		"ping":       db.Ping(t.Context()),
		"migrate":    migrating,
		"migrations": listing,
		"current":    comparing,
		"now":        asking,
		"read":       db.Read(t.Context(), nothing),
		"snapshot":   db.Snapshot(t.Context(), nothing),
		"write":      db.Write(t.Context(), nothing),
		"list":       db.ReadList(t.Context(), uuid.New(), nothing),
	} {
		require.True(t, fault.Is(err, fault.KindUnavailable), "%s: %v", what, err)
		require.ErrorIs(t, err, database.ErrUnavailable, what)
		require.NotContains(t, err.Error(), "pa55word", what)
	}
}

func TestPostgresURLIsNeverRepeated(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://invited:pa55word@host:port/invited",
		"postgres://invited:pa55word@[::1/invited",
		"postgres://invited:pa55word@host/invited?sslmode=sometimes",
		"postgres://invited:pa55%zzword@host/invited",
	} {
		_, err := database.Open(database.Options{Postgres: address})
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "pa55", address)
	}
}

// A server that is restarted ends its connections: the transactions that run fail, and no later one.
func TestPostgresThatIsRestarted(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) {
		admin := e.outside
		terminate := func() {
			_, err := admin.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			require.NoError(t, err)
		}
		err := e.write(func(tx *gorm.DB) error {
			if err := tx.Create(newNote(1, "a")).Error; err != nil {
				return err
			}
			terminate()
			return nil
		})
		require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		require.ErrorIs(t, err, database.ErrUnavailable)
		require.Zero(t, e.count())

		// The pool looks at a connection that was idle for a second before it hands the connection out.
		var readers sync.WaitGroup
		for range 5 {
			readers.Go(func() {
				assert.NoError(t, e.read(func(tx *gorm.DB) error {
					var one int
					return tx.Raw("SELECT 1 FROM pg_sleep(0.1)").Scan(&one).Error
				}))
			})
		}
		readers.Wait()
		terminate()
		<-time.After(1100 * time.Millisecond)
		for i := range 5 {
			e.insert(newNote(int64(i+1), time.Now().String()))
		}
		require.Equal(t, 5, e.count())
	})
}
