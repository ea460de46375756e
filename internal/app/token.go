package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/config"
	"invited/internal/directory"
)

func (p Process) tokenCommand() *cobra.Command {
	return commandGroup("token", "Issue, list and revoke API tokens",
		p.tokenCreateCommand(), p.tokenListCommand(), p.tokenRevokeCommand())
}

func (p Process) tokenCreateCommand() *cobra.Command {
	var (
		user, name string
		ttl        ttlValue
		names      []string
	)
	var create *cobra.Command
	create = command("create", "Issue an API token for a user, and print it",
		"Issues an API token for a user and prints it. The token is shown only this once.",
		func(ctx context.Context) error {
			if user == "" {
				return usageError{errors.New("--user NAME is missing: it names the user who gets the token")}
			}
			scopes, err := directory.ParseTokenScopes(names)
			if err == nil && len(scopes) == 0 && create.Flags().Changed("scope") {
				err = errors.New("--scope must name a scope; leave it out for a token that is not limited")
			}
			if err != nil {
				return usageError{err}
			}
			return p.withDirectory(ctx, func(s directory.FileStore) error {
				key, err := directory.IssueToken(ctx, s, user, time.Duration(ttl), name, scopes...)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(p.Stdout, key)
				return err
			})
		})
	create.Flags().StringVar(&user, "user", "", "username of the user")
	create.Flags().Var(&ttl, "ttl", "how long the token works, such as 30d or 720h (default: until it is revoked)")
	create.Flags().StringVar(&name, "name", "", "what the token is for, shown by `token list`")
	create.Flags().StringSliceVar(&names, "scope", nil,
		"limit the token to a `scope`: "+directory.JoinTokenScopes(directory.TokenScopes)+" (of service users); repeat it for several")
	return create
}

// ttlValue is the value of a flag for a duration above zero; zero where the flag is not given.
type ttlValue time.Duration

// String implements pflag.Value.
func (v *ttlValue) String() string {
	if *v == 0 {
		return ""
	}
	return time.Duration(*v).String()
}

// Set implements pflag.Value.
func (v *ttlValue) Set(text string) error {
	d, err := config.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%w; leave it out for a token that never expires", err)
	}
	*v = ttlValue(d)
	return nil
}

// Type implements pflag.Value.
func (*ttlValue) Type() string { return "duration" }

func (p Process) tokenListCommand() *cobra.Command {
	var user string
	list := command("list", "List API tokens",
		`Lists the API tokens of all users, or of one: id, user, name, scopes, when each was issued, when it was last used (to
about a minute), and when it expires. The tokens themselves are never shown.`,
		func(ctx context.Context) error {
			return p.withDirectory(ctx, func(s directory.FileStore) error {
				tokens, now, err := directory.ListTokens(ctx, s, user)
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(p.Stdout, tokenTable(tokens, now))
				return err
			})
		})
	list.Flags().StringVar(&user, "user", "", "only the tokens of the user with this username")
	return list
}

func tokenTable(tokens []directory.UserToken, now time.Time) string {
	if len(tokens) == 0 {
		return "There are no tokens.\n"
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0) // writes to a strings.Builder never fail
	fmt.Fprintln(table, "ID\tUSER\tNAME\tSCOPES\tCREATED\tLAST USE\tEXPIRES")
	for _, each := range tokens {
		name, scopes, lastUse, expires := "-", "all", "-", "never"
		if each.Name != "" {
			name = directory.Excerpt(each.Name)
		}
		if len(each.Scopes) > 0 {
			scopes = directory.JoinTokenScopes(each.Scopes)
		}
		if each.LastUsed != nil {
			lastUse = each.LastUsed.UTC().Format(time.RFC3339)
		}
		if each.Expires != nil {
			expires = each.Expires.UTC().Format(time.RFC3339)
			if !each.WorksAt(now) {
				expires += " (expired)"
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", each.UUID, directory.Excerpt(each.Username), name, scopes,
			each.Created.UTC().Format(time.RFC3339), lastUse, expires)
	}
	_ = table.Flush()
	return text.String()
}

func (p Process) tokenRevokeCommand() *cobra.Command {
	var user string
	revoke := &cobra.Command{
		Use: "revoke [ID]", Short: "End an API token, or all tokens of a user",
		Long: "Ends the API token with an id that `token list` shows or, with --user, all tokens of a user, from the next request on.",
	}
	revoke.Flags().StringVar(&user, "user", "", "revoke all tokens of the user with this username")
	revoke.RunE = func(c *cobra.Command, args []string) error {
		ctx := c.Context()
		switch {
		case user == "" && len(args) != 1, user != "" && len(args) > 0:
			return usageError{errors.New("name one token by its id, which `invited token list` shows, or a user with --user NAME")}
		case user != "":
			return p.withDirectory(ctx, func(s directory.FileStore) error {
				revoked, err := directory.RevokeTokensOf(ctx, s, user)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(p.Stdout, "tokens revoked: %d\n", revoked)
				return err
			})
		}
		id, ok := directory.ParseUUID(args[0])
		if !ok { // it may be a token itself, which must not be repeated
			return errors.New("there is no token with this id: `invited token list` shows the ids, which are uuids")
		}
		return p.withDirectory(ctx, func(s directory.FileStore) error {
			if err := directory.RevokeToken(ctx, s, id); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.Stdout, "tokens revoked: 1")
			return err
		})
	}
	return revoke
}
