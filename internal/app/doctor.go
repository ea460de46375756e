package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"invited/internal/config"
	"invited/internal/doctor"
	"invited/internal/mail"
	"invited/internal/store"
)

// doctorFlags are the flags of `invited doctor`.
type doctorFlags struct {
	sendTo, selector, dns string
	json                  bool
}

// quickCheckLimit is how long the check of a whole SQLite file may take.
const quickCheckLimit = time.Minute

func (p Process) doctorCommand() *cobra.Command {
	var flags doctorFlags
	c := command("doctor", "Examine the set-up, and say what to do",
		`Examines the settings, the database, the clock, the queue, the mail server, the records of the sender's domain, the webhooks and
the public URL, as "invited serve" would use them with the same environment. Each line is ok, a note, or wrong, with what to do. It
changes nothing, sends nothing without --send-to, and fails where something is wrong.`,
		func(ctx context.Context) error { return p.examine(ctx, flags) })
	c.Flags().StringVar(&flags.sendTo, "send-to", "", "send a test letter to an `ADDRESS`")
	c.Flags().StringVar(&flags.selector, "dkim-selector", "", "look for the DKIM key with this `NAME`")
	c.Flags().StringVar(&flags.dns, "dns", "", "ask the DNS server at `HOST:PORT` in place of the system's")
	c.Flags().BoolVar(&flags.json, "json", false, "print JSON for machines")
	return c
}

func (p Process) examine(ctx context.Context, flags doctorFlags) error {
	resolver, err := doctor.NewResolver(flags.dns)
	if err != nil {
		return usageError{fmt.Errorf("--dns: %w", err)}
	}
	var checks []doctor.Check
	c, err := config.Load(p.Environ)
	if err != nil {
		checks = append(checks, doctor.Check{Name: "settings", Run: func(context.Context) []doctor.Finding { return wrongSettings(err) }})
	} else {
		checks = p.checks(c, flags)
		if domain := messageIDHost(c.MailFrom); c.SMTPURL != "" && !isLocalName(domain) {
			checks = append(checks, doctor.Check{Name: "sender", Run: func(ctx context.Context) []doctor.Finding {
				return doctor.CheckSender(ctx, resolver, domain, flags.selector)
			}})
		}
	}
	found := doctor.Run(ctx, checks)
	if err := printFindings(p.Stdout, found, flags.json); err != nil {
		return err
	}
	problems := 0
	for _, each := range found {
		if each.Level == doctor.Wrong {
			problems++
		}
	}
	if problems > 0 {
		return fmt.Errorf("wrong: %d of %s", problems, plural(len(found), "finding"))
	}
	return nil
}

func printFindings(output io.Writer, found []doctor.Finding, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(output)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"findings": found})
	}
	table := tabwriter.NewWriter(output, 0, 0, 2, ' ', 0)
	for _, each := range found {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", each.Level, each.Check, printable(each.Message)) // Flush returns the error
		if each.Advice != "" {
			_, _ = fmt.Fprintf(table, "\t\t  → %s\n", printable(each.Advice))
		}
	}
	return table.Flush()
}

// printable returns a text in one line without what a terminal would obey: what servers say stands in it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, text)
}

// checks returns the checks of a configuration, but for the one that asks the domain name system.
func (p Process) checks(c config.Config, flags doctorFlags) []doctor.Check {
	checks := []doctor.Check{
		{Name: "settings", Run: func(context.Context) []doctor.Finding { return checkSettings(c) }},
		{Name: "secret key", Run: func(context.Context) []doctor.Finding { return checkSecret(c) }},
		{Name: "database", Limit: quickCheckLimit, Run: func(ctx context.Context) []doctor.Finding { return p.checkDatabase(ctx, c) }},
		{Name: "server", Run: func(ctx context.Context) []doctor.Finding { return checkServer(ctx, c) }},
		{Name: "public url", Run: func(ctx context.Context) []doctor.Finding { return checkPublicURL(ctx, c) }},
		{Name: "mail", Limit: time.Minute, Run: func(ctx context.Context) []doctor.Finding { return checkMail(ctx, c, flags.sendTo) }},
	}
	for _, each := range []struct {
		what    string
		address config.Secret
		used    bool
	}{
		{"INVITED_INVITATION_WEBHOOK_URL", c.InvitationWebhookURL, c.InvitationUseWebhooks},
		{"INVITED_INVITATION_WEBHOOK_TOKEN_URL", c.InvitationWebhookTokenURL, c.InvitationUseWebhooks},
		{"INVITED_EVENTS_WEBHOOK_URL", c.EventsWebhookURL, true},
	} {
		if each.used && each.address != "" {
			checks = append(checks, doctor.Check{Name: "webhook", Run: func(ctx context.Context) []doctor.Finding {
				return doctor.CheckEndpoint(ctx, each.what, each.address.Reveal(), time.Now())
			}})
		}
	}
	return checks
}

func finding(level doctor.Level, advice, format string, args ...any) doctor.Finding {
	return doctor.Finding{Level: level, Advice: advice, Message: fmt.Sprintf(format, args...)}
}

// wrongSettings returns a finding for each line of the error of config.Load.
func wrongSettings(err error) (found []doctor.Finding) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		found = append(found, finding(doctor.Wrong, "Correct the variable: see docs/configuration.md.", "%s", line))
	}
	return found
}

func checkSettings(c config.Config) (found []doctor.Finding) {
	wrong := func(err error) {
		if err != nil {
			found = append(found, finding(doctor.Wrong, "Correct the variable: see docs/configuration.md.", "%s", err))
		}
	}
	for _, name := range c.Unknown {
		found = append(found, finding(doctor.Note, "Correct its name, or remove it.", "%s is no variable of this program.", name))
	}
	for _, line := range startWarnings(c) {
		found = append(found, finding(doctor.Note, "", "%s.", line))
	}
	_, err := newRenderer(c)
	wrong(err)
	_, err = newWebhookClient(c)
	wrong(err)
	_, err = newEventsWebhookClient(c)
	wrong(err)
	_, err = c.LoadIssuers()
	wrong(err)
	if open := c.LeavesOpen(); len(open) > 0 {
		found = append(found, finding(doctor.Note, "Where no client depends on it, set INVITED_PROFILE=secure, or each policy.",
			"The profile %s leaves open: %s.", c.Profile, strings.Join(open, "; ")))
	} else {
		found = append(found, finding(doctor.OK, "", "The profile %s leaves nothing open.", c.Profile))
	}
	return found
}

// fewCharacters is the number of different characters below which a key was most likely typed: a random one of 32 in base64 has
// more in all but one of a million cases.
const fewCharacters = 16

func checkSecret(c config.Config) []doctor.Finding {
	if c.SecretKey != "" {
		different := map[rune]bool{}
		for _, r := range c.SecretKey.Reveal() {
			different[r] = true
		}
		if len(different) < fewCharacters && !isHex(c.SecretKey.Reveal()) {
			return []doctor.Finding{finding(doctor.Wrong, "Make one by `openssl rand -base64 32`: see docs/operation.md, Change the secret key.",
				"INVITED_SECRET_KEY has only %d different characters: whoever has an approval link may guess it.", len(different))}
		}
		return []doctor.Finding{finding(doctor.OK, "", "INVITED_SECRET_KEY is set.")}
	}
	if c.Database.Engine == config.Postgres {
		return []doctor.Finding{finding(doctor.Wrong, "Make one by `openssl rand -base64 32`, and use it on every replica.",
			"INVITED_SECRET_KEY is not set, and PostgreSQL has no file for it.")}
	}
	if err := checkSecretFile(c); err != nil {
		return []doctor.Finding{finding(doctor.Wrong, "", "%s.", err)}
	}
	if _, err := os.Stat(c.SecretFile()); err != nil {
		return []doctor.Finding{finding(doctor.Note, "", "The first start makes %s.", c.SecretFile())}
	}
	return []doctor.Finding{finding(doctor.OK, "", "The key is in %s. Keep it with each backup.", c.SecretFile())}
}

// isHex reports whether a key is as `openssl rand -hex` makes it: there are 16 different digits.
func isHex(key string) bool { return len(key) >= 64 && strings.Trim(key, "0123456789abcdef") == "" }

func (p Process) checkDatabase(ctx context.Context, c config.Config) (found []doctor.Finding) {
	add := func(each ...doctor.Finding) { found = append(found, each...) }
	if c.Database.Engine == config.SQLite {
		if _, err := os.Stat(c.Database.Path); err != nil { // opening it would create it
			return []doctor.Finding{finding(doctor.Note, "", "The first start makes the database %s.", c.Database.Path)}
		}
	}
	db, err := openDatabase(c, p.Database)
	if err != nil {
		return []doctor.Finding{finding(doctor.Wrong, "Correct INVITED_DATABASE_URL, or the modes of the files.", "%s.", err)}
	}
	defer func() { _ = db.Close() }()
	asked := time.Now()
	now, err := db.Now(ctx)
	took := time.Since(asked)
	if err != nil {
		return []doctor.Finding{finding(doctor.Wrong, "Check INVITED_DATABASE_URL, and that the database runs and admits this machine.",
			"%s.", explainUnusable(c, err))}
	}
	diagnosis, err := db.Diagnose(ctx)
	if err != nil {
		return []doctor.Finding{finding(doctor.Wrong, "Look into the database's log.", "The database could not be examined: %s.", explainUnusable(c, err))}
	}
	if diagnosis.Damage != "" { // nothing else that is read of the database can be believed
		return doctor.JudgeDatabase(diagnosis, doctor.Schema{})
	}
	schema, err := examineSchema(ctx, db)
	if err != nil {
		return []doctor.Finding{finding(doctor.Wrong, "Look into the database's log.", "The schema could not be read: %s.", explainUnusable(c, err))}
	}
	add(doctor.JudgeDatabase(diagnosis, schema)...)
	if c.Database.Engine == config.Postgres {
		add(doctor.JudgeClock(asked.Add(took / 2).Sub(now)))
	} else if free, size, ok := diskSpace(c.Database.Path); ok {
		add(doctor.JudgeSpace(free, size))
	}
	if len(schema.Pending) == 0 {
		queue, err := examineQueue(ctx, db)
		if err != nil {
			return append(found, finding(doctor.Wrong, "Look into the database's log.", "The queue could not be read: %s.", explainUnusable(c, err)))
		}
		add(doctor.JudgeQueue(queue)...)
	}
	return found
}

// diskSpace returns the free bytes of the disk of a file, and the size of the file; false where they can't be known.
func diskSpace(path string) (free, size uint64, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, false
	}
	free, ok = freeSpace(filepath.Dir(path))
	return free, uint64(max(0, info.Size())), ok
}

func examineSchema(ctx context.Context, db *store.Store) (s doctor.Schema, err error) {
	all, err := db.Migrations(ctx)
	if err != nil {
		return s, err
	}
	for _, each := range all {
		if each.Applied == nil {
			s.Pending = append(s.Pending, each.Name)
		}
	}
	applied, known, err := db.Versions(ctx)
	s.Newer = applied > known
	return s, err
}

func examineQueue(ctx context.Context, db *store.Store) (q doctor.Queue, err error) {
	if q.HeldSince, err = db.HeldSince(ctx); err != nil {
		return q, err
	}
	waiting, err := db.QueuedJobs(ctx)
	for _, each := range waiting {
		q.Waiting += each.Count
		q.Oldest = max(q.Oldest, each.Overdue)
	}
	if err == nil {
		q.Discarded, err = db.DiscardedJobs(ctx)
	}
	return q, err
}

// unknownPort is the finding about a server whose port the system chooses.
var unknownPort = finding(doctor.Note, "Set a port.", "INVITED_LISTEN_ADDR has the port 0: where the server listens is not known here.")

func checkServer(ctx context.Context, c config.Config) []doctor.Finding {
	if local := c.LocalURL(); local.Port() != "0" {
		return doctor.CheckServer(ctx, local)
	}
	return []doctor.Finding{unknownPort}
}

func checkPublicURL(ctx context.Context, c config.Config) []doctor.Finding {
	if c.PublicURL.Port() != "0" {
		return doctor.CheckPublicURL(ctx, c.PublicURL, time.Now())
	}
	return []doctor.Finding{unknownPort}
}

func checkMail(ctx context.Context, c config.Config, sendTo string) []doctor.Finding {
	if c.SMTPURL == "" {
		if err := checkMailDir(c); err != nil {
			return []doctor.Finding{finding(doctor.Wrong, "", "%s.", err)}
		}
		found := []doctor.Finding{finding(doctor.Note, "Set INVITED_SMTP_URL.", "No mail is sent: each is written into the folder %s.", c.MailDir)}
		if sendTo != "" {
			found = append(found, finding(doctor.Wrong, "Set INVITED_SMTP_URL.", "The test letter was not sent: there is no mail server."))
		}
		return found
	}
	transport, err := newTransport(c)
	if err != nil {
		return []doctor.Finding{finding(doctor.Wrong, "Correct the variable: see docs/configuration.md.", "%s.", err)}
	}
	defer transport.Close()
	found := doctor.CheckMailServer(ctx, transport.(*mail.SMTP), time.Now())
	if sendTo != "" {
		id := uuid.NewString() + "@" + messageIDHost(c.MailFrom)
		found = append(found, doctor.SendLetter(ctx, transport, doctor.Letter(c.SiteName, sendTo, id, time.Now())))
	}
	return found
}
