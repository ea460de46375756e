package database_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/storetest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		db := storetest.Open(t, e.Empty(t), nil)
		current, err := db.Current(t.Context())
		require.NoError(t, err)
		require.False(t, current)
		before, err := db.Migrations(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, before)
		for _, each := range before {
			require.Nil(t, each.Applied, each.Name)
		}

		applied, err := db.Migrate(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, applied)
		current, err = db.Current(t.Context())
		require.NoError(t, err)
		require.True(t, current)
		after, err := db.Migrations(t.Context())
		require.NoError(t, err)
		require.Len(t, after, len(before))
		for i, each := range after {
			require.Equal(t, before[i].Version, each.Version)
			require.NotNil(t, each.Applied, each.Name)
		}

		applied, err = db.Migrate(t.Context())
		require.NoError(t, err)
		require.Empty(t, applied)
	})
}

// Several processes that migrate at once apply each step once.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Empty(t)
		var (
			group   sync.WaitGroup
			mu      sync.Mutex
			applied []int64
			begin   = make(chan struct{})
		)
		for range 4 {
			db := storetest.Open(t, address, nil)
			require.NoError(t, db.Ping(t.Context()))
			group.Go(func() {
				<-begin
				steps, err := db.Migrate(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, each := range steps {
					applied = append(applied, each.Version)
				}
			})
		}
		close(begin)
		group.Wait()
		found, err := storetest.Open(t, address, nil).Migrations(t.Context())
		require.NoError(t, err)
		versions := make([]int64, 0, len(found))
		for _, each := range found {
			require.NotNil(t, each.Applied, each.Name)
			versions = append(versions, each.Version)
		}
		slices.Sort(applied)
		require.Equal(t, versions, applied, "each step is applied once")
	})
}

// holdMigrationLock locks the migrations as another process does while it migrates. The function that is returned unlocks
// them.
func holdMigrationLock(t *testing.T, address string) (release func() error) {
	t.Helper()
	if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
		held := flock.New(path + ".migrate.lock")
		require.NoError(t, held.Lock())
		return held.Unlock
	}
	pool := outside(t, address)
	locker, err := lock.NewPostgresTableLocker()
	require.NoError(t, err)
	require.NoError(t, locker.Lock(t.Context(), pool))
	return func() error { return locker.Unlock(context.WithoutCancel(t.Context()), pool) }
}

func TestMigrateWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Empty(t)
		db := storetest.Open(t, address, nil)
		release := holdMigrationLock(t, address)
		ended := make(chan error, 1)
		go func() {
			_, err := db.Migrate(t.Context())
			ended <- err
		}()
		select {
		case err := <-ended:
			require.Fail(t, "Migrate did not wait", "%v", err)
		case <-time.After(500 * time.Millisecond):
		}
		require.NoError(t, release())
		require.NoError(t, <-ended)
	})
}

// Every replica is asked all the time whether it is ready, also while one of them migrates.
func TestCurrentDoesNotWaitForMigrations(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Fresh(t)
		db := storetest.Open(t, address, nil)
		release := holdMigrationLock(t, address)
		t.Cleanup(func() { require.NoError(t, release()) })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				current, err := db.Current(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				assert.True(t, current)
			})
		}
		group.Wait()
	})
}

func TestCurrentAndMigrationsChangeNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Empty(t)
		db := storetest.Open(t, address, nil)
		_, err := db.Current(t.Context())
		require.NoError(t, err)
		_, err = db.Migrations(t.Context())
		require.NoError(t, err)
		count := map[string]string{
			"sqlite":   "SELECT count(*) FROM sqlite_master",
			"postgres": "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'",
		}
		var tables int
		require.NoError(t, outside(t, address).QueryRow(count[e.Name]).Scan(&tables))
		require.Zero(t, tables)
	})
}

func TestMigrateContinuesAfterFailedStep(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Empty(t)
		db := storetest.Open(t, address, nil)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := db.Migrate(cancelled)
		require.Error(t, err)

		pool := outside(t, address)
		_, err = pool.Exec("CREATE TABLE invitations (uuid text)")
		require.NoError(t, err)
		_, err = db.Migrate(t.Context())
		require.ErrorContains(t, err, "invitations")
		current, err := db.Current(t.Context())
		require.NoError(t, err)
		require.False(t, current)

		_, err = pool.Exec("DROP TABLE invitations")
		require.NoError(t, err)
		_, err = db.Migrate(t.Context())
		require.NoError(t, err)
		current, err = db.Current(t.Context())
		require.NoError(t, err)
		require.True(t, current)
	})
}

// A step that PostgreSQL ends so that a running server's transaction can go on is tried again.
func TestMigrateTriesAgainAfterDeadlock(t *testing.T) {
	onPostgres(t, func(t *testing.T, _ *env) { // SQLite ends no transaction for another
		address := storetest.Engines[1].Fresh(t)
		tries := 0
		db := open(t, address, database.Options{Migrations: []database.GoMigration{{
			Name: "a step that meets with a server", Migration: goose.NewGoMigration(9_999, &goose.GoFunc{
				RunTx: func(ctx context.Context, tx *sql.Tx) error {
					if tries++; tries == 3 {
						return nil
					}
					_, err := tx.ExecContext(ctx, "DO $$ BEGIN RAISE deadlock_detected; END $$")
					return err
				},
			}, nil),
		}}})
		applied, err := db.Migrate(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, tries)
		require.Len(t, applied, 1)
		require.EqualValues(t, 9_999, applied[0].Version)
	})
}
