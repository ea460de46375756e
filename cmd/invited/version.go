package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the build: see the Makefile.
var (
	version = "dev"
	commit  = ""
)

func (p process) version() *cobra.Command {
	return leaf("version", "Print version, commit and Go version", "", func(context.Context) error {
		_, err := fmt.Fprintf(p.stdout, "invited %s (commit %s, %s)\n", version, revision(), runtime.Version())
		return err
	})
}

// revision is the commit that the binary was built from, as far as it is known.
func revision() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, each := range info.Settings {
			if each.Key == "vcs.revision" {
				return each.Value
			}
		}
	}
	return "unknown"
}
