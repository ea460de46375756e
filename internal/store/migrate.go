package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/rivermigrate"

	"invited/migrations"
)

// The job queue's own schema is migration 2, made by its library up to the version that this program was built
// with; a later version of it will be a later migration. The library takes several transactions for it, because
// PostgreSQL can't use a value in the same one that added it to an enumeration, and goes on where it was
// interrupted.
const (
	queueMigration = 2
	queueVersion   = 6
)

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string
	Applied *time.Time // nil: not yet
}

// Migrate brings the schema up to date and returns the steps that it applied. Any number of processes may do it
// at once: one migrates, the others wait, and each step is applied once. After a step that fails it can be called again.
func (db *DB) Migrate(ctx context.Context) ([]Migration, error) {
	if db.lock != "" {
		held := flock.New(db.lock)
		if _, err := held.TryLockContext(ctx, 50*time.Millisecond); err != nil {
			return nil, fmt.Errorf("waiting for another process that migrates the database: %w", err)
		}
		defer func() { _ = held.Unlock() }()
	}
	provider, err := db.migrations()
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	applied := make([]Migration, 0, len(results))
	for _, each := range results {
		applied = append(applied, Migration{Version: each.Source.Version, Name: name(each.Source)})
	}
	return applied, nil
}

// Migrations lists every step with whether it was applied. It changes nothing.
func (db *DB) Migrations(ctx context.Context) ([]Migration, error) {
	provider, err := db.migrations()
	if err != nil {
		return nil, err
	}
	states, err := provider.Status(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	all := make([]Migration, 0, len(states))
	for _, each := range states {
		step := Migration{Version: each.Source.Version, Name: name(each.Source)}
		if each.State == goose.StateApplied {
			step.Applied = &each.AppliedAt
		}
		all = append(all, step)
	}
	return all, nil
}

// Current tells whether the schema is the one that this program was built for.
func (db *DB) Current(ctx context.Context) (bool, error) {
	all, err := db.Migrations(ctx)
	if err != nil {
		return false, err
	}
	for _, each := range all {
		if each.Applied == nil {
			return false, nil
		}
	}
	return true, nil
}

func name(s *goose.Source) string {
	if s.Version == queueMigration {
		return fmt.Sprintf("job queue, version %d", queueVersion)
	}
	return filepath.Base(s.Path)
}

func (db *DB) migrations() (*goose.Provider, error) {
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(goose.NewGoMigration(queueMigration, &goose.GoFunc{RunDB: db.migrateQueue}, nil)),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	engine, folder, files := goose.DialectSQLite3, "sqlite", migrations.SQLite
	if db.dialect.name() == "postgres" {
		engine, folder, files = goose.DialectPostgres, "postgres", migrations.Postgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	steps, err := fs.Sub(files, folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(engine, db.sql, steps, options...)
}

func (db *DB) migrateQueue(ctx context.Context, _ *sql.DB) error {
	migrator, err := rivermigrate.New(db.Queue(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: queueVersion})
	return err
}
