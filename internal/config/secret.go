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

// A Secret is a string that formatting, logging and encoding replace by "[redacted]".
type Secret string

// Reveal returns the string itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format writes "[redacted]" for every verb, %x and %#v included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns "[redacted]" to log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]" to encoders such as encoding/json.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LoadSecret returns the key that signs approval tokens: SecretKey if it is set; else, with SQLite, the key in the file
// secret.key beside the database, which the first call generates.
//
// With PostgreSQL an empty SecretKey is an error, because all servers of one database must use the same key. Only
// serving needs the key: commands work without it.
func (c Config) LoadSecret() (Secret, error) {
	if c.SecretKey != "" {
		return c.SecretKey, nil
	}
	if c.Database.Engine != SQLite {
		return "", variableError("SECRET_KEY", "required with PostgreSQL, the same on every server; %s", makeSecret)
	}

	path := c.SecretFile()
	key, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createSecret(path); err == nil {
			key, err = readSecret(path)
		}
	}
	if err != nil {
		return "", variableError("SECRET_KEY", "empty, and the generated key can't be used; set the variable, or fix the file: %w", err)
	}
	return key, nil
}

// SecretFile returns the path of the file with the generated key. Only SQLite has one.
func (c Config) SecretFile() string {
	return filepath.Join(filepath.Dir(c.Database.Path), "secret.key")
}

func readSecret(path string) (Secret, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(content))
	if len(key) < minSecretLength {
		return "", fmt.Errorf("%s is damaged: remove it to generate another key; approval links that were sent stop working", path)
	}
	return Secret(key), nil
}

// createSecret writes a generated key to path, unless another process was faster. Processes agree on one key because
// os.Link fails if path exists. Opening path with O_EXCL would not do: another process could read the file before the
// key is written.
func createSecret(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".secret.key-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())

	random := make([]byte, 32)
	_, _ = rand.Read(random) // never returns an error: it ends the program instead
	_, err = fmt.Fprintln(tmp, base64.RawURLEncoding.EncodeToString(random))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
