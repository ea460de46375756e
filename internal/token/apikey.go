package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// keyPrefix lets secret scanners recognize a leaked key.
const keyPrefix = "inv_"

// NewKey returns a new API key: the prefix "inv_" and at least 128 random bits (OWASP ASVS 5.0, 7.2.3) in base32.
func NewKey() string { return keyPrefix + rand.Text() }

// NewSecret returns a secret of at least 256 random bits in base32, for a cookie.
func NewSecret() string { return rand.Text() + rand.Text() }

// Digest returns the form in which an API key or a secret is stored: its SHA-256, as 64 hexadecimal digits. A plain hash is
// enough for a secret of that many random bits (ASVS 5.0, 6.5.2), and the time that a lookup by digest takes reveals nothing
// about the key.
func Digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
