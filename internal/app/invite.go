package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"invited/internal/invite"
)

// inviteFlags are the flags of `invited invite`.
type inviteFlags struct {
	role, scope, file, onDuplicate, output string
	server, tokenFile, follow, cancel      string
	dryRun, insecureHTTP                   bool
}

func (p Process) inviteCommand() *cobra.Command {
	var f inviteFlags
	c := command("invite", "Invite the people of a CSV file through a server's API",
		`Sends a CSV file to a server's API, which invites each person in it, and waits until all are done. The first line of the
file has the names of fields: email, and where it has them role, scope, full_name and so on. --role and --scope are for the
rows that name none.

The server is --server, else INVITED_SERVER_URL, else INVITED_PUBLIC_URL, else http://127.0.0.1:8080. The token is
INVITED_TOKEN, or stands in the file that --token-file names.

Prints how many rows were created, sent, duplicate (invited already), member, invalid or refused. Rows that were not
invited are written into another CSV file with the reason of each, to be corrected and sent again. A file that is there
already is kept: the new one then has a number in its name. With --dry-run the same is printed and written, as it would be.

Exit code 0: everybody is invited, or was before. 1: rows were not invited, or would not be, or the command failed.
2: the arguments are wrong.`,
		func(ctx context.Context) error { return p.invite(ctx, f) })
	flags := c.Flags()
	flags.StringVar(&f.role, "role", "", "role of the rows that name none, by name or uuid, such as PROJECT.MEMBER")
	flags.StringVar(&f.scope, "scope", "", "scope of the rows that name none, by `URL` or uuid")
	flags.StringVarP(&f.file, "file", "f", "", "CSV `file` with the people; - reads standard input")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would become of the rows, and invite nobody")
	flags.StringVar(&f.onDuplicate, "on-duplicate", "", "`what` to do where an invitation is open already: skip it (default), or send it again")
	flags.StringVarP(&f.output, "output", "o", "", "`file` for the rows that were not invited, which is replaced (default: a new file, such as people.failed.csv)")
	flags.StringVar(&f.server, "server", "", "`URL` of the server (default: INVITED_SERVER_URL, else INVITED_PUBLIC_URL)")
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` with the API token (default: INVITED_TOKEN)")
	flags.BoolVar(&f.insecureHTTP, "insecure-http", false, "send the token and the people without TLS to another machine")
	flags.StringVar(&f.follow, "follow", "", "wait for the bulk invitation with this `uuid`, which was begun before")
	flags.StringVar(&f.cancel, "cancel", "", "stop the bulk invitation with this `uuid`; who was invited stays so")
	_ = c.RegisterFlagCompletionFunc("on-duplicate", cobra.FixedCompletions([]cobra.Completion{"skip", "send"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (p Process) invite(ctx context.Context, f inviteFlags) error {
	id, err := f.check()
	if err != nil {
		return usageError{err}
	}
	caller, err := p.inviteClient(f)
	if err != nil {
		return err
	}
	out := invite.Output{Counts: p.Stdout, Progress: p.Stderr, Failed: cmp.Or(f.output, f.failedFile()), Replace: f.output != ""}
	switch {
	case f.cancel != "":
		return caller.Cancel(ctx, id, out)
	case f.follow != "":
		return caller.Follow(ctx, id, out)
	}
	text, err := p.readTable(f.file)
	if err != nil {
		return err
	}
	name := f.file
	if name == "-" {
		name = "standard input"
	}
	return caller.Invite(ctx, invite.Table{
		Name: name, Text: text, Role: f.role, Scope: f.scope, SendAgain: f.onDuplicate == "send", DryRun: f.dryRun,
	}, out)
}

// check returns the uuid of the bulk invitation that the flags name, and an error where they don't fit together.
func (f inviteFlags) check() (id uuid.UUID, err error) {
	named := 0
	for _, each := range []string{f.file, f.follow, f.cancel} {
		if each != "" {
			named++
		}
	}
	switch {
	case named == 0:
		return id, errors.New("-f FILE is missing: it names the CSV file with the people; -f - reads standard input")
	case named > 1:
		return id, errors.New("-f, --follow and --cancel exclude each other")
	case f.file == "" && (f.dryRun || f.role != "" || f.scope != "" || f.onDuplicate != ""):
		return id, errors.New("--dry-run, --role, --scope and --on-duplicate go with -f only")
	case f.onDuplicate != "" && f.onDuplicate != "skip" && f.onDuplicate != "send":
		return id, fmt.Errorf("--on-duplicate is skip or send, not %q", f.onDuplicate)
	case f.output != "" && f.file != "" && isSameFile(f.output, f.file):
		return id, errors.New("-o names the file that is read: name another one")
	case f.file == "":
		if id, err = uuid.Parse(f.follow + f.cancel); err != nil {
			err = errors.New("--follow and --cancel take the uuid of a bulk invitation")
		}
	}
	return id, err
}

// tableSuffix is the end of a table's name, also where the table has the rows that failed before.
var tableSuffix = regexp.MustCompile(`(?i)(\.failed(-\d+)?)?\.(csv|tsv|tab|txt)$`)

// isSameFile reports whether two paths are of one file, by whatever name.
func isSameFile(one, other string) bool {
	if filepath.Clean(one) == filepath.Clean(other) {
		return true
	}
	first, err := os.Stat(one)
	if err != nil {
		return false
	}
	second, err := os.Stat(other)
	return err == nil && os.SameFile(first, second)
}

// failedFile returns the path of the file for the rows that were not invited, where no flag names it.
func (f inviteFlags) failedFile() string {
	switch {
	case f.follow != "":
		return f.follow + ".failed.csv"
	case f.file == "-":
		return "invite.failed.csv"
	default:
		return tableSuffix.ReplaceAllString(f.file, "") + ".failed.csv"
	}
}

// inviteClient returns the client of the server that the flags or the environment name.
func (p Process) inviteClient(f inviteFlags) (*invite.Client, error) {
	if f.server != "" {
		p.Environ = append(p.Environ[:len(p.Environ):len(p.Environ)], "INVITED_SERVER_URL="+f.server)
	}
	c, err := p.loadConfig()
	if err != nil {
		return nil, err
	}
	token := c.Token.Reveal()
	if f.tokenFile != "" {
		content, err := readLimited(f.tokenFile, 64<<10)
		if err != nil {
			return nil, fmt.Errorf("reading the token: %w", err)
		}
		token = strings.TrimSpace(string(content))
	}
	return invite.NewClient(invite.Server{
		URL: c.ServerURL, Token: token, InsecureHTTP: f.insecureHTTP,
		Warn: func(line string) { fmt.Fprintln(p.Stderr, "invited: "+line) },
	})
}

// readTable returns the content of a CSV file, or of standard input.
func (p Process) readTable(name string) ([]byte, error) {
	if name != "-" {
		return readLimited(name, invite.MaxTable)
	}
	return limited("standard input", p.Stdin, invite.MaxTable)
}

// readLimited returns the content of a file that has at most limit bytes.
func readLimited(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return limited(name, file, limit)
}

func limited(name string, from io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s is larger than %d KiB", name, limit>>10)
	}
	return content, err
}
