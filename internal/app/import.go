package app

import (
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/database"
	"invited/internal/store"
	"invited/internal/waldur"
)

// importFlags are the flags of `invited import waldur`.
type importFlags struct {
	dsn, dsnFile, report string
	lifetime             time.Duration
	dryRun, tokens       bool
}

func (p Process) importCommand() *cobra.Command {
	var f importFlags
	c := command("waldur", "Import users, roles, organizations and invitations from Waldur",
		`Reads the PostgreSQL database of Waldur MasterMind (of January 2024 or newer), as it is at one moment, and writes users, their
tokens, roles, organizations, projects, other scopes, memberships, invitations, group invitations and permission requests
here. Every uuid is kept, so links that Waldur has mailed go on working. Nothing is mailed, and nothing is written to Waldur.

What is here is brought in line with Waldur, except what was decided here: invitations that were changed here, and roles and
tokens that were revoked here, stay as they are. The command can be interrupted and repeated. It works on the database of a
running server, and migrates the database first where needed.

Prints how many records of each kind were read, created, changed, unchanged and left, and why. --report writes one line for
each record that was left, or that needs a look.

A password in --dsn can be seen by other users of the machine: leave it out, and set PGPASSWORD, or use --dsn-file.`,
		func(ctx context.Context) error { return p.importWaldur(ctx, f) })
	flags := c.Flags()
	flags.StringVar(&f.dsn, "dsn", "", "`URL` of Waldur's database: postgres://user@host:5432/waldur")
	flags.StringVar(&f.dsnFile, "dsn-file", "", "`file` with that URL")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would become of the records, and write nothing")
	flags.BoolVar(&f.tokens, "tokens", true, "import the API tokens of users; --tokens=false leaves them out")
	flags.DurationVar(&f.lifetime, "lifetime", 0, "INVITATION_LIFETIME of Waldur (default: INVITED_INVITATION_LIFETIME)")
	flags.StringVar(&f.report, "report", "", "`file` for the records that were left or need a look (CSV), which is replaced")
	return commandGroup("import", "Import the database of another program", c)
}

func (p Process) importWaldur(ctx context.Context, f importFlags) (err error) {
	switch {
	case (f.dsn == "") == (f.dsnFile == ""):
		return usageError{errors.New("name Waldur's database: --dsn postgres://user@host:5432/waldur, or --dsn-file FILE")}
	case f.lifetime < 0:
		return usageError{errors.New("--lifetime can't be less than no time")}
	}
	if f.dsnFile != "" {
		content, err := readLimited(f.dsnFile, 64<<10)
		if err != nil {
			return err
		}
		f.dsn = strings.TrimSpace(string(content))
	}
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	i := waldur.Import{
		Lifetime: c.InvitationLifetime, WaldurLifetime: c.InvitationLifetime, WithTokens: f.tokens, DryRun: f.dryRun,
		Progress: p.progressBar("Importing"),
	}
	if f.lifetime > 0 {
		i.WaldurLifetime = f.lifetime
	}
	if f.report != "" {
		file, err := newImportReport(f.report)
		if err != nil {
			return err
		}
		i.Note = file.write
		defer func() { err = errors.Join(err, file.close()) }()
	}
	return p.withDatabaseOf(c, func(db *store.Store) error { return p.importInto(ctx, db, i, f.dsn) })
}

func (p Process) importInto(ctx context.Context, db *store.Store, i waldur.Import, dsn string) error {
	if i.DryRun {
		if err := requireCurrentSchema(ctx, db); err != nil {
			return err
		}
	} else if _, err := db.Migrate(ctx); err != nil {
		return err
	}
	i.Store = db.Waldur()
	var report waldur.Report
	hasBegun := false
	err := database.ReadOther(ctx, dsn, func(tx *sql.Tx) (err error) {
		hasBegun = true
		report, err = i.Run(ctx, tx)
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted: what is imported stays, and the next import goes on")
	case err != nil && !hasBegun:
		lines := strings.Split(strings.TrimSpace(err.Error()), "\n") // drivers list every attempt, and the last line has the reason
		return fmt.Errorf("the database of Waldur can't be read: %s", strings.TrimSpace(lines[len(lines)-1]))
	case err != nil:
		return err
	}
	fmt.Fprint(p.Stdout, report)
	if i.DryRun {
		fmt.Fprintln(p.Stdout, "\nnothing was written (--dry-run)")
	}
	return nil
}

// importReport is a CSV file with a line for each note of an import.
type importReport struct {
	file *os.File
	rows *csv.Writer
}

// newImportReport opens a file that its owner alone can read, also where it was there and others could.
func newImportReport(path string) (*importReport, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() { // and not /dev/stdout
		err = file.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r := &importReport{file, csv.NewWriter(file)}
	return r, r.rows.Write([]string{"kind", "uuid", "outcome", "reason"})
}

func (r *importReport) write(n waldur.Note) error {
	outcome := "imported"
	if n.IsLeft {
		outcome = "left"
	}
	return r.rows.Write([]string{string(n.Kind), n.ID.String(), outcome, n.Reason})
}

func (r *importReport) close() error {
	r.rows.Flush()
	return errors.Join(r.rows.Error(), r.file.Close())
}
