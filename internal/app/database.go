package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"invited/internal/config"
	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/store"
)

// openDatabase opens the database that a configuration names. It does not connect yet. A database file that any user of
// the machine can write is an error.
func openDatabase(c config.Config, options database.Options) (*store.Store, error) {
	if err := checkDatabaseFile(c); err != nil {
		return nil, err
	}
	if c.Database.Engine == config.Postgres {
		options.Postgres, options.PostgresRead = c.Database.DSN.Reveal(), c.DatabaseRead.DSN.Reveal()
	} else {
		options.SQLite = c.Database.Path
	}
	return store.Open(options)
}

// withDatabase calls f with the configured database, and closes the database afterwards.
func (p Process) withDatabase(f func(*store.Store) error) error {
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	return p.withDatabaseOf(c, f)
}

// withDatabaseOf is withDatabase for a configuration that is loaded.
func (p Process) withDatabaseOf(c config.Config, f func(*store.Store) error) error {
	db, err := openDatabase(c, p.Database)
	if err != nil {
		return err
	}
	return errors.Join(explainUnusable(c, f(db)), db.Close())
}

// withDirectory calls f with the directory of the configured database. The schema must be current.
func (p Process) withDirectory(ctx context.Context, f func(directory.FileStore) error) error {
	return p.withDatabase(func(db *store.Store) error {
		if err := requireCurrentSchema(ctx, db); err != nil {
			return err
		}
		return f(db.FileStore())
	})
}

// requireCurrentSchema returns an error that names the remedy where the schema is not the one that this program needs.
func requireCurrentSchema(ctx context.Context, db *store.Store) error {
	isCurrent, err := db.Current(ctx)
	if err == nil && !isCurrent {
		err = errors.New("the database's schema is not current: run `invited migrate up`")
	}
	return err
}

// explainUnusable turns a database.ErrUnavailable into one line with the database and the reason, and returns any other error
// as it is. Drivers list every attempt to connect, and the last line of the list has the reason.
func explainUnusable(c config.Config, err error) error {
	if !errors.Is(err, database.ErrUnavailable) {
		return err
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return fmt.Errorf("the database %s can't be used: %s", c.Database, strings.TrimSpace(lines[len(lines)-1]))
}
