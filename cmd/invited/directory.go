package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/store"
)

func (p process) directory() *cobra.Command {
	var path string
	apply := leaf("apply", "Bring users, roles, scopes and memberships in line with a YAML file",
		`Brings users, roles, scopes and memberships in line with a YAML file, all of it or, where one record is bad,
nothing. Records that the file does not have are left alone. Migrates the database first where it must. It can be
repeated, and it works on the database of a running server.`,
		func(ctx context.Context) error {
			if path == "" {
				return usageError{errors.New("say which file: -f FILE, or -f - for standard input")}
			}
			input, err := p.input(path)
			if err != nil {
				return err
			}
			defer func() { _ = input.Close() }()
			file, err := dirfile.Decode(input)
			if err != nil {
				return located(path, err)
			}
			return p.withDatabase(func(db *store.Store) error {
				if _, err := db.Migrate(ctx); err != nil {
					return err
				}
				report, err := dirfile.Apply(ctx, db.Directory(), file, p.progress("Applying"))
				if err != nil {
					return located(path, err)
				}
				_, err = fmt.Fprint(p.stdout, report)
				return err
			})
		})
	apply.Flags().StringVarP(&path, "file", "f", "", "the file; - reads standard input")

	export := leaf("export", "Print the directory in the form that apply reads",
		"Prints users, roles, scopes and memberships in the form that `directory apply` reads. Tokens are never printed.",
		func(ctx context.Context) error {
			return p.withDirectory(ctx, func(s directory.FileStore) error { return dirfile.Export(ctx, s, p.stdout) })
		})
	return group("directory", "Keep users, roles, scopes and memberships in a file", apply, export)
}

// located puts the file's name before each problem that was found in it.
func located(path string, err error) error {
	if path == "-" {
		path = "standard input"
	}
	var problems *dirfile.Error
	if !errors.As(err, &problems) {
		return err
	}
	return errors.New(path + ": " + strings.ReplaceAll(problems.Error(), "\n", "\n"+path+": "))
}

func (p process) input(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(p.stdin), nil
	}
	return os.Open(path)
}

// progress draws how far long work has come, where somebody looks: on a terminal.
func (p process) progress(what string) func(done, total int) {
	screen, ok := p.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(screen.Fd())) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total,
				progressbar.OptionSetWriter(screen), progressbar.OptionSetDescription(what),
				progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
		}
		_ = bar.Set(done)
	}
}
