package store_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// scanned is a row that was asked for; its connection is taken until it is scanned.
type scanned interface{ Scan(into ...any) error }

// eachConnection asks the same of every connection of a pool of this size, all taken at once.
func eachConnection(t *testing.T, db *store.Store, size int, query string) []scanned {
	t.Helper()
	rows := make([]scanned, size)
	for i := range rows {
		rows[i] = db.Queue().GetExecutor().QueryRow(t.Context(), query)
	}
	// There are no more: so these are all, and all different.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var one int
	require.ErrorIs(t, db.Queue().GetExecutor().QueryRow(ctx, "SELECT 1").Scan(&one), context.DeadlineExceeded,
		"the pool has more than %d connections", size)
	return rows
}

func TestEverySQLiteConnectionIsSetUp(t *testing.T) {
	t.Parallel()
	db, err := store.Open(database.Options{SQLite: filepath.Join(t.TempDir(), "invited.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Migrate(t.Context())
	require.NoError(t, err)

	for _, row := range eachConnection(t, db, 4, `SELECT journal_mode, timeout, foreign_keys, synchronous
		FROM pragma_journal_mode, pragma_busy_timeout, pragma_foreign_keys, pragma_synchronous`) {
		var (
			journal                           string
			busyTimeout, foreign, synchronous int
		)
		require.NoError(t, row.Scan(&journal, &busyTimeout, &foreign, &synchronous))
		require.Equal(t, "wal", journal)
		require.Equal(t, 5000, busyTimeout)
		require.Equal(t, 1, foreign)
		require.Equal(t, 2, synchronous, "FULL")
	}
}

func TestEveryPostgresConnectionIsSetUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if e.Name != "postgres" {
			return
		}
		db := e.Open(t, nil)
		for _, row := range eachConnection(t, db, 20,
			"SELECT current_setting('TimeZone'), current_setting('application_name')") {
			var zone, application string
			require.NoError(t, row.Scan(&zone, &application))
			require.Equal(t, "UTC", zone)
			require.Equal(t, "invited", application)
		}
	})
}

func TestPostgresPoolIsAsLargeAsTheURLSays(t *testing.T) {
	t.Parallel()
	for _, e := range storetest.Engines {
		if e.Name != "postgres" {
			continue
		}
		address, err := url.Parse(e.Empty(t))
		require.NoError(t, err)
		sized := func(size string) string {
			query := address.Query()
			query.Set("pool_max_conns", size)
			sized := *address
			sized.RawQuery = query.Encode()
			return sized.String()
		}
		db := storetest.Open(t, sized("2"), nil)
		_, err = db.Migrate(t.Context())
		require.NoError(t, err)
		for _, row := range eachConnection(t, db, 2, "SELECT 1") {
			var one int
			require.NoError(t, row.Scan(&one))
		}
		_, err = store.Open(database.Options{Postgres: sized("1")})
		require.EqualError(t, err, "pool_max_conns in the database URL must be at least 2")
	}
}

func TestSQLiteFileIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	// Characters that mean something in a URL mean nothing in a path.
	folder := filepath.Join(t.TempDir(), "new folder", "50% off? #1 ü")
	path := filepath.Join(folder, "invited.db")
	db, err := store.Open(database.Options{SQLite: path})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.Enqueue(invitation.Deliver{Invitation: uuid.New()})
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
		if each.Name() != "invited.db-shm" { // says which pages are where, never what is in them
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), each.Name())
		}
	}
	require.Subset(t, names, []string{"invited.db", "invited.db-wal", "invited.db-shm"})
}

func TestSQLiteFileThatCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{filepath.Join(file, "invited.db"), filepath.Dir(file)} {
		_, err := store.Open(database.Options{SQLite: path})
		require.Error(t, err)
		require.Contains(t, err.Error(), "the database file")
		require.Contains(t, err.Error(), file[:len(file)-len("/file")])
	}

	// A file that is something else is found out with the first query.
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("no database at all. ", 500)), 0o600))
	db, err := store.Open(database.Options{SQLite: file})
	if err == nil {
		require.Error(t, db.Ping(t.Context()))
		require.NoError(t, db.Close())
	}
}

func TestSQLiteFileIsOpenedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "invited.db")
	db, err := store.Open(database.Options{SQLite: path})
	require.NoError(t, err)
	_, err = db.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Error(t, db.Write(t.Context(), func(*store.Tx) error { return nil }), "used after Close")

	db, err = store.Open(database.Options{SQLite: path})
	require.NoError(t, err)
	current, err := db.Current(t.Context())
	require.NoError(t, err)
	require.True(t, current)
	require.NoError(t, db.Close())
}

// A write lock that another program holds is waited for, and past the patience of five seconds the answer is that
// the database is busy. Readers never wait.
func TestBusySQLite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if e.Name != "sqlite" {
			return
		}
		address := e.Fresh(t)
		db := storetest.Open(t, address, nil)
		conn, err := outside(t, address).Conn(t.Context())
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
		write := func() error {
			return db.Write(t.Context(), func(tx *store.Tx) error {
				return tx.Enqueue(invitation.Deliver{Invitation: uuid.New()})
			})
		}

		hold()
		held := time.Now()
		timer := time.AfterFunc(300*time.Millisecond, func() { assert.NoError(t, letGo()) })
		defer timer.Stop()
		require.NoError(t, write())
		require.GreaterOrEqual(t, time.Since(held), 290*time.Millisecond)

		hold()
		begun := time.Now()
		require.NoError(t, db.Read(t.Context(), func(tx *store.Tx) error {
			_, err := tx.StaffToNotify()
			return err
		}))
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
	db, err := store.Open(database.Options{Postgres: "postgres://invited:pa55word@127.0.0.1:1/invited"})
	require.NoError(t, err, "opening must not need the server")
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, migrating := db.Migrate(t.Context())
	_, asking := db.Current(t.Context())
	_, owning := db.Owner(t.Context(), "digest")
	for what, err := range map[string]error{
		"ping":    db.Ping(t.Context()),
		"migrate": migrating,
		"current": asking,
		"owner":   owning,
		"read":    db.Read(t.Context(), func(*store.Tx) error { return nil }),
		"write":   db.Write(t.Context(), func(*store.Tx) error { return nil }),
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
		_, err := store.Open(database.Options{Postgres: address})
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "pa55", address)
	}
}

// A server that ends connections, as one that is restarted does, fails what runs and nothing later.
func TestPostgresThatGoesAndComesBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if e.Name != "postgres" {
			return
		}
		address := e.Fresh(t)
		db := storetest.Open(t, address, nil)
		admin := outside(t, address)
		terminate := func() {
			_, err := admin.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			require.NoError(t, err)
		}
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			if err := tx.Enqueue(invitation.Deliver{Invitation: uuid.New()}); err != nil {
				return err
			}
			if err := tx.LockDirectory(); err != nil {
				return err
			}
			terminate()
			return nil
		})
		require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		require.Empty(t, storetest.Jobs(t, db, invitation.Deliver{}.Kind()))

		require.NoError(t, db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.Enqueue(invitation.Deliver{Invitation: uuid.New()})
		}))
		require.Len(t, storetest.Jobs(t, db, invitation.Deliver{}.Kind()), 1)
	})
}

// Two that lock each other's rows: the server ends one, who is told to come again.
func TestPostgresDeadlockIsUnavailable(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		if strings.HasPrefix(p.url, "sqlite:") {
			return // there is one writer
		}
		one, other := p.insert(p.draft("one@university.example")), p.insert(p.draft("other@university.example"))
		both := make(chan struct{}, 2)
		meet := make(chan struct{})
		results := make(chan error, 2)
		for _, ids := range [][2]uuid.UUID{{one, other}, {other, one}} {
			go func() {
				results <- p.db.Write(t.Context(), func(tx *store.Tx) error {
					if _, err := tx.Lock(ids[0]); err != nil {
						return err
					}
					both <- struct{}{}
					<-meet
					_, err := tx.Lock(ids[1])
					return err
				})
			}()
		}
		<-both
		<-both
		close(meet)
		errs := []error{<-results, <-results}
		if errs[0] == nil {
			errs[0], errs[1] = errs[1], errs[0]
		}
		require.NoError(t, errs[1])
		require.True(t, fault.Is(errs[0], fault.KindUnavailable), "%v", errs[0])
	})
}
