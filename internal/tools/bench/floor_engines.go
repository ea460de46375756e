package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/ncruces/go-sqlite3"
	sqlite "github.com/ncruces/go-sqlite3/driver"
)

// floorConnections is the server's number of connections.
const floorConnections = 20

// postgresEngine uses pgx, which prepares each statement once for each connection.
type postgresEngine struct{ pool *pgxpool.Pool }

func openPostgresEngine(ctx context.Context, address string) (engine, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = floorConnections
	// A generic plan is forced. By default PostgreSQL plans each list again, because a plan for the given uuids seems cheaper, and
	// planning takes longer than the query.
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return postgresEngine{pool}, err
}

type pgxRows struct{ pgx.Rows }

func (r pgxRows) end() { r.Close() }

func (e postgresEngine) query(ctx context.Context, statement string, arguments ...any) (rows, error) {
	found, err := e.pool.Query(ctx, statement, arguments...)
	return pgxRows{found}, err
}

func (postgresEngine) time(at time.Time) any { return at }
func (postgresEngine) in(column, parameter string) string {
	return column + " = ANY (" + parameter + ")"
}
func (postgresEngine) uuids(set []uuid.UUID) any { return set }

// create uses one statement, which is one transaction and one round trip.
func (e postgresEngine) create(ctx context.Context, i *invitation, arguments []any) (bool, error) {
	if i.state != "pending" {
		return false, errors.New("the floor makes only what is delivered at once")
	}
	done, err := e.pool.Exec(ctx, "WITH made AS ("+insertInvitation+` RETURNING uuid, created, state, email, role_uuid, created_by_uuid),
		noted AS (`+insertEvent+` SELECT uuid, created, 'created', created_by_uuid, $17::text, $18::text, '', state, email, role_uuid,
			$19::text, 'Scheduled', '', '', '', '', '' FROM made),
		counted AS (`+countPending+` FROM made WHERE shard = $20)
		INSERT INTO river_job (args, kind, max_attempts) SELECT $21::jsonb, 'deliver_invitation', 30000 FROM made`,
		append(arguments, shard(), job(i))...)
	return done.RowsAffected() == 1, err
}

// shard returns the shard of invitation_counts that a transaction counts in.
func shard() int { return rand.IntN(32) } //nolint:gosec // the choice is not secret

func job(i *invitation) string { return `{"invitation": "` + i.uuid.String() + `", "delivery": 0}` }

const uniqueViolation = "23505"

// accept uses one statement too. It fails where the user has the role already, and then changes nothing.
func (e postgresEngine) accept(ctx context.Context, arguments []any) (done, held bool, err error) {
	tag, err := e.pool.Exec(ctx, "WITH taken AS ("+takeInvitation+` RETURNING i.uuid, i.role_uuid, i.scope_uuid, i.created_by_uuid,
			i.email, i.execution_state, i.error_message, r.name),
		noted AS (`+insertEvent+` SELECT uuid, $6::timestamptz, 'accepted', $5::uuid, $7::text, $8::text, 'pending', 'accepted', email,
			role_uuid, name, execution_state, error_message, '', '', '', '' FROM taken),
		counted AS (`+countAccepted+` FROM taken WHERE shard = $9)
		INSERT INTO memberships (uuid, user_uuid, role_uuid, scope_uuid, created_by_uuid, created)
		SELECT $4::uuid, $5::uuid, role_uuid, scope_uuid, created_by_uuid, $6::timestamptz FROM taken`, append(arguments, shard())...)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == uniqueViolation {
		return false, true, nil
	}
	return tag.RowsAffected() == 1, false, err
}

// sqliteEngine has one connection for writing, so that writers wait in Go and not in SQLite, and several for reading.
type sqliteEngine struct {
	reads, writes *sql.DB
	reading       *sync.Map // *sql.Stmt by SQL text
	writing       map[string]*sql.Stmt
}

func openSQLiteEngine(ctx context.Context, path string) (engine, error) {
	e := sqliteEngine{reading: &sync.Map{}, writing: map[string]*sql.Stmt{}}
	var err error
	if e.reads, err = openSQLite(path); err != nil {
		return nil, err
	}
	e.reads.SetMaxOpenConns(4)
	e.reads.SetMaxIdleConns(4)
	if e.writes, err = openSQLite(path); err != nil {
		return nil, err
	}
	e.writes.SetMaxOpenConns(1)
	for _, text := range []string{insertInvitation, takeInvitation, sqliteJob, sqliteEvent, sqliteMembership, sqliteCountPending, sqliteCountAccepted} {
		if e.writing[text], err = e.writes.PrepareContext(ctx, numbered(text)); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// numbered returns a statement with its parameters in SQLite's notation.
func numbered(text string) string { return strings.ReplaceAll(text, "$", "?") }

// openSQLite opens a file as the server does.
func openSQLite(path string) (*sql.DB, error) {
	query := url.Values{
		"_pragma":  {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)"},
		"_txlock":  {"immediate"},
		"_timefmt": {"sqlite"},
	}
	return sqlite.Open("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode())
}

func (e sqliteEngine) read(ctx context.Context, text string) (*sql.Stmt, error) {
	if found, ok := e.reading.Load(text); ok {
		return found.(*sql.Stmt), nil
	}
	made, err := e.reads.PrepareContext(ctx, numbered(text))
	if err != nil {
		return nil, err
	}
	kept, _ := e.reading.LoadOrStore(text, made)
	return kept.(*sql.Stmt), nil
}

type sqlRows struct{ *sql.Rows }

func (r sqlRows) end() { _ = r.Close() }

func (e sqliteEngine) query(ctx context.Context, statement string, arguments ...any) (rows, error) {
	prepared, err := e.read(ctx, statement)
	if err != nil {
		return nil, err
	}
	found, err := prepared.QueryContext(ctx, arguments...)
	return sqlRows{found}, err
}

func (sqliteEngine) time(at time.Time) any { return at.UTC().Format(timestamp) }

func (sqliteEngine) in(column, parameter string) string {
	return column + " IN (SELECT value FROM json_each(" + parameter + "))"
}

func (sqliteEngine) uuids(set []uuid.UUID) any {
	list, _ := json.Marshal(set) // a uuid always encodes
	return string(list)
}

// write runs f in a transaction, and rolls back where f returns false or an error. f receives a function that runs prepared
// statements in the transaction.
func (e sqliteEngine) write(
	ctx context.Context, f func(do func(text string, arguments ...any) (int64, error)) (bool, error),
) (bool, error) {
	tx, err := e.writes.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // no effect after a commit
	done, err := f(func(text string, arguments ...any) (int64, error) {
		result, err := tx.StmtContext(ctx, e.writing[text]).ExecContext(ctx, arguments...)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	})
	if err != nil || !done {
		return false, err
	}
	return true, tx.Commit()
}

func (e sqliteEngine) create(ctx context.Context, i *invitation, arguments []any) (bool, error) {
	if i.state != "pending" {
		return false, errors.New("the floor makes only what is delivered at once")
	}
	return e.write(ctx, func(do func(string, ...any) (int64, error)) (bool, error) {
		if rows, err := do(insertInvitation, arguments[:16]...); err != nil || rows == 0 {
			return false, err
		}
		_, err := do(sqliteEvent, arguments[0], arguments[2], "created", arguments[6], arguments[16], arguments[17], "")
		if err == nil {
			_, err = do(sqliteJob, job(i))
		}
		if err == nil {
			_, err = do(sqliteCountPending, 0)
		}
		return err == nil, err
	})
}

const (
	sqliteJob   = `INSERT INTO river_job (args, kind, max_attempts) VALUES (json($1), 'deliver_invitation', 30000)`
	sqliteEvent = insertEvent + ` SELECT i.uuid, $2, $3, $4, $5, $6, $7, i.state, i.email, i.role_uuid, r.name, i.execution_state,
		i.error_message, '', '', '', '' FROM invitations i JOIN roles r ON r.uuid = i.role_uuid WHERE i.uuid = $1`
	sqliteMembership = `INSERT INTO memberships (uuid, user_uuid, role_uuid, scope_uuid, created_by_uuid, created)
		SELECT $2, $3, role_uuid, scope_uuid, created_by_uuid, $4 FROM invitations WHERE uuid = $1`
	sqliteCountPending  = countPending + " WHERE shard = $1"
	sqliteCountAccepted = countAccepted + " WHERE shard = $1"
)

func (e sqliteEngine) accept(ctx context.Context, arguments []any) (done, held bool, err error) {
	done, err = e.write(ctx, func(do func(string, ...any) (int64, error)) (bool, error) {
		if rows, err := do(takeInvitation, arguments[:3]...); err != nil || rows == 0 {
			return false, err
		}
		_, err := do(sqliteMembership, arguments[0], arguments[3], arguments[4], arguments[5])
		if err == nil {
			_, err = do(sqliteEvent, arguments[0], arguments[5], "accepted", arguments[4], arguments[6], arguments[7], "pending")
		}
		if err == nil {
			_, err = do(sqliteCountAccepted, 0)
		}
		return err == nil, err
	})
	if errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) {
		return false, true, nil
	}
	return done, false, err
}
