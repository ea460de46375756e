package app

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"invited/internal/config"
	"invited/internal/tracing"
)

func (p Process) configCommand() *cobra.Command {
	return command("config", "Show every variable with its value and where the value comes from",
		`Shows the value of every variable, as "invited serve" would read it from the same environment: from the environment,
by the profile that INVITED_PROFILE names, by default, or from the values of other variables. Secrets are hidden.
The OTEL_ variables, which turn traces on, are shown where they are set.`,
		func(context.Context) error {
			if _, err := p.loadConfig(); err != nil { // which warns about variables that do not exist
				return err
			}
			settings, err := config.Settings(p.Environ)
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "VARIABLE\tVALUE\tFROM") // Flush returns the error
			for _, s := range settings {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, shown(s.Value), s.Source)
			}
			traces, err := tracing.Settings(p.Environ)
			if err != nil {
				return err
			}
			for _, s := range traces {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, shown(s.Value), config.FromEnvironment)
			}
			return table.Flush()
		})
}
