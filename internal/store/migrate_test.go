package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory/dirfile"
	"invited/internal/store"
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

		// The queue's own schema is whole, and the one that its library is made for.
		migrator, err := rivermigrate.New(db.Queue(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		said, err := migrator.Validate(t.Context())
		require.NoError(t, err)
		require.True(t, said.OK, "a newer version of the job queue needs a migration: %s", said.Messages)
	})
}

func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Empty(t)
		var (
			all     sync.WaitGroup
			mu      sync.Mutex
			applied []int64
			begin   = make(chan struct{})
		)
		for range 4 {
			db := storetest.Open(t, address, nil)
			require.NoError(t, db.Ping(t.Context()))
			all.Go(func() {
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
		all.Wait()
		whole, err := storetest.Open(t, address, nil).Migrations(t.Context())
		require.NoError(t, err)
		versions := make([]int64, 0, len(whole))
		for _, each := range whole {
			require.NotNil(t, each.Applied, each.Name)
			versions = append(versions, each.Version)
		}
		slices.Sort(applied)
		require.Equal(t, versions, applied, "each step once")
	})
}

// Names that were there before they could be searched by can be: by the one rule of case, which is no database's.
func TestMigrateFoldsNames(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Fresh(t)
		db := storetest.Open(t, address, nil)
		file, err := dirfile.Decode(strings.NewReader(`
users: [{username: ann, full_name: "ÅSA \u212Aelvin"}, {username: nobody}]
roles: [{name: Résumé.OWNER, description: DÉJÀ vu, scope_type: project}]`))
		require.NoError(t, err)
		_, err = dirfile.Apply(t.Context(), db.Directory(), file, nil)
		require.NoError(t, err)
		folded := func() string {
			var found string
			require.NoError(t, outside(t, address).QueryRow(`SELECT u.full_name_folded || '|' || r.name_folded || '|' || r.description_folded
				FROM users u, roles r WHERE u.username = 'ann'`).Scan(&found))
			return found
		}
		before := folded()
		require.Equal(t, "åsa \u212aelvin|résumé.owner|déjà vu", before)
		for _, statement := range []string{
			"UPDATE users SET full_name_folded = ''", "UPDATE roles SET name_folded = '', description_folded = ''",
		} {
			_, err := outside(t, address).Exec(statement)
			require.NoError(t, err)
		}
		require.NotEqual(t, before, folded())
		tx, err := outside(t, address).Begin()
		require.NoError(t, err)
		require.NoError(t, store.FoldNames(t.Context(), tx))
		require.NoError(t, tx.Commit())
		require.Equal(t, before, folded())
	})
}

// migrating stands for another process that migrates, until the function is called that it returns.
func migrating(t *testing.T, address string) (done func() error) {
	t.Helper()
	if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
		held := flock.New(path + ".migrate.lock")
		require.NoError(t, held.Lock())
		return held.Unlock
	}
	conn, err := outside(t, address).Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", lock.DefaultLockID)
	require.NoError(t, err)
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(t.Context()), "SELECT pg_advisory_unlock($1)", lock.DefaultLockID)
		return errors.Join(err, conn.Close())
	}
}

func TestMigrateWaitsForWhoeverMigrates(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Empty(t)
		db := storetest.Open(t, address, nil)
		release := migrating(t, address)
		ended := make(chan error, 1)
		go func() {
			_, err := db.Migrate(t.Context())
			ended <- err
		}()
		select {
		case err := <-ended:
			require.Fail(t, "it did not wait", "%v", err)
		case <-time.After(500 * time.Millisecond):
		}
		require.NoError(t, release())
		require.NoError(t, <-ended)
	})
}

// What only looks waits for nobody: every replica is asked all the time whether it is ready, while one migrates too.
func TestLookingAtMigrationsWaitsForNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Fresh(t)
		db := storetest.Open(t, address, nil)
		release := migrating(t, address)
		t.Cleanup(func() { require.NoError(t, release()) })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				current, err := db.Current(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				assert.True(t, current)
			})
		}
		all.Wait()
	})
}

func TestLookingAtMigrationsChangesNothing(t *testing.T) {
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

func TestMigrateAgainAfterAStepThatFailed(t *testing.T) {
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

// What the queries below find of a schema, in words that are the same for both engines. Types are those of SQLite,
// which has fewer.
var introspection = map[string]map[string]string{
	"sqlite": {
		"columns": `SELECT m.name || '.' || c.name || ' ' || CASE WHEN c.pk AND c.type = 'INTEGER' THEN 'bigint' ELSE lower(c.type) END || CASE WHEN c."notnull" OR c.pk THEN ' not null' ELSE '' END
			FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`,
		"indexes": `SELECT m.name || CASE WHEN i."unique" THEN ' unique' ELSE '' END ||
				CASE WHEN i.partial THEN ' partial' ELSE '' END || ' ' ||
				(SELECT group_concat(name || CASE WHEN "desc" THEN ' desc' ELSE '' END, ', ')
					FROM (SELECT * FROM pragma_index_xinfo(i.name) WHERE key ORDER BY seqno)) ||
				CASE i.origin WHEN 'c' THEN ' ' || i.name ELSE '' END
			FROM sqlite_master m JOIN pragma_index_list(m.name) i WHERE m.type = 'table'`,
		"references": `SELECT m.name || '.' || f."from" || ' to ' || f."table" || ' ' || lower(f.on_delete)
			FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`,
	},
	"postgres": {
		"columns": `SELECT table_name || '.' || column_name || ' ' || CASE data_type
					WHEN 'uuid' THEN 'text' WHEN 'timestamp with time zone' THEN 'timestamp' ELSE data_type END ||
				CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END
			FROM information_schema.columns WHERE table_schema = 'public'`,
		"indexes": `SELECT t.relname || CASE WHEN x.indisunique THEN ' unique' ELSE '' END ||
				CASE WHEN x.indpred IS NULL THEN '' ELSE ' partial' END || ' ' ||
				(SELECT string_agg(a.attname || CASE WHEN x.indoption[k.n - 1] & 1 = 1 THEN ' desc' ELSE '' END, ', ' ORDER BY k.n)
					FROM unnest(x.indkey) WITH ORDINALITY k (column_number, n)
					JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.column_number) ||
				CASE WHEN EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.oid) THEN '' ELSE ' ' || i.relname END
			FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
			JOIN pg_namespace s ON s.oid = t.relnamespace WHERE s.nspname = 'public'
				AND i.relname <> 'invitation_events_pkey' -- SQLite keeps rows in the order of such a key`,
		"references": `SELECT c.relname || '.' || a.attname || ' to ' || p.relname || ' ' ||
				CASE k.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'a' THEN 'no action' END
			FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
			JOIN pg_namespace s ON s.oid = c.relnamespace WHERE k.contype = 'f' AND s.nspname = 'public'`,
	},
}

// schema is what an introspection finds of the program's own tables.
func schema(t *testing.T, e storetest.Engine, address, what string) []string {
	t.Helper()
	rows, err := outside(t, address).Query(introspection[e.Name][what])
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	found := []string{}
	for rows.Next() {
		var one string
		require.NoError(t, rows.Scan(&one))
		// The libraries' tables are theirs to shape for each engine, and SQLite has nothing like the one index.
		if !strings.HasSuffix(one, " invitations_email_contains") && !strings.HasPrefix(one, "river_") && !strings.HasPrefix(one, "goose_") && !strings.HasPrefix(one, "sqlite_") {
			found = append(found, one)
		}
	}
	require.NoError(t, rows.Err())
	sort.Strings(found)
	return found
}

func TestBothEnginesHaveOneSchema(t *testing.T) {
	t.Parallel()
	found := map[string]map[string][]string{}
	var mu sync.Mutex
	t.Run("engines", func(t *testing.T) {
		storetest.Each(t, func(t *testing.T, e storetest.Engine) {
			address := e.Fresh(t)
			mine := map[string][]string{}
			for what := range introspection[e.Name] {
				mine[what] = schema(t, e, address, what)
			}
			mu.Lock()
			defer mu.Unlock()
			found[e.Name] = mine
		})
	})
	for what, least := range map[string]string{
		"columns":    "invitations.email_folded text not null",
		"indexes":    "memberships unique partial user_uuid, role_uuid, scope_uuid memberships_active",
		"references": "invitations.created_by_uuid to users set null",
	} {
		require.Contains(t, found["sqlite"][what], least)
		require.Equal(t, found["postgres"][what], found["sqlite"][what], what)
	}
	require.Contains(t, found["sqlite"]["indexes"], "users unique username")
}

// Which rows a partial index is about can't be compared as text: each engine rewrites the condition. The test in
// tx_test.go that refuses second rows goes through the states on both.

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	steps := map[string][]store.Migration{}
	var mu sync.Mutex
	t.Run("engines", func(t *testing.T) {
		storetest.Each(t, func(t *testing.T, e storetest.Engine) {
			found, err := storetest.Open(t, e.Fresh(t), nil).Migrations(t.Context())
			require.NoError(t, err)
			for i := range found {
				require.Equal(t, int64(i+1), found[i].Version)
				found[i].Applied = nil
			}
			mu.Lock()
			defer mu.Unlock()
			steps[e.Name] = found
		})
	})
	require.Equal(t, fmt.Sprint(steps["postgres"]), fmt.Sprint(steps["sqlite"]))
}
