package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"

	"invited/internal/directory"
)

// The job queue's own schema is migration 2, made by its library up to the version that this program was built
// with; a later version of it will be a later migration. The library takes several transactions for it, because
// PostgreSQL can't use a value in the same one that added it to an enumeration, and goes on where it was
// interrupted.
const (
	queueMigration = 2
	queueVersion   = 6
)

// foldingMigration fills in the folded texts of users and roles that were there before migration 5: what they are is
// directory.Fold's to say, and no SQL's.
const foldingMigration = 6

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

// Migrations lists every step with whether it was applied. It changes nothing, and waits for nobody who does: the
// library's own status takes the lock of those who migrate, and makes its table.
func (db *DB) Migrations(ctx context.Context) ([]Migration, error) {
	provider, err := db.migrations()
	if err != nil {
		return nil, err
	}
	orm := db.reads.WithContext(ctx)
	var begun bool
	if err := orm.Raw(db.dialect.hasTable(), goose.DefaultTablename).Row().Scan(&begun); err != nil {
		return nil, db.translate(err)
	}
	var rows []struct {
		VersionID int64
		Tstamp    time.Time
	}
	if begun {
		err := orm.Table(goose.DefaultTablename).Where("is_applied").Find(&rows).Error
		if err != nil {
			return nil, db.translate(err)
		}
	}
	var all []Migration
	for _, source := range provider.ListSources() {
		step := Migration{Version: source.Version, Name: name(source)}
		for _, each := range rows {
			if each.VersionID == step.Version {
				step.Applied = &each.Tstamp
			}
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
	switch s.Version {
	case queueMigration:
		return fmt.Sprintf("job queue, version %d", queueVersion)
	case foldingMigration:
		return "names to search by"
	default:
		return filepath.Base(s.Path)
	}
}

func (db *DB) migrations() (*goose.Provider, error) {
	engine, files, options, err := db.dialect.migrations()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(engine, db.sql, files, append(options,
		goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(
			goose.NewGoMigration(queueMigration, &goose.GoFunc{RunDB: db.migrateQueue}, nil),
			goose.NewGoMigration(foldingMigration, &goose.GoFunc{RunTx: foldNames}, nil),
		),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	)...)
}

func (db *DB) migrateQueue(ctx context.Context, _ *sql.DB) error {
	migrator, err := rivermigrate.New(db.Queue(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: queueVersion})
	return err
}

func foldNames(ctx context.Context, tx *sql.Tx) error {
	for _, each := range []struct{ table, column string }{{"users", "full_name"}, {"roles", "name"}, {"roles", "description"}} {
		if err := foldColumn(ctx, tx, each.table, each.column); err != nil {
			return fmt.Errorf("%s.%s: %w", each.table, each.column, err)
		}
	}
	return nil
}

// foldColumn writes the folded texts of a column into the column that is for them.
func foldColumn(ctx context.Context, tx *sql.Tx, table, column string) error {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT uuid, %s FROM %s WHERE %s <> ''", column, table, column))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	texts := map[string]string{}
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		texts[id] = text
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	// Both engines know arguments by this name.
	write, err := tx.PrepareContext(ctx, fmt.Sprintf("UPDATE %s SET %s_folded = $1 WHERE uuid = $2", table, column))
	if err != nil {
		return err
	}
	defer func() { _ = write.Close() }()
	for id, text := range texts {
		if _, err := write.ExecContext(ctx, directory.Fold(text), id); err != nil {
			return err
		}
	}
	return nil
}
