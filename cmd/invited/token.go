package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/directory"
)

func (p process) token() *cobra.Command {
	var (
		user string
		ttl  time.Duration
	)
	var create *cobra.Command
	create = leaf("create", "Issue an API token for a user, and print it",
		"Issues an API token for a user and prints it. This is the only time that it can be seen.",
		func(ctx context.Context) error {
			if user == "" {
				return usageError{errors.New("say whose token it is: --user NAME")}
			}
			if ttl <= 0 && create.Flags().Changed("ttl") {
				return usageError{errors.New("--ttl must be positive, such as 720h; leave it out for a token that never expires")}
			}
			return p.withDirectory(ctx, func(s directory.FileStore) error {
				key, err := directory.IssueToken(ctx, s, user, ttl)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(p.stdout, key)
				return err
			})
		})
	create.Flags().StringVar(&user, "user", "", "username of the user")
	create.Flags().DurationVar(&ttl, "ttl", 0, "how long the token works, such as 720h (default: until it is revoked)")
	return group("token", "Issue API tokens", create)
}
