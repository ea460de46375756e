package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"invited/internal/config"
	"invited/internal/store"
)

func (p Process) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the SQLite database into a file, while the server runs",
		Long: `Writes the SQLite database, as it is at one moment, into a new file that only its owner can read. The server goes on
meanwhile. "invited restore" puts the file in place.
PostgreSQL has its own tools: pg_dump, or a copy with its log for any point in time.`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name one file to write: `invited backup FILE`")}
			}
			return p.backup(c.Context(), args[0])
		},
	}
}

func (p Process) backup(ctx context.Context, path string) error {
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	if c.Database.Engine == config.Postgres {
		return errors.New("PostgreSQL has its own tools for backups, such as pg_dump: see docs/operation.md")
	}
	if _, err := os.Stat(c.Database.Path); err != nil { // opening it would create it
		return fmt.Errorf("there is no database to copy: %w", err)
	}
	return p.withDatabaseOf(c, func(db *store.Store) error {
		err := db.Backup(ctx, path)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already: name another file, or remove this one first", path)
		} else if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Stdout, "%s: %d bytes\n", path, info.Size())
		if c.SecretKey == "" {
			fmt.Fprintf(p.Stdout, "Keep %s with it: links to approve need the key that is in there.\n", c.SecretFile())
		}
		return nil
	})
}
