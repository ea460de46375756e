package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/config"
	"invited/internal/database"
	"invited/internal/store"
)

func (p Process) restoreCommand() *cobra.Command {
	var hold bool
	c := &cobra.Command{
		Use: "restore FILE", Short: "Put a copy of the SQLite database in place, while no server runs",
		Long: `Checks a file that "invited backup" wrote, and puts a copy of it in the place of the SQLite database. The database that was there
is kept beside it, with the time in its name. No server may run on the database.

Deliveries are held afterwards, because those that the copy has as waiting may have been sent since the copy was made: see
"invited jobs list", then send them with "invited jobs release", or drop them with "invited jobs release --discard".
PostgreSQL has its own tools: pg_restore, or a copy with its log for any point in time.`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name one file to restore: `invited restore FILE`")}
			}
			return p.restore(c.Context(), args[0], hold)
		},
	}
	c.Flags().BoolVar(&hold, "hold", true, "hold deliveries until `invited jobs release`")
	return c
}

func (p Process) restore(ctx context.Context, file string, hold bool) (err error) {
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	if c.Database.Engine == config.Postgres {
		return errors.New("PostgreSQL has its own tools for backups, such as pg_restore: see docs/operation.md")
	}
	if err := checkDatabaseFile(c); err != nil {
		return err
	}
	path, err := filepath.Abs(c.Database.Path)
	if err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := checkSource(file, path); err != nil {
		return err
	}
	claim, err := database.ClaimFile(ctx, path)
	if errors.Is(err, database.ErrInUse) {
		return fmt.Errorf("a server or another program has %s open: stop it, then restore", c.Database.Path)
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, claim.Release()) }()

	prepared := path + ".restoring"
	defer database.RemoveFile(prepared)
	if err := database.CopyFile(file, prepared); err != nil {
		return err
	}
	waiting, err := p.prepare(ctx, prepared, hold)
	if err != nil {
		return explainRestore(file, err)
	}
	kept := fmt.Sprintf("%s.before-%s", path, time.Now().UTC().Format("20060102T150405Z"))
	if err := claim.Replace(prepared, kept); err != nil {
		return err
	}
	p.reportRestore(c, file, kept, waiting, hold)
	return nil
}

// checkSource returns an error where a file can't be the copy of another file.
func checkSource(file, path string) error {
	source, err := os.Stat(file)
	if err != nil {
		return err
	}
	if target, err := os.Stat(path); err == nil && os.SameFile(source, target) {
		return fmt.Errorf("%s is the database itself: name a copy of it", file)
	}
	return nil
}

// prepare checks the database at a path, which becomes a single file, and holds its deliveries where hold says so. It returns the
// number of jobs that would send something.
func (p Process) prepare(ctx context.Context, path string, hold bool) (waiting int, err error) {
	options := p.Database
	options.SQLite = path
	db, err := store.Open(options)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Check(ctx, "invitations"); err != nil {
		return 0, err
	}
	if hold {
		if err := db.HoldDeliveries(ctx); err != nil {
			return 0, err
		}
	} else if err := db.ReleaseDeliveries(ctx); err != nil {
		return 0, err
	}
	return db.CountWaiting(ctx)
}

// explainRestore turns what is wrong with a file into one line.
func explainRestore(file string, err error) error {
	switch {
	case errors.Is(err, database.ErrDamaged):
		return fmt.Errorf("%s is damaged, or is no SQLite database: take another backup (%w)", file, err)
	case errors.Is(err, database.ErrForeign):
		return fmt.Errorf("%s is not a database of this program", file)
	case errors.Is(err, database.ErrNewer):
		return fmt.Errorf("%s was written by a newer version: use that version or a newer one (%w)", file, err)
	default:
		return err
	}
}

func (p Process) reportRestore(c config.Config, file, kept string, waiting int, hold bool) {
	say := func(format string, args ...any) { fmt.Fprintf(p.Stdout, format+"\n", args...) }
	say("%s is restored from %s.", c.Database.Path, file)
	if _, err := os.Stat(kept); err == nil {
		say("The database that was there is kept: %s", kept)
	}
	if c.SecretKey != "" {
		say("Links to approve that were mailed need the INVITED_SECRET_KEY with which they were made.")
	} else if _, err := os.Stat(c.SecretFile()); errors.Is(err, fs.ErrNotExist) {
		say("There is no %s: put the one there that was kept with the backup, before a server starts and makes another one. Without it, "+
			"links to approve that were mailed stop working, and requests of the last day can't be repeated.", c.SecretFile())
	} else {
		say("Links to approve that were mailed need the %s of then.", c.SecretFile())
	}
	if hold {
		say("Deliveries are held. Waiting: %s, of which some may have been done since the backup. Start the server, see `invited jobs list`, "+
			"then run `invited jobs release`, or `invited jobs release --discard`.", plural(waiting, "job"))
	}
}
