package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that fills databases

	"invited/internal/storetest/postgres"
)

// database is created for a measurement and removed after it.
type database struct {
	engine  string // sqlite or postgres
	address string // URL in the format of INVITED_DATABASE_URL
	sql     *sql.DB
	remove  func() error
	pid     int // process id of the database server; 0: the database runs in the process that uses it
}

// databases is the number of databases that this process has created on PostgreSQL.
var databases atomic.Int64

const postgresURL = "INVITED_TEST_POSTGRES_URL"

// newDatabase creates an empty database: a file in dir, or a database on the PostgreSQL server that the environment names.
func newDatabase(ctx context.Context, engine, dir string) (*database, error) {
	d := &database{engine: engine}
	if engine == "sqlite" {
		folder, err := os.MkdirTemp(dir, "sqlite-")
		if err != nil {
			return nil, err
		}
		path := filepath.Join(folder, "bench.db")
		d.address = "sqlite://" + path
		d.remove = func() error {
			for _, each := range []string{path, path + "-wal", path + "-shm", path + ".migrate.lock", path + ".restore.lock"} {
				_ = os.Remove(each) // there may be none
			}
			return nil
		}
		return d, nil
	}
	address := os.Getenv(postgresURL)
	if address == "" {
		return nil, fmt.Errorf("%s is not set: run `make bench`, which brings a PostgreSQL", postgresURL)
	}
	admin, err := sql.Open("pgx", address)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("invited_bench_%d_%d", os.Getpid(), databases.Add(1))
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	d.remove = func() error {
		_, err := admin.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		_ = admin.Close()
		return err
	}
	made, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%s is no URL", postgresURL)
	}
	made.Path = "/" + name
	d.address = made.String()
	return d, nil
}

// open opens a migrated database.
func (d *database) open(ctx context.Context) (err error) {
	if path, ok := strings.CutPrefix(d.address, "sqlite://"); ok {
		if d.sql, err = openSQLite(path); err == nil {
			d.sql.SetMaxOpenConns(1) // a pragma applies to one connection
		}
		return err
	}
	if d.sql, err = sql.Open("pgx", d.address); err != nil {
		return err
	}
	var backend int
	if err := d.sql.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return err
	}
	d.pid = postgres.ParentOf(backend)
	return nil
}

func (d *database) close() error {
	if d.sql != nil {
		_ = d.sql.Close()
	}
	return d.remove()
}

func (d *database) exec(ctx context.Context, statements ...string) error {
	for _, each := range statements {
		if _, err := d.sql.ExecContext(ctx, each); err != nil {
			return fmt.Errorf("%w\n%s", err, each)
		}
	}
	return nil
}

func (d *database) count(ctx context.Context, query string) (n int, err error) {
	err = d.sql.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

// series returns SQL for the rows i = from … to-1, for a FROM clause.
func (d *database) series(from, to int) string {
	if d.engine == "sqlite" {
		return fmt.Sprintf("(WITH RECURSIVE s(i) AS (VALUES(%d) UNION ALL SELECT i + 1 FROM s WHERE i < %d) SELECT i FROM s) AS s", from, to-1)
	}
	return fmt.Sprintf("generate_series(%d::bigint, %d) AS s(i)", from, to-1)
}

// id returns SQL for the uuid of the i-th record of a kind, the same as uuidOf.
func (d *database) id(kind int, i string) string {
	if d.engine == "sqlite" {
		return fmt.Sprintf("printf('%%08x-%04x-4000-8000-%%012x', (%s) * %d & 4294967295, %s)", kind, i, scatter, i)
	}
	return fmt.Sprintf("(lpad(to_hex((%s) * %d & 4294967295), 8, '0') || '-%04x-4000-8000-' || lpad(to_hex(%s), 12, '0'))::uuid",
		i, scatter, kind, i)
}

// ago returns SQL for a time so many seconds before now. The fraction of a second depends on a number.
func (d *database) ago(seconds, fraction string) string {
	if d.engine == "sqlite" {
		return "strftime('%Y-%m-%dT%H:%M:%S', 'now', '-' || (" + seconds + ") || ' seconds')" +
			" || printf('.%06dZ', " + fraction + " % 1000000)"
	}
	return "date_trunc('second', now()) - make_interval(secs => (" + seconds + ")::int)" +
		" + make_interval(secs => (" + fraction + " % 1000000) / 1000000.0)"
}

// noKey returns SQL for a digest that no API key has.
func (d *database) noKey() string {
	if d.engine == "sqlite" {
		return "lower(hex(randomblob(32)))"
	}
	return "md5('a' || i) || md5('b' || i)"
}

// settings returns the settings of a PostgreSQL server that the figures depend on.
func (d *database) settings(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	if d.engine == "sqlite" {
		for _, each := range []string{"journal_mode", "synchronous"} {
			var value string
			if err := d.sql.QueryRowContext(ctx, "PRAGMA "+each).Scan(&value); err != nil {
				return nil, err
			}
			found[each] = value
		}
		return found, nil
	}
	rows, err := d.sql.QueryContext(ctx, `SELECT name, current_setting(name) FROM pg_settings WHERE name IN ('server_version',
		'shared_buffers', 'fsync', 'synchronous_commit', 'full_page_writes', 'autovacuum', 'max_connections', 'work_mem')`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		found[name] = value
	}
	return found, rows.Err()
}
