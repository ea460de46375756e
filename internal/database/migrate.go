package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
)

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string     // the file of a step in SQL
	Applied *time.Time // nil: not yet
}

// GoMigration is a step of the schema that is written in Go.
type GoMigration struct {
	Name string // for people
	*goose.Migration
}

// Migrate brings the schema up to date and returns the steps that it applied. Any number of processes may migrate at
// once: one of them does, the others wait, and each step is applied once. After a step that fails Migrate can be called
// again; where PostgreSQL ended it so that another transaction could go on, Migrate does so itself.
func (db *DB) Migrate(ctx context.Context) ([]Migration, error) {
	if db.lockFile != "" {
		held := flock.New(db.lockFile)
		if _, err := held.TryLockContext(ctx, 50*time.Millisecond); err != nil {
			return nil, fmt.Errorf("waiting for another process that migrates the database: %w", err)
		}
		defer func() { _ = held.Unlock() }()
	}
	provider, err := db.provider()
	if err != nil {
		return nil, err
	}
	var applied []Migration
	for try := 1; ; try++ {
		results, err := provider.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			results = partial.Applied
		}
		for _, result := range results {
			applied = append(applied, db.migration(result.Source))
		}
		if !db.engine.rolledBack(err) || try == migrateTries {
			return applied, translate(db.engine, err)
		}
		select {
		case <-ctx.Done():
			return applied, ctx.Err()
		case <-time.After(migratePause):
		}
	}
}

// How often, and how long after, a step is tried that met with the transactions of a running server: each wants a table that the
// other has locked, and PostgreSQL ends one of them.
const (
	migrateTries = 20
	migratePause = 100 * time.Millisecond
)

// Migrations lists every step and whether it was applied. Migrations changes nothing and waits for no process that
// migrates: the library's own status takes their lock, and creates its table.
func (db *DB) Migrations(ctx context.Context) ([]Migration, error) {
	provider, err := db.provider()
	if err != nil {
		return nil, err
	}
	session := db.reader.WithContext(ctx)
	var begun bool
	if err := session.Raw(db.engine.hasTable(), goose.DefaultTablename).Row().Scan(&begun); err != nil {
		return nil, translate(db.engine, err)
	}
	var rows []struct {
		VersionID int64
		Tstamp    time.Time
	}
	if begun {
		if err := session.Table(goose.DefaultTablename).Where("is_applied").Find(&rows).Error; err != nil {
			return nil, err
		}
	}
	var all []Migration
	for _, source := range provider.ListSources() {
		each := db.migration(source)
		for _, row := range rows {
			if row.VersionID == each.Version {
				each.Applied = &row.Tstamp
			}
		}
		all = append(all, each)
	}
	return all, nil
}

// Current reports whether the schema is the one that this program was built for.
func (db *DB) Current(ctx context.Context) (bool, error) {
	all, err := db.Migrations(ctx)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(all, func(each Migration) bool { return each.Applied == nil }), nil
}

// Versions returns the number of the last step that was applied, which a later version of this program may have added, and the
// number of the last step that this program knows.
func (db *DB) Versions(ctx context.Context) (applied, known int64, err error) {
	all, err := db.Migrations(ctx)
	if err != nil {
		return 0, 0, err
	}
	begun := false
	for _, each := range all {
		known, begun = max(known, each.Version), begun || each.Applied != nil
	}
	if !begun {
		return 0, known, nil
	}
	err = db.reader.WithContext(ctx).Table(goose.DefaultTablename).Where("is_applied").Select("max(version_id)").Row().Scan(&applied)
	return applied, known, translate(db.engine, err)
}

func (db *DB) migration(source *goose.Source) Migration {
	for _, step := range db.goSteps {
		if step.Version == source.Version {
			return Migration{Version: source.Version, Name: step.Name}
		}
	}
	return Migration{Version: source.Version, Name: filepath.Base(source.Path)}
}

func (db *DB) provider() (*goose.Provider, error) {
	dialect, files, options, err := db.engine.migrations()
	if err != nil {
		return nil, err
	}
	pool, err := db.writer.DB()
	if err != nil {
		return nil, err
	}
	goSteps := make([]*goose.Migration, len(db.goSteps))
	for i, step := range db.goSteps {
		goSteps[i] = step.Migration
	}
	return goose.NewProvider(dialect, pool, files, append(options,
		goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(goSteps...),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	)...)
}
