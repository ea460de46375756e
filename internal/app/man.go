package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (p Process) manCommand() *cobra.Command {
	var folder string
	var man *cobra.Command
	man = command("man", "Write the manual pages into a folder",
		"Writes a manual page for each command into a folder that exists, such as /usr/local/share/man/man1.",
		func(context.Context) error {
			if folder == "" {
				return usageError{errors.New("name the folder with --output")}
			}
			root := man.Root()
			root.DisableAutoGenTag = true // the tag has the day
			header := doc.GenManHeader{Section: "1", Source: "invited " + version, Manual: "invited"}
			if err := doc.GenManTree(root, &header, folder); err != nil {
				return err
			}
			pages, err := filepath.Glob(filepath.Join(folder, "invited*.1"))
			for _, page := range pages {
				err = errors.Join(err, os.Chmod(page, 0o644)) //nolint:gosec // G302: everybody reads manual pages
			}
			return err
		})
	man.Flags().StringVarP(&folder, "output", "o", "", "the folder")
	return man
}
