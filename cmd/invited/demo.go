package main

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

	"invited/internal/config"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/store"
)

//go:embed demo.yaml
var demoDirectory []byte

//go:embed demo.txt.tmpl
var demoText string

// demoTTL is how long the tokens work that a demonstration prints.
const demoTTL = 24 * time.Hour

// demonstration starts a newcomer off: a small directory, fresh tokens for some of its users, and requests to
// paste.
type demonstration struct {
	Staff, Owner, Invitee string // API tokens
	URL, Mail, Answer     string
}

// allow refuses to print tokens of a server that others can reach, and makes the key that one on PostgreSQL needs
// and has nowhere to keep.
func (d *demonstration) allow(c *config.Config) error {
	host, _, err := net.SplitHostPort(c.ListenAddr)
	if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return errors.New("--demo serves only this machine: leave INVITED_LISTEN_ADDR at 127.0.0.1:8080, or leave --demo out")
	}
	if c.Database.Engine == config.Postgres && c.SecretKey == "" {
		c.SecretKey = config.Secret(rand.Text() + rand.Text())
	}
	return nil
}

// load brings the database to where the demonstration begins, however far an earlier one went. It refuses one that
// has users of its own.
func (d *demonstration) load(ctx context.Context, db *store.Store, service *invitation.Service) error {
	file, err := dirfile.Decode(bytes.NewReader(demoDirectory))
	if err != nil {
		return err
	}
	if err := d.foreign(ctx, db.Directory()); err != nil {
		return err
	}
	if _, err := dirfile.Apply(ctx, db.Directory(), file, nil); err != nil {
		return err
	}
	for name, key := range map[string]*string{"sam": &d.Staff, "olivia": &d.Owner, "ina": &d.Invitee} {
		if *key, err = directory.IssueToken(ctx, db.Directory(), name, demoTTL); err != nil {
			return err
		}
	}
	staff, err := directory.Authenticate(ctx, db, d.Staff)
	if err != nil {
		return err
	}
	waiting := invitation.Query{States: []invitation.State{invitation.Pending}}
	open, err := service.List(ctx, staff, waiting, 1, 100)
	for _, each := range open.Invitations {
		err = errors.Join(err, service.Cancel(ctx, staff, each.UUID))
	}
	return err
}

// foreign refuses a directory that has users who are not the demonstration's.
func (d *demonstration) foreign(ctx context.Context, s directory.FileStore) error {
	return s.Read(ctx, func(tx directory.FileTx) error {
		users, err := tx.UsersAfter("", 100)
		if err != nil {
			return err
		}
		for _, each := range users {
			if !bytes.Contains(demoDirectory, []byte(each.UUID.String())) {
				return fmt.Errorf("--demo is for an empty database, and this one has the user %s: leave --demo out", each.Username)
			}
		}
		return nil
	})
}

// show writes the requests to try.
func (d *demonstration) show(w io.Writer, c config.Config) {
	d.URL = c.PublicURL.String()
	d.Answer = filepath.Join("data", "invitation.json")
	_ = os.MkdirAll("data", 0o700) // there already, unless the database and the mails are elsewhere
	if c.SMTPURL == "" {
		d.Mail, _ = filepath.Abs(c.MailDir)
	}
	if err := template.Must(template.New("demo").Parse(demoText)).Execute(w, d); err != nil {
		fmt.Fprintln(w, err)
	}
}
