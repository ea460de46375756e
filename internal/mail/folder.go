package mail

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"

	"invited/internal/delivery"
)

// Folder is a [Transport] that writes each message as one .eml file.
type Folder struct {
	dir  string
	from *netmail.Address
}

// NewFolder returns a Folder for the directory dir. It creates dir if it is missing, readable by its owner only, and
// checks that files can be written there. A directory that can't be written to is an error, and so is a sender that
// is not one address.
func NewFolder(dir, from string) (*Folder, error) {
	sender, err := parseSender(from)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, errors.New("the mail folder has no name")
	}
	f := &Folder{dir: dir, from: sender}
	if err := f.write(".writable", nil); err != nil {
		return nil, fmt.Errorf("the mail folder can't be written to: %w", err)
	}
	// Another process that starts at the same time may have removed the file.
	if err := os.Remove(filepath.Join(dir, ".writable")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the mail folder can't be written to: %w", err)
	}
	return f, nil
}

// Send implements [Transport]. A reader of the folder never sees an incomplete file. A second Send with the same ID
// and Date replaces the file.
func (f *Folder) Send(ctx context.Context, m Message) error {
	raw, _, err := compose(f.from, m)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &delivery.Failure{Reason: "Sending was interrupted.", Err: err}
	}
	if err := f.write(fileName(m), raw); err != nil {
		return &delivery.Failure{
			Reason:   "The mail could not be written into the mail folder; the operator has to check it.",
			Operator: true, Blocked: true, Err: err,
		}
	}
	return nil
}

// Close does nothing.
func (f *Folder) Close() {}

// write gives a file its name only once its whole content is on the disk.
func (f *Folder) write(name string, content []byte) (err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, ".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), filepath.Join(f.dir, name)); err != nil {
		return err
	}
	syncDir(f.dir)
	return nil
}

// syncDir makes a rename survive a power cut. Errors are ignored: not every system can sync a directory, and the file
// is complete in any case.
func syncDir(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	_ = d.Sync()
	_ = d.Close()
}

// fileName returns the same name for the same message. Names sort by date. Characters of the ID that some file system
// does not allow are replaced; the digest distinguishes IDs that this, or a file system that ignores case, would make
// equal.
func fileName(m Message) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-':
			return r
		}
		return '_'
	}, m.ID)
	digest := sha256.Sum256([]byte(m.ID))
	return fmt.Sprintf("%s-%.60s-%x.eml", m.Date.UTC().Format("20060102T150405.000Z"), id, digest[:4])
}
