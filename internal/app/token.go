package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/directory"
)

func (p Process) tokenCommand() *cobra.Command {
	var (
		user string
		ttl  time.Duration
	)
	var create *cobra.Command
	create = command("create", "Issue an API token for a user, and print it",
		"Issues an API token for a user and prints it. The token is shown only this once.",
		func(ctx context.Context) error {
			if user == "" {
				return usageError{errors.New("--user NAME is missing: it names the user who gets the token")}
			}
			if ttl <= 0 && create.Flags().Changed("ttl") {
				return usageError{errors.New("--ttl must be positive, such as 720h; leave it out for a token that never expires")}
			}
			return p.withDirectory(ctx, func(s directory.FileStore) error {
				key, err := directory.IssueToken(ctx, s, user, ttl)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(p.Stdout, key)
				return err
			})
		})
	create.Flags().StringVar(&user, "user", "", "username of the user")
	create.Flags().DurationVar(&ttl, "ttl", 0, "how long the token works, such as 720h (default: until it is revoked)")
	return commandGroup("token", "Issue API tokens", create)
}
