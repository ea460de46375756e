package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"

	"invited/internal/database"
	"invited/internal/directory"
)

// foldingMigration fills in the folded texts of users and roles that are older than migration 5. directory.Fold decides
// what folded text is, which no SQL can compute.
const foldingMigration = 6

// slugMigration adds slugs, times of change, and indexes. directory.Slug makes slugs, because SQL can't. Existing rows have no
// time of change.
const slugMigration = 20

// addressMigration brings the addresses that were typed with a domain in ASCII form into the form of directory.FoldEmail.
const addressMigration = 22

// goMigrations are the steps of the schema that SQL can't express.
func (s *Store) goMigrations() []database.GoMigration {
	return []database.GoMigration{
		{Name: fmt.Sprintf("job queue, version %d", queueVersion), Migration: s.queueStep()},
		{Name: "names to search by", Migration: goose.NewGoMigration(foldingMigration, &goose.GoFunc{RunTx: foldNames}, nil)},
		{Name: "slugs, times of change, counts", Migration: goose.NewGoMigration(slugMigration, &goose.GoFunc{RunTx: s.addSlugs}, nil)},
		{Name: "one form of each domain", Migration: goose.NewGoMigration(addressMigration, &goose.GoFunc{RunTx: foldAddresses}, nil)},
	}
}

// GoSteps returns the numbers and names of the steps in Go. Tests share a migrated database for as long as the steps are
// the same.
func GoSteps() (steps []string) {
	for _, each := range (&Store{}).goMigrations() {
		steps = append(steps, fmt.Sprintf("%d %s", each.Version, each.Name))
	}
	return steps
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

// addSlugs is the step slugMigration. In PostgreSQL, ALTER TABLE keeps every other transaction off the table until this one
// ends: memberships is changed after the slugs are written.
func (s *Store) addSlugs(ctx context.Context, tx *sql.Tx) error {
	textType, timeType := "TEXT", "TIMESTAMP"
	if s.IsPostgres() {
		textType, timeType = `text COLLATE "C"`, "timestamptz"
	}
	for _, statement := range []string{
		"ALTER TABLE scopes ADD COLUMN slug " + textType + " NOT NULL DEFAULT ''",
		"ALTER TABLE scopes ADD COLUMN modified " + timeType,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := s.fillSlugs(ctx, tx); err != nil {
		return err
	}
	for _, statement := range []string{
		"CREATE INDEX scopes_slug ON scopes (type, slug, uuid)",
		"CREATE INDEX scopes_parts ON scopes (customer_uuid, type, is_removed)",
		"ALTER TABLE memberships ADD COLUMN modified " + timeType,
		// The index covers the count of a role's users, which then takes a quarter of the time. SQLite needs revoked among the
		// columns.
		"CREATE INDEX memberships_users ON memberships (role_uuid, user_uuid, expires, scope_uuid, revoked) WHERE revoked IS NULL",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// fillSlugs writes the slug of every scope, a thousand with one statement.
func (s *Store) fillSlugs(ctx context.Context, tx *sql.Tx) error {
	made := "(SELECT value->>0 AS uuid, value->>1 AS slug FROM json_each($1))"
	if s.IsPostgres() {
		made = "(SELECT (value->>0)::uuid AS uuid, value->>1 AS slug FROM jsonb_array_elements($1::jsonb) AS listed (value))"
	}
	update := "UPDATE scopes SET slug = made.slug FROM " + made + " AS made WHERE scopes.uuid = made.uuid"
	for last := uuid.Nil.String(); ; {
		slugs, err := slugsAfter(ctx, tx, last)
		if err != nil || len(slugs) == 0 {
			return err
		}
		list, err := json.Marshal(slugs)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, update, string(list)); err != nil {
			return err
		}
		last = slugs[len(slugs)-1][0]
	}
}

// slugsAfter returns the UUIDs and the slugs of the first thousand scopes after a UUID.
func slugsAfter(ctx context.Context, tx *sql.Tx, last string) (slugs [][2]string, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT uuid, name FROM scopes WHERE uuid > $1 ORDER BY uuid LIMIT 1000", last)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, err
		}
		slugs = append(slugs, [2]string{id, directory.Slug(name)})
	}
	return slugs, errors.Join(rows.Err(), rows.Close())
}

// foldAddresses folds the addresses again that directory.FoldEmail folds in another way than directory.Fold did. Two
// open invitations can become duplicates in the new form. The one with the domain in ASCII keeps its old form, and both stay
// open. Service.Send gives it the new form once the other one has ended.
func foldAddresses(ctx context.Context, tx *sql.Tx) error {
	const taken = " AND NOT EXISTS (SELECT 1 FROM invitations AS other WHERE other.email_folded = $3" +
		" AND other.role_uuid = invitations.role_uuid AND other.scope_uuid = invitations.scope_uuid" +
		" AND other.state IN ('project', 'requested', 'pending') AND invitations.state IN ('project', 'requested', 'pending'))"
	for _, each := range []struct {
		table, unless string
	}{{"users", ""}, {"invitations", taken}} {
		if err := foldAddressesOf(ctx, tx, each.table, each.unless); err != nil {
			return fmt.Errorf("%s.email: %w", each.table, err)
		}
	}
	return nil
}

// foldAddressesOf is foldAddresses for one table. unless is a condition of the update; $3 is the new form.
func foldAddressesOf(ctx context.Context, tx *sql.Tx, table, unless string) error {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT uuid, email FROM %s WHERE email_folded LIKE '%%xn--%%' ORDER BY created, uuid", table))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var addresses [][2]string // uuid and address, the oldest first
	for rows.Next() {
		var id, address string
		if err := rows.Scan(&id, &address); err != nil {
			return err
		}
		addresses = append(addresses, [2]string{id, address})
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, each := range addresses {
		folded := directory.FoldEmail(each[1])
		args := []any{folded, each[0]}
		if unless != "" {
			args = append(args, folded)
		}
		update := fmt.Sprintf("UPDATE %s SET email_folded = $1 WHERE uuid = $2%s", table, unless) //nolint:gosec // G201: both are constants
		if _, err := tx.ExecContext(ctx, update, args...); err != nil {
			return err
		}
	}
	return nil
}
