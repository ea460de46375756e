package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"invited/internal/person"
	"invited/internal/store"
)

func (p Process) personCommand() *cobra.Command {
	return commandGroup("person", "Show and erase what is kept of a person", p.personExportCommand(), p.personEraseCommand())
}

func (p Process) personExportCommand() *cobra.Command {
	var email, path string
	export := command("export", "Write what is kept of a person, as JSON",
		`Writes what the database keeps of the person with an e-mail address: users with the address, invitations to it and what
happened to them, sign-ins, requests, rows of bulk invitations, and texts that name the address. It has no secret. The answers
to repeated requests are encrypted, so that nobody can search them; they are deleted after 24 hours.`,
		func(ctx context.Context) error {
			if email == "" {
				return usageError{errors.New("name the person: --email alice@example.com")}
			}
			return p.withPerson(ctx, func(s *person.Service) (err error) {
				if path == "" {
					_, err = s.Export(ctx, email, p.Stdout)
					return err
				}
				rows := 0
				if err = writeNew(path, func(to io.Writer) (err error) {
					rows, err = s.Export(ctx, email, to)
					return err
				}); err != nil {
					return err
				}
				_, err = fmt.Fprintf(p.Stdout, "%s: %s\n", path, plural(rows, "row"))
				return err
			})
		})
	export.Flags().StringVar(&email, "email", "", "the `ADDRESS` of the person, in any spelling")
	export.Flags().StringVarP(&path, "output", "o", "", "the new `FILE` to write, which only its owner can read (default standard output)")
	return export
}

// writeNew writes a new file that only its owner can read. Where write fails, no file is left.
func writeNew(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: name another file, or remove this one first", path)
	} else if err != nil {
		return err
	}
	to := bufio.NewWriter(file)
	if err = errors.Join(write(to), to.Flush(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (p Process) personEraseCommand() *cobra.Command {
	var email string
	var dryRun, yes, force bool
	erase := command("erase", "Erase what is kept of a person",
		`Erases what the database keeps of the person with an e-mail address. Invitations to the address stay, without the address
and the names; open ones are canceled. A user with the address becomes an inactive one without a name, loses all roles and
tokens, and is signed out everywhere. Nobody can undo this. Where the command is stopped, run it again.
Servers can run meanwhile.`,
		func(ctx context.Context) error {
			switch {
			case email == "":
				return usageError{errors.New("name the person: --email alice@example.com")}
			case dryRun == yes:
				return usageError{errors.New("say --dry-run to see what would be erased, or --yes to erase it")}
			}
			return p.withPerson(ctx, func(s *person.Service) error {
				if !force {
					if err := s.CheckStaff(ctx, email); err != nil {
						return err
					}
				}
				if dryRun {
					return p.printKept(ctx, s, email)
				}
				done, err := s.Erase(ctx, email)
				if err != nil {
					return fmt.Errorf("%w (a part is erased: run the command again)", err)
				}
				if done == (person.Erased{}) {
					_, err = fmt.Fprintln(p.Stdout, "nothing is kept of this address")
					return err
				}
				_, err = fmt.Fprintf(p.Stdout, `erased: %s (%d of them open until now), %s, %s
Not reached from here, and yours to see to: backups, logs, mails at the mail server and at their recipients, what webhooks have
posted to others, and the directory file, which brings a user in it back with the next apply. Answers to repeated requests are
kept for up to 24 hours, encrypted. A mail that was being sent just now may be recorded late: run the command again in an hour.
`, plural(done.Invitations, "invitation"), done.Open, plural(done.Users, "user"), plural(done.Rows, "other row"))
				return err
			})
		})
	erase.Flags().StringVar(&email, "email", "", "the `ADDRESS` of the person, in any spelling")
	erase.Flags().BoolVar(&dryRun, "dry-run", false, "say how many rows of which tables are about the person, and change nothing")
	erase.Flags().BoolVar(&yes, "yes", false, "erase, for good")
	erase.Flags().BoolVar(&force, "force", false, "erase a user who is active staff or support, too")
	return erase
}

// printKept prints how many rows of which tables are about a person.
func (p Process) printKept(ctx context.Context, s *person.Service, email string) error {
	kept, err := s.Count(ctx, email)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		_, err = fmt.Fprintln(p.Stdout, "nothing is kept of this address")
		return err
	}
	for _, each := range kept {
		if _, err := fmt.Fprintf(p.Stdout, "%s: %s\n", each.Table, plural(each.Rows, "row")); err != nil {
			return err
		}
	}
	return nil
}

// withPerson runs f on the use cases of package person.
func (p Process) withPerson(ctx context.Context, f func(*person.Service) error) error {
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	return p.withDatabaseOf(c, func(db *store.Store) error {
		if err := requireCurrentSchema(ctx, db); err != nil {
			return err
		}
		return f(&person.Service{Store: db.Persons(), Lifetime: c.InvitationLifetime})
	})
}
