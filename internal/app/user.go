package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/identity"
	"invited/internal/store"
)

func (p Process) userCommand() *cobra.Command {
	return commandGroup("user", "End users' sessions, and show their sign-ins", p.userSignOutCommand(), p.userEventsCommand())
}

func (p Process) userSignOutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sign-out NAME", Short: "End the sessions of a user",
		Long: `Ends all sessions of the user with a username, those in a front end too, from the next request on. The user's other API
tokens work on.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name one user by the username")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return p.withIdentity(c.Context(), func(s *identity.Service) error {
				ended, err := s.SignOutUser(c.Context(), args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(p.Stdout, "sessions ended: %d\n", ended)
				return err
			})
		},
	}
}

func (p Process) userEventsCommand() *cobra.Command {
	var limit int
	events := &cobra.Command{
		Use: "events [NAME]", Short: "Show who signed in, and who was refused",
		Long: `Shows the newest sign-ins, refusals, sign-outs, new users and new tokens, the newest first: of the user with a username, or
of everybody. They are kept for a year.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("name one user by the username, or none for everybody")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 1 {
				return usageError{errors.New("--limit must be at least 1")}
			}
			return p.withIdentity(c.Context(), func(s *identity.Service) error {
				found, err := s.EventsOf(c.Context(), strings.Join(args, ""), limit)
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
				_, _ = fmt.Fprintln(table, "TIME\tEVENT\tUSER\tISSUER\tSUBJECT\tCLIENT\tDETAIL") // Flush returns the error
				for _, e := range found {
					_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Created.UTC().Format(time.RFC3339), e.Type, shown(e.Username),
						shown(e.Issuer), shown(e.Subject), shown(e.Client), shown(e.Detail))
				}
				return table.Flush()
			})
		},
	}
	events.Flags().IntVar(&limit, "limit", 50, "how many events are shown")
	return events
}

// shown returns a text of others for a terminal: in quotes, with escapes, where it has more than printable characters.
func shown(text string) string {
	switch quoted := strconv.Quote(text); {
	case text == "":
		return "-"
	case quoted != `"`+text+`"`:
		return quoted
	default:
		return text
	}
}

// withIdentity runs f on the use cases of signing in that need the database alone.
func (p Process) withIdentity(ctx context.Context, f func(*identity.Service) error) error {
	return p.withDatabase(func(db *store.Store) error {
		if err := requireCurrentSchema(ctx, db); err != nil {
			return err
		}
		return f(&identity.Service{Store: db.Identities()})
	})
}
