package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"

	"invited/internal/database"
	"invited/internal/directory"
)

// foldingMigration fills in the folded texts of users and roles that are older than migration 5. directory.Fold decides
// what folded text is, which no SQL can compute.
const foldingMigration = 6

// goMigrations are the steps of the schema that SQL can't express.
func (s *Store) goMigrations() []database.GoMigration {
	return []database.GoMigration{
		{Name: fmt.Sprintf("job queue, version %d", queueVersion), Migration: s.queueStep()},
		{Name: "names to search by", Migration: goose.NewGoMigration(foldingMigration, &goose.GoFunc{RunTx: foldNames}, nil)},
	}
}

func foldNames(ctx context.Context, tx *sql.Tx) error {
	for _, each := range []struct{ table, column string }{{"users", "full_name"}, {"roles", "name"}, {"roles", "description"}} {
		if err := foldColumn(ctx, tx, each.table, each.column); err != nil {
			return fmt.Errorf("%s.%s: %w", each.table, each.column, err)
		}
	}
	return nil
}

// foldColumn writes the folded texts of a column into the column for folded texts.
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
	// Both engines accept arguments of this form.
	update, err := tx.PrepareContext(ctx, fmt.Sprintf("UPDATE %s SET %s_folded = $1 WHERE uuid = $2", table, column))
	if err != nil {
		return err
	}
	defer func() { _ = update.Close() }()
	for id, text := range texts {
		if _, err := update.ExecContext(ctx, directory.Fold(text), id); err != nil {
			return err
		}
	}
	return nil
}
