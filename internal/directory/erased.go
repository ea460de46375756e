package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// erasedDomain is the domain of the addresses that stand for erased ones. Nobody can get mail there (RFC 2606, section 2).
const erasedDomain = "@erased.invalid"

// ErasedEmail returns the address that stands for the address of an erased person in a row and in its events. It is computed
// from the row's UUID, which is random, and never from the address: whoever guesses the address can't confirm it. It does not
// show the UUID, which may be a link.
func ErasedEmail(row uuid.UUID) string { return "erased-" + erasedNumber(row.String()) + erasedDomain }

// ErasedText returns the address that stands for one in a row without a UUID, whose key is a given one.
func ErasedText(key string) string { return "erased-" + erasedNumber(key) + erasedDomain }

func erasedNumber(key string) string {
	sum := sha256.Sum256([]byte("erased " + key))
	return hex.EncodeToString(sum[:8])
}

// IsErasedEmail reports whether an address (folded) stands for an erased one.
func IsErasedEmail(folded string) bool { return strings.HasSuffix(folded, erasedDomain) }

// ErasedUsername returns the username of a user who is erased.
func ErasedUsername(user uuid.UUID) string { return "erased-" + erasedNumber(user.String()) }

// Erased returns a user of whom nothing is left but who they were to others: the UUID, and when the user was created. Nobody
// signs in as the user, who holds no right.
func (u User) Erased() User {
	return User{UUID: u.UUID, Username: ErasedUsername(u.UUID), Kind: u.Kind, MadeBySignIn: u.MadeBySignIn, Created: u.Created}
}
