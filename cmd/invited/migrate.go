package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/store"
)

func (p process) migrate() *cobra.Command {
	up := leaf("up", "Apply the schema migrations that are not applied yet",
		"Applies the schema migrations that are not applied yet. Any number of processes may do it at once.",
		func(ctx context.Context) error {
			return p.withDatabase(func(db *store.Store) error {
				applied, err := db.Migrate(ctx)
				if err != nil {
					return err
				}
				var said strings.Builder
				for _, each := range applied {
					fmt.Fprintf(&said, "applied %4d  %s\n", each.Version, each.Name)
				}
				if len(applied) == 0 {
					fmt.Fprintln(&said, "The schema is current.")
				}
				_, err = io.WriteString(p.stdout, said.String())
				return err
			})
		})
	status := leaf("status", "List the schema migrations, and when each was applied", "",
		func(ctx context.Context) error {
			return p.withDatabase(func(db *store.Store) error {
				all, err := db.Migrations(ctx)
				if err != nil {
					return err
				}
				var said strings.Builder
				for _, each := range all {
					when := "pending"
					if each.Applied != nil {
						when = each.Applied.UTC().Format(time.RFC3339)
					}
					fmt.Fprintf(&said, "%4d  %-20s  %s\n", each.Version, when, each.Name)
				}
				_, err = io.WriteString(p.stdout, said.String())
				return err
			})
		})
	return group("migrate", "Apply or list the schema migrations", up, status)
}
