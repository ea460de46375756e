package app

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// The linker sets these, by -X invited/internal/app.version=… and -X invited/internal/app.commit=….
var (
	version = "dev"
	commit  = ""
)

func (p Process) versionCommand() *cobra.Command {
	return command("version", "Print version, commit and Go version", "", func(context.Context) error {
		_, err := fmt.Fprintln(p.Stdout, versionLine())
		return err
	})
}

// versionLine returns the line that `invited version` and `invited --version` print.
func versionLine() string {
	return fmt.Sprintf("invited %s (commit %s, %s)", version, buildCommit(), runtime.Version())
}

// buildCommit returns the commit from which the binary was built, or "unknown".
func buildCommit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return "unknown"
}
