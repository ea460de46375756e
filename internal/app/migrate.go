package app

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/store"
)

func (p Process) migrateCommand() *cobra.Command {
	up := command("up", "Apply the schema migrations that are not applied yet",
		"Applies the schema migrations that are not applied yet. Any number of processes may do it at once.",
		func(ctx context.Context) error {
			return p.withDatabase(func(db *store.Store) error {
				applied, err := db.Migrate(ctx)
				if err != nil {
					return err
				}
				var output strings.Builder
				for _, migration := range applied {
					fmt.Fprintf(&output, "applied %4d  %s\n", migration.Version, migration.Name)
				}
				if len(applied) == 0 {
					fmt.Fprintln(&output, "The schema is current.")
				}
				_, err = io.WriteString(p.Stdout, output.String())
				return err
			})
		})
	status := command("status", "List the schema migrations, and when each was applied", "",
		func(ctx context.Context) error {
			return p.withDatabase(func(db *store.Store) error {
				migrations, err := db.Migrations(ctx)
				if err != nil {
					return err
				}
				var output strings.Builder
				for _, migration := range migrations {
					when := "pending"
					if migration.Applied != nil {
						when = migration.Applied.UTC().Format(time.RFC3339)
					}
					fmt.Fprintf(&output, "%4d  %-20s  %s\n", migration.Version, when, migration.Name)
				}
				_, err = io.WriteString(p.Stdout, output.String())
				return err
			})
		})
	return commandGroup("migrate", "Apply or list the schema migrations", up, status)
}
