package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"invited/internal/identity"
	"invited/internal/store"
)

func (p Process) userCommand() *cobra.Command {
	return commandGroup("user", "End users' sessions", &cobra.Command{
		Use: "sign-out NAME", Short: "End the sessions of a user",
		Long: "Ends all sessions of the user with a username, from the next request on. The user's API tokens work on.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name one user by the username")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return p.withDatabase(func(db *store.Store) error {
				if err := requireCurrentSchema(c.Context(), db); err != nil {
					return err
				}
				ended, err := (&identity.Service{Store: db.Identities()}).SignOutUser(c.Context(), args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(p.Stdout, "sessions ended: %d\n", ended)
				return err
			})
		},
	})
}
