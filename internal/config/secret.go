package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

const redacted = "[redacted]"

// A Secret is text that no formatting, logging or encoding shows.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (Secret) String() string { return redacted }

// Format hides the text from every verb, %x and %#v included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the text from log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the text from encoders; encoding/json asks it too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LoadSecret returns the key that signs approval tokens: SecretKey where it is
// set, else, with SQLite, the one kept in the file secret.key beside the
// database, made by whoever asks first. It fails with Postgres when SecretKey is
// empty, since every server on one database must have the same. Only a server
// needs it, and other commands work without.
func (c Config) LoadSecret() (Secret, error) {
	if c.SecretKey != "" {
		return c.SecretKey, nil
	}
	if c.Database.Engine != SQLite {
		return "", bad("SECRET_KEY", "required with PostgreSQL, the same on every server; %s", makeSecret)
	}

	path := filepath.Join(filepath.Dir(c.Database.Path), "secret.key")
	key, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createSecret(path); err == nil {
			key, err = readSecret(path)
		}
	}
	if err != nil {
		return "", fmt.Errorf("secret key (set %sSECRET_KEY to have none in a file): %w", prefix, err)
	}
	return key, nil
}

func readSecret(path string) (Secret, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(text))
	if len(key) < minSecret {
		return "", fmt.Errorf("%s is damaged: remove it to have another made, which ends the approval links sent so far", path)
	}
	return Secret(key), nil
}

// createSecret writes a new key to path, unless another process was faster. The
// link is what makes them agree: it fails where the name exists, and the name
// never shows a file that is not yet whole, as opening with O_EXCL would.
func createSecret(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	whole, err := os.CreateTemp(dir, ".secret.key-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(whole.Name())

	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails: it ends the program instead
	_, err = fmt.Fprintln(whole, base64.RawURLEncoding.EncodeToString(random))
	if err = errors.Join(err, whole.Sync(), whole.Close()); err != nil {
		return err
	}
	if err := os.Link(whole.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
