package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
	"invited/migrations"
)

// The reasons for which a database refuses a row: SQLSTATE codes.
const (
	notUnique  = "23505"
	noParent   = "23503"
	failsCheck = "23514"
)

func requireRefused(t *testing.T, err error, reason string, message ...any) {
	t.Helper()
	require.Error(t, err, message...)
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		require.Equal(t, reason, refusal.Code, message...)
		return
	}
	code := map[string]error{
		notUnique: sqlite3.CONSTRAINT_UNIQUE, noParent: sqlite3.CONSTRAINT_FOREIGNKEY, failsCheck: sqlite3.CONSTRAINT_CHECK,
	}[reason]
	require.ErrorIs(t, err, code, message...)
}

// The schema of the job queue is complete, and is the one that the queue's library expects.
func TestQueueSchemaIsCurrent(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		migrator, err := rivermigrate.New(e.db.QueueDriver(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		result, err := migrator.Validate(t.Context())
		require.NoError(t, err)
		require.True(t, result.OK, "a newer version of the job queue needs a migration: %s", result.Messages)
	})
}

// Rows that are older than the folded columns get their folded texts, by the rule of directory.Fold and of no database.
func TestMigrationFoldsNames(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Fresh(t)
		db := storetest.Open(t, address, nil)
		applyFile(t, db, `
users: [{username: ann, full_name: "ÅSA \u212Aelvin"}, {username: nobody}]
roles: [{name: Résumé.OWNER, description: DÉJÀ vu, scope_type: project}]`)
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

// Addresses of the version before that were typed with a domain in ASCII form get the form that all addresses have. Where that
// would make two open invitations for one person, one stays as it is until the other one has ended and it is sent again.
func TestMigrationFoldsAddresses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := &env{t: t, url: engine.Fresh(t), postgres: engine.Name == "postgres"}
		e.db, e.outside = storetest.Open(t, e.url, nil), outside(t, e.url)
		applyFile(t, e.db, directoryFile)
		applyFile(t, e.db, "users: [{username: uma, email: Uma@xn--mller-kva.example}]")
		var ids []uuid.UUID
		for n, email := range []string{"uma@xn--mller-kva.example", "uma@MÜLLER.example", "Uma@XN--mller-kva.example", "xn--a@x.example"} {
			i := e.newInvitation(email)
			if i.EmailFolded = directory.Fold(email); n == 2 {
				i.StoredState = invitation.Canceled
			}
			ids = append(ids, e.insert(i))
		}
		require.NoError(t, e.exec("UPDATE users SET email_folded = 'uma@xn--mller-kva.example' WHERE username = 'uma'"))
		tx, err := e.outside.Begin()
		require.NoError(t, err)
		require.NoError(t, store.FoldAddresses(t.Context(), tx))
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"uma@müller.example"}, e.texts("SELECT email_folded FROM users WHERE username = 'uma'"))
		folded := map[uuid.UUID]string{}
		for _, id := range ids {
			folded[id] = e.mustFind(id).EmailFolded
		}
		require.Equal(t, map[uuid.UUID]string{
			ids[0]: "uma@xn--mller-kva.example", ids[1]: "uma@müller.example", ids[2]: "uma@müller.example", ids[3]: "xn--a@x.example",
		}, folded)

		applyFile(t, e.db, "users: [{username: olivia, is_staff: true}]")
		service := &invitation.Service{Store: e.db.Invitations(), Policy: invitation.Policy{Lifetime: lifetime}}
		olivia := directory.Actor{User: directory.User{UUID: oliviaID, IsStaff: true}}
		require.ErrorContains(t, service.Send(t.Context(), olivia, ids[0]), "already exists")
		require.NoError(t, service.Cancel(t.Context(), olivia, ids[1]))
		require.NoError(t, service.Send(t.Context(), olivia, ids[0]))
		require.Equal(t, "uma@müller.example", e.mustFind(ids[0]).EmailFolded)
	})
}

// Scopes of the version before get their slugs, and are found by them. They were not modified after their creation.
func TestMigrationAddsSlugs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		db, address := openAt(t, engine, 19)
		e := &env{t: t, url: address, db: db, outside: outside(t, address)}
		insert := func(name string) {
			id := uuid.New()
			require.NoError(t, e.exec(`INSERT INTO scopes (uuid, type, name, name_folded, description, description_folded, customer_uuid,
				is_removed, created) VALUES ('%s', 'customer', '%s', '', '', '', '%s', false, '2026-11-23T09:30:00.000000Z')`, id, name, id))
		}
		insert("Élan Vital")
		insert("Проект")
		_, err := db.Migrate(t.Context())
		require.NoError(t, err)
		// A replica of the version before still writes rows, without slugs.
		insert("Late")
		reader, staff := &directory.Reader{Store: db.ReadStore()}, directory.Actor{User: directory.User{IsStaff: true}}
		found, total, err := reader.Scopes(t.Context(), staff, directory.ScopeQuery{Type: directory.Customer, Slug: "elan-vital"}, 1, 10)
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, "Élan Vital", found[0].Name)
		require.Equal(t, "elan-vital", found[0].Slug)
		late, _, err := reader.Scopes(t.Context(), staff, directory.ScopeQuery{Type: directory.Customer, NameExact: "Late"}, 1, 10)
		require.NoError(t, err)
		require.Len(t, late, 1)
		require.Empty(t, late[0].Slug)
		at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
		for modified, expected := range map[directory.Period]int{
			{From: &at}: 3, {To: &at}: 3, {From: new(at.Add(1e3))}: 0, {To: new(at.Add(-1e3))}: 0,
		} {
			total, err := reader.CountScopes(t.Context(), staff, directory.ScopeQuery{Type: directory.Customer, Modified: modified})
			require.NoError(t, err)
			require.Equal(t, expected, total)
		}
		// The directory file repairs the slug of that row, and a slug changes with the name.
		for _, each := range []struct{ name, slug string }{{"Late", "late"}, {"Later on", "later-on"}} {
			applyFile(t, db, fmt.Sprintf("customers: [{uuid: %s, name: %s}]", late[0].UUID, each.name))
			found, _, err := reader.Scopes(t.Context(), staff, directory.ScopeQuery{Type: directory.Customer, Slug: each.slug}, 1, 10)
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, each.name, found[0].Name)
		}
	})
}

// openAt opens an empty database and applies the steps up to a version.
func openAt(t *testing.T, e storetest.Engine, version int64) (db *store.Store, address string) {
	t.Helper()
	address = e.Empty(t)
	db = storetest.Open(t, address, nil)
	_, err := provider(t, e, db).UpTo(t.Context(), version)
	require.NoError(t, err)
	return db, address
}

// provider returns the steps of the schema, to be applied up or down to a version.
func provider(t *testing.T, e storetest.Engine, db *store.Store) *goose.Provider {
	t.Helper()
	dialect, files := goose.DialectPostgres, fs.FS(migrations.Postgres)
	if e.Name == "sqlite" {
		dialect, files = goose.DialectSQLite3, migrations.SQLite
	}
	files, err := fs.Sub(files, e.Name)
	require.NoError(t, err)
	steps, err := goose.NewProvider(dialect, db.QueuePool(), files,
		goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(db.GoMigrations()...))
	require.NoError(t, err)
	return steps
}

// Tokens of the version before go on working, and get an id of their own each. A replica of that version can still issue
// tokens.
func TestMigrationNamesTokens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		db, address := openAt(t, engine, 9)
		e := &env{t: t, url: address, db: db, outside: outside(t, address)}
		require.NoError(t, e.exec(`INSERT INTO users (uuid, username, full_name, email, email_folded, civil_number, image,
			is_staff, is_support, is_active, notifications_enabled, created)
			VALUES ('%s', 'olivia', '', '', '', '', '', false, false, true, true, '2026-11-23T09:30:00.000000Z')`, oliviaID))
		issue := func(key, expires string) {
			require.NoError(t, e.exec(`INSERT INTO api_tokens (digest, user_uuid, created, expires)
				VALUES ('%s', '%s', '2026-11-23T09:30:00.000000Z', %s)`, token.Digest(key), oliviaID, expires))
		}
		issue("endless", "NULL")
		issue("short", "'2126-11-23T09:30:00.000000Z'")
		_, err := db.Migrate(t.Context())
		require.NoError(t, err)
		issue("later", "NULL")

		for key, expires := range map[string]*time.Time{
			"endless": nil, "later": nil, "short": new(time.Date(2126, 11, 23, 9, 30, 0, 0, time.UTC)),
		} {
			found, err := db.Credential(t.Context(), token.Digest(key))
			require.NoError(t, err, key)
			require.Equal(t, oliviaID, found.UUID, key)
			require.Equal(t, expires == nil, found.Token.Expires == nil, key)
			if expires != nil {
				require.WithinDuration(t, *expires, *found.Token.Expires, 0, key)
			}
		}
		ids := map[uuid.UUID]bool{}
		require.NoError(t, db.FileStore().Read(t.Context(), func(tx directory.FileTx) error {
			found, err := tx.TokensOf([]uuid.UUID{oliviaID})
			for _, each := range found {
				require.Empty(t, each.Name)
				require.Nil(t, each.LastUsed)
				require.Equal(t, time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), each.Created.UTC())
				require.Equal(t, uuid.Version(4), each.UUID.Version(), each.UUID)
				require.Equal(t, uuid.RFC4122, each.UUID.Variant(), each.UUID)
				ids[each.UUID] = true
			}
			return err
		}))
		require.Len(t, ids, 3)
		require.NoError(t, e.exec("DELETE FROM users"))
		require.Zero(t, e.count("SELECT count(*) FROM api_tokens"), "with a user the tokens are deleted")
	})
}

// Users of the version before are people, and their tokens reach what they reached. A replica of that version can still write
// both.
func TestMigrationLimitsNoToken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		db, address := openAt(t, engine, 15)
		e := &env{t: t, url: address, db: db, outside: outside(t, address)}
		write := func(id uuid.UUID, key string) {
			require.NoError(t, e.exec(`INSERT INTO users (uuid, username, full_name, email, email_folded, civil_number, image,
				is_staff, is_support, is_active, notifications_enabled, created)
				VALUES ('%s', '%s', '', '', '', '', '', false, false, true, true, '2026-11-23T09:30:00.000000Z')`, id, key))
			require.NoError(t, e.exec(`INSERT INTO api_tokens (digest, user_uuid, created)
				VALUES ('%s', '%s', '2026-11-23T09:30:00.000000Z')`, token.Digest(key), id))
		}
		write(oliviaID, "before")
		_, err := db.Migrate(t.Context())
		require.NoError(t, err)
		write(uuid.New(), "after")
		for _, key := range []string{"before", "after"} {
			found, err := db.Credential(t.Context(), token.Digest(key))
			require.NoError(t, err, key)
			require.False(t, found.IsService(), key)
			require.Empty(t, found.Token.Scopes, key)
			require.Nil(t, found.Token.IssuedByUUID, key)
		}
		requireRefused(t, e.exec("UPDATE users SET kind = 'robot'"), failsCheck)
		require.NoError(t, e.exec("UPDATE users SET kind = 'service'"))

		// With a service user the tokens are deleted that it asked for.
		require.NoError(t, e.exec("UPDATE api_tokens SET issued_by_uuid = '%s'", oliviaID))
		require.NoError(t, e.exec("DELETE FROM users WHERE username = 'before'"))
		require.Zero(t, e.count("SELECT count(*) FROM api_tokens"))
	})
}

// introspection has queries that describe a schema, in words that are the same for both engines. Types are named as in
// SQLite, which has fewer.
var introspection = map[string]map[string]string{
	"sqlite": {
		"columns": `SELECT m.name || '.' || c.name || ' ' || CASE WHEN c.pk AND c.type = 'INTEGER' THEN 'bigint' ELSE lower(c.type) END || CASE WHEN c."notnull" OR c.pk THEN ' not null' ELSE '' END
			FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`,
		"indexes": `SELECT m.name || CASE WHEN i."unique" THEN ' unique' ELSE '' END ||
				CASE WHEN i.partial THEN ' partial' ELSE '' END || ' ' ||
				(SELECT group_concat(COALESCE(name, '(expression)') || CASE WHEN "desc" THEN ' desc' ELSE '' END, ', ')
					FROM (SELECT * FROM pragma_index_xinfo(i.name) WHERE key ORDER BY seqno)) ||
				CASE i.origin WHEN 'c' THEN ' ' || i.name ELSE '' END
			FROM sqlite_master m JOIN pragma_index_list(m.name) i WHERE m.type = 'table'`,
		"references": `SELECT m.name || '.' || f."from" || ' to ' || f."table" || ' ' || lower(f.on_delete)
			FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`,
	},
	"postgres": {
		"columns": `SELECT table_name || '.' || column_name || ' ' || CASE data_type
					WHEN 'uuid' THEN 'text' WHEN 'timestamp with time zone' THEN 'timestamp' WHEN 'bytea' THEN 'blob' ELSE data_type END ||
				CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END
			FROM information_schema.columns WHERE table_schema = 'public'`,
		"indexes": `SELECT t.relname || CASE WHEN x.indisunique THEN ' unique' ELSE '' END ||
				CASE WHEN x.indpred IS NULL THEN '' ELSE ' partial' END || ' ' ||
				(SELECT string_agg(COALESCE(a.attname, '(expression)') || CASE WHEN x.indoption[k.n - 1] & 1 = 1 THEN ' desc' ELSE '' END, ', ' ORDER BY k.n)
					FROM unnest(x.indkey) WITH ORDINALITY k (column_number, n)
					LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.column_number) ||
				CASE WHEN EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.oid) THEN '' ELSE ' ' || i.relname END
			FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
			JOIN pg_namespace s ON s.oid = t.relnamespace WHERE s.nspname = 'public'
				AND i.relname NOT IN ('invitation_events_pkey', 'sign_in_events_pkey', 'group_invitation_events_pkey', 'event_feed_pkey',
					'event_deliveries_pkey') -- SQLite keeps rows in the order of such keys`,
		"references": `SELECT c.relname || '.' || a.attname || ' to ' || p.relname || ' ' ||
				CASE k.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'a' THEN 'no action' END
			FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
			JOIN pg_namespace s ON s.oid = c.relnamespace WHERE k.contype = 'f' AND s.nspname = 'public'`,
	},
}

// schema returns what a query of introspection finds of the program's own tables.
func schema(t *testing.T, e storetest.Engine, address, what string) []string {
	t.Helper()
	rows, err := outside(t, address).Query(introspection[e.Name][what])
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	found := []string{}
	for rows.Next() {
		var each string
		require.NoError(t, rows.Scan(&each))
		// The libraries' tables differ between the engines, and SQLite has no index like invitations_email_contains.
		if !strings.HasSuffix(each, " invitations_email_contains") && !strings.HasSuffix(each, " invitations_names_contain") && !strings.HasPrefix(each, "river_") &&
			!strings.HasPrefix(each, "goose_") && !strings.HasPrefix(each, "sqlite_") {
			found = append(found, each)
		}
	}
	require.NoError(t, rows.Err())
	sort.Strings(found)
	return found
}

// The conditions of partial indexes can't be compared as text, because each engine rewrites them. Two tests below try
// the rows that such an index refuses.
func TestBothEnginesHaveOneSchema(t *testing.T) {
	t.Parallel()
	found := map[string]map[string][]string{}
	var mu sync.Mutex
	t.Run("engines", func(t *testing.T) {
		storetest.Each(t, func(t *testing.T, e storetest.Engine) {
			address := e.Fresh(t)
			own := map[string][]string{}
			for what := range introspection[e.Name] {
				own[what] = schema(t, e, address, what)
			}
			mu.Lock()
			defer mu.Unlock()
			found[e.Name] = own
		})
	})
	for what, known := range map[string]string{
		"columns":    "invitations.email_folded text not null",
		"indexes":    "memberships unique partial user_uuid, role_uuid, scope_uuid memberships_active",
		"references": "invitations.created_by_uuid to users set null",
	} {
		require.Contains(t, found["sqlite"][what], known)
		require.Equal(t, found["postgres"][what], found["sqlite"][what], what)
	}
	require.Contains(t, found["sqlite"]["indexes"], "users unique username")
}

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	steps := map[string][]database.Migration{}
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

// The schema itself refuses rows that no use case may write.
func TestSchemaRefusesSecondOpenInvitation(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		template := e.insert(e.newInvitation("template@university.example"))
		insert := func(email, state string, role, scope uuid.UUID) error {
			return e.copyRow("invitations", template, map[string]string{
				"email": email, "email_folded": directory.Fold(email), "state": state,
				"role_uuid": role.String(), "scope_uuid": scope.String(),
			})
		}
		open, closed := []string{"project", "requested", "pending"}, []string{"accepted", "canceled", "expired", "rejected"}
		for i, first := range open {
			require.NoError(t, insert(fmt.Sprintf("ina%d@university.example", i), first, adminRoleID, projectID))
			for _, second := range open {
				requireRefused(t, insert(fmt.Sprintf("INA%d@University.example", i), second, adminRoleID, projectID),
					notUnique, "%s after %s", second, first)
			}
			for _, second := range closed {
				require.NoError(t, insert(fmt.Sprintf("ina%d@university.example", i), second, adminRoleID, projectID))
			}
			// An invitation to another scope is no duplicate.
			require.NoError(t, insert(fmt.Sprintf("ina%d@university.example", i), first, adminRoleID, customerID))
		}
		requireRefused(t, insert("new@university.example", "lost", adminRoleID, projectID), failsCheck)

		// A closed invitation can't be opened again beside an open one.
		requireRefused(t, e.exec("UPDATE invitations SET state = 'pending' WHERE state = 'canceled'"), notUnique)
	})
}

func TestSchemaRefusesSecondActiveMembership(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		insert := func(revoked string) error {
			return e.exec(`INSERT INTO memberships (uuid, user_uuid, role_uuid, scope_uuid, created, revoked)
				VALUES ('%s', '%s', '%s', '%s', '2026-11-23T09:30:00.000000Z', %s)`, uuid.New(), oliviaID, adminRoleID, projectID, revoked)
		}
		const past = "'2026-11-23T09:31:00.000000Z'"
		require.NoError(t, insert(past))
		require.NoError(t, insert(past))
		require.NoError(t, insert("NULL"))
		require.NoError(t, insert(past))
		requireRefused(t, insert("NULL"), notUnique)
		requireRefused(t, e.exec("UPDATE memberships SET revoked = NULL"), notUnique)
	})
}

func TestSchemaRefusesOrphans(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.insert(e.newInvitation("ina@university.example"))
		require.NoError(t, e.exec(`INSERT INTO memberships (uuid, user_uuid, role_uuid, scope_uuid, created)
			VALUES ('%s', '%s', '%s', '%s', '2026-11-23T09:30:00.000000Z')`, uuid.New(), oliviaID, adminRoleID, projectID))
		for _, column := range []string{"role_uuid", "scope_uuid", "customer_uuid", "created_by_uuid"} {
			requireRefused(t, e.exec("UPDATE invitations SET %s = '%s'", column, uuid.New()), noParent, column)
		}
		for _, column := range []string{"user_uuid", "role_uuid", "scope_uuid", "created_by_uuid"} {
			requireRefused(t, e.exec("UPDATE memberships SET %s = '%s'", column, uuid.New()), noParent, column)
		}
		requireRefused(t, e.exec("UPDATE api_tokens SET user_uuid = '%s'", uuid.New()), noParent)
		requireRefused(t, e.exec("UPDATE scopes SET customer_uuid = '%s' WHERE type = 'project'", uuid.New()), noParent)
		requireRefused(t, e.exec("DELETE FROM roles"), noParent)
		requireRefused(t, e.exec("DELETE FROM scopes WHERE type = 'project'"), noParent)

		// A customer belongs to itself, and nothing else does.
		requireRefused(t, e.exec("UPDATE scopes SET customer_uuid = uuid WHERE type = 'project'"), failsCheck)
		requireRefused(t, e.exec("UPDATE scopes SET type = 'planet'"), failsCheck)
		requireRefused(t, e.exec("UPDATE roles SET scope_type = 'planet'"), failsCheck)
		requireRefused(t, e.exec("UPDATE invitations SET execution_state = 'Lost'"), failsCheck)

		// With a user the memberships and tokens are deleted. Invitations stay, without a creator.
		require.NoError(t, e.exec("DELETE FROM users"))
		for query, want := range map[string]int{
			"SELECT count(*) FROM invitations WHERE created_by_uuid IS NULL": 1,
			"SELECT count(*) FROM memberships":                               0,
			"SELECT count(*) FROM api_tokens":                                0,
		} {
			require.Equal(t, want, e.count(query), query)
		}
	})
}

// The schema has nothing that databases lack which are PostgreSQL spread over machines, such as YugabyteDB and Citus; see
// docs/scaling.md. Its one function is the job queue's.
func TestPostgresSchemaIsPlain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		if !e.postgres {
			return
		}
		for what, query := range map[string]string{
			"triggers": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT evtname FROM pg_event_trigger",
			"unlogged and temporary tables, views, partitions": `SELECT relname FROM pg_class
				WHERE relnamespace = 'public'::regnamespace AND (relpersistence <> 'p' OR relkind NOT IN ('r', 'i', 'S') OR relispartition)`,
			"inheritance, rules, policies": `SELECT inhrelid::regclass::text FROM pg_inherits
				UNION ALL SELECT rulename FROM pg_rules WHERE schemaname = 'public' UNION ALL SELECT policyname FROM pg_policies`,
			"deferrable and exclusion constraints": "SELECT conname FROM pg_constraint WHERE condeferrable OR contype = 'x'",
			"indexes of other kinds": `SELECT relname FROM pg_class JOIN pg_am ON pg_am.oid = relam
				WHERE relnamespace = 'public'::regnamespace AND amname NOT IN ('heap', 'btree', 'gin')`,
			"extensions": "SELECT extname FROM pg_extension WHERE extname NOT IN ('plpgsql', 'pg_trgm')",
			"functions": `SELECT proname FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
				WHERE pronamespace = 'public'::regnamespace AND (proname <> 'river_job_state_in_bitmask' OR lanname <> 'sql')
				AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')`,
			"computed columns": "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND is_generated <> 'NEVER'",
		} {
			require.Empty(t, e.texts(query), what)
		}
	})
}
