package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"invited/internal/config"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/store"
)

func (p Process) directoryCommand() *cobra.Command {
	var path string
	var dryRun bool
	apply := command("apply", "Bring users, roles, scopes and memberships in line with a YAML file",
		`Brings users, roles, scopes and memberships in line with a YAML file. Where one record is bad, nothing is written.
Records that the file does not have are left alone, and so is what a record leaves out; null takes a value away. Prints each
field that changes, before and after; with --dry-run nothing is written. Migrates the database first where needed. The command can be repeated,
and it works on the database of a running server.`,
		func(ctx context.Context) error {
			if path == "" {
				return usageError{errors.New("the file is missing: -f FILE, or -f - for standard input")}
			}
			input, err := p.openInput(path)
			if err != nil {
				return err
			}
			defer func() { _ = input.Close() }()
			file, err := dirfile.Decode(input)
			if err != nil {
				return prefixProblems(path, err)
			}
			c, err := p.loadConfig()
			if err != nil {
				return err
			}
			if err := prefixProblems(path, file.CheckTokens()); err != nil {
				if c.Profile == config.ProfileSecure {
					return err
				}
				// A directory that was made for other profiles goes on working.
				for line := range strings.SplitSeq(err.Error(), "\n") {
					fmt.Fprintln(p.Stderr, "invited: warning: "+line)
				}
			}
			p.warnOf(path, file.Warnings())
			return p.withDatabaseOf(c, func(db *store.Store) error {
				if dryRun {
					return p.dryRun(ctx, db, path, file)
				}
				if _, err := db.Migrate(ctx); err != nil {
					return err
				}
				if err := p.warnOfDemo(ctx, db.FileStore(), path, file); err != nil {
					return err
				}
				report, err := dirfile.Apply(ctx, db.FileStore(), file, p.progressBar("Applying"))
				if err != nil {
					return prefixProblems(path, err)
				}
				p.warnOf(path, report.KeptStaff)
				_, err = fmt.Fprint(p.Stdout, report)
				return err
			})
		})
	apply.Flags().StringVarP(&path, "file", "f", "", "the file; - reads standard input")
	apply.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and write nothing")

	export := command("export", "Print the directory in the form that apply reads",
		"Prints users, roles, scopes and memberships in the form that `directory apply` reads. Tokens are never printed.",
		func(ctx context.Context) error {
			return p.withDirectory(ctx, func(s directory.FileStore) error { return dirfile.Export(ctx, s, p.Stdout) })
		})
	return commandGroup("directory", "Keep users, roles, scopes and memberships in a file", apply, export)
}

// prefixProblems puts the path of the file before each problem of a *dirfile.Error, and returns any other error as
// it is.
func prefixProblems(path string, err error) error {
	path = shownPath(path)
	var problems *dirfile.Error
	if !errors.As(err, &problems) {
		return err
	}
	return errors.New(path + ": " + strings.ReplaceAll(problems.Error(), "\n", "\n"+path+": "))
}

// shownPath returns the path of a file as messages have it.
func shownPath(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

func (p Process) warnOf(path string, warnings []dirfile.Problem) {
	for _, each := range warnings {
		fmt.Fprintf(p.Stderr, "invited: warning: %s: %s\n", shownPath(path), each)
	}
}

// dryRun prints what `directory apply` would change.
func (p Process) dryRun(ctx context.Context, db *store.Store, path string, file *dirfile.File) error {
	if err := requireCurrentSchema(ctx, db); err != nil {
		return err
	}
	if err := p.warnOfDemo(ctx, db.FileStore(), path, file); err != nil {
		return err
	}
	report, err := dirfile.DryRun(ctx, db.FileStore(), file)
	if err != nil {
		return prefixProblems(path, err)
	}
	p.warnOf(path, report.KeptStaff)
	_, err = fmt.Fprintf(p.Stdout, "%snothing was written (--dry-run)\n", report)
	return err
}

// warnOfDemo warns where a file has users of the demonstration and the database is not a demonstration's: everybody can read
// the uuids, and the next demonstration would take the users for its own.
func (p Process) warnOfDemo(ctx context.Context, s directory.FileStore, path string, file *dirfile.File) error {
	var names []string
	for name, id := range file.Users() {
		if isDemoUser(id) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	isDemo := false
	err := s.Read(ctx, func(tx directory.FileTx) error {
		users, err := tx.UsersAfter("", 100)
		isDemo = len(users) > 0 && !slices.ContainsFunc(users, func(u directory.User) bool { return !isDemoUser(u.UUID) })
		return err
	})
	if err == nil && !isDemo {
		slices.Sort(names)
		fmt.Fprintf(p.Stderr, "invited: warning: %s: the users %s have the uuids of the demonstration: leave their uuids out, and begin"+
			" with deploy/directory.example.yaml\n", shownPath(path), strings.Join(names, ", "))
	}
	return err
}

func (p Process) openInput(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(p.Stdin), nil
	}
	return os.Open(path)
}

// progressBar returns a function that draws the progress of a task on standard error, or nil where standard error is no
// terminal.
func (p Process) progressBar(task string) func(done, total int) {
	terminal, ok := p.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total,
				progressbar.OptionSetWriter(terminal), progressbar.OptionSetDescription(task),
				progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
		}
		_ = bar.Set(done)
	}
}
