package app

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/google/uuid"

	"invited/internal/config"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/web"
)

//go:embed demo.yaml
var demoDirectory []byte

//go:embed demo.txt.tmpl
var demoText string

// demoTokenTTL is the lifetime of the tokens that a demonstration prints.
const demoTokenTTL = 24 * time.Hour

// demonstration loads a small directory for a newcomer, issues tokens for some of its users, and prints requests to paste.
// The exported fields are the variables of demo.txt.tmpl.
type demonstration struct {
	Staff, Owner, Invitee string // API tokens
	URL                   string // of the server
	Mail                  string // path of the mail folder; empty where a mail server delivers
	Answer                string // path of the file that keeps the response of the first request

	output io.Writer
}

// adjust returns an error where others can reach the server, since the demonstration prints tokens. On PostgreSQL it
// generates the secret key: there is no database file beside which the key could be saved.
func (d *demonstration) adjust(c *config.Config) error {
	host, _, err := net.SplitHostPort(c.ListenAddr)
	if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return errors.New("--demo serves only this machine: leave INVITED_LISTEN_ADDR at 127.0.0.1:8080, or leave --demo out")
	}
	if c.Database.Engine == config.Postgres && c.SecretKey == "" {
		c.SecretKey = config.Secret(rand.Text() + rand.Text())
	}
	return nil
}

// load applies the demo directory, issues the tokens, cancels the pending invitations of an earlier demonstration, and writes
// the invitation and the group invitation of the contract's examples. It returns an error where the database has users who are
// not the demonstration's.
func (d *demonstration) load(ctx context.Context, db *store.Store, service *invitation.Service) error {
	file, err := dirfile.Decode(bytes.NewReader(demoDirectory))
	if err != nil {
		return err
	}
	if err := d.checkUsers(ctx, db.FileStore()); err != nil {
		return err
	}
	if _, err := dirfile.Apply(ctx, db.FileStore(), file, nil); err != nil {
		return err
	}
	for name, key := range map[string]*string{"sam": &d.Staff, "olivia": &d.Owner, "ina": &d.Invitee} {
		if *key, err = directory.IssueToken(ctx, db.FileStore(), name, demoTokenTTL, "demo"); err != nil {
			return err
		}
	}
	staff, err := directory.Authenticate(ctx, db, d.Staff)
	if err != nil {
		return err
	}
	query := invitation.Query{States: []invitation.State{invitation.Pending}}
	pending, err := service.List(ctx, staff, query, 1, 100)
	for _, each := range pending.Invitations {
		err = errors.Join(err, service.Cancel(ctx, staff, each.UUID))
	}
	if err != nil {
		return err
	}
	if err := renewExample(ctx, service, staff); err != nil {
		return err
	}
	return renewExampleLink(ctx, db.Joining())
}

// pages returns the part of the pages that only a demonstration has.
func (d *demonstration) pages(c config.Config) *web.Demo {
	return &web.Demo{
		People: []web.Person{
			{Username: "olivia", Name: "Olivia Owner", About: "owns the organization Acme"},
			{Username: "max", Name: "Max Manager", About: "manages the projects Apollo and Artemis"},
			{Username: "ina", Name: "Ina Invitee", About: "is invited, and has no role yet"},
			{Username: "sam", Name: "Sam Staff", About: "is staff: sees and manages everything"},
		},
		JoinLink: exampleInvitation,
		Mails:    func() ([]web.Mail, error) { return readMails(c.MailDir) },
	}
}

// isDemoUser reports whether a uuid is that of a user of the demonstration.
func isDemoUser(id uuid.UUID) bool { return bytes.Contains(demoDirectory, []byte(id.String())) }

// checkUsers returns an error where the directory has a user who is not the demonstration's.
func (d *demonstration) checkUsers(ctx context.Context, s directory.FileStore) error {
	return s.Read(ctx, func(tx directory.FileTx) error {
		users, err := tx.UsersAfter("", 100)
		if err != nil {
			return err
		}
		for _, user := range users {
			if !isDemoUser(user.UUID) {
				return fmt.Errorf("--demo is for an empty database, and this one has the user %s: leave --demo out", user.Username)
			}
		}
		return nil
	})
}

// printRequests writes the requests to try.
func (d *demonstration) printRequests(c config.Config) {
	d.URL = c.PublicURL.String()
	d.Answer = filepath.Join("data", "invitation.json")
	_ = os.MkdirAll("data", 0o700) // exists unless both the database and the mail folder are elsewhere
	if c.SMTPURL == "" {
		d.Mail, _ = filepath.Abs(c.MailDir)
	}
	if err := template.Must(template.New("demo").Parse(demoText)).Execute(d.output, d); err != nil {
		fmt.Fprintln(d.output, err)
	}
}
