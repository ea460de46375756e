package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// keyPrefix lets secret scanners recognize a leaked key.
const keyPrefix = "inv_"

// NewKey returns a fresh API key: the prefix "inv_" and at least 128 random bits (OWASP ASVS 5.0, 7.2.3).
func NewKey() string { return keyPrefix + rand.Text() }

// Digest returns what is stored of an API key: its SHA-256 in hexadecimal. A plain hash is enough for a secret
// of that many random bits (ASVS 5.0, 6.5.2), and looking a digest up leaks nothing of the key by its timing.
func Digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
