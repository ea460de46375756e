package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
)

// version stands before every token; another layout or algorithm gets another version.
const version = "v1"

// label keeps these signatures apart from anything else that is ever signed with the same secret.
const label = "invited approval token v1"

// leeway is how far into the future a token may have been issued, for clocks that differ between replicas.
const leeway = time.Minute

var (
	// ErrSignature: not signed with a key of this server, malformed, or too old.
	ErrSignature = errors.New("token: signature does not hold")
	// ErrPayload: signed by this server, but for another purpose or with contents that make no sense.
	ErrPayload = errors.New("token: payload does not fit")
)

// Purpose binds a token to the one action it is good for.
type Purpose byte

// The actions that a token can be good for.
const (
	Approve Purpose = 1
	Reject  Purpose = 2
)

// Approval is what an approval token says.
type Approval struct {
	Purpose    Purpose
	User       uuid.UUID // the staff user that it was mailed to
	Invitation uuid.UUID
	Issued     time.Time // whole seconds
}

// Signer signs and verifies approval tokens with HMAC-SHA256 (RFC 2104).
type Signer struct{ keys [][]byte }

// NewSigner returns a signer for a secret. Tokens that were signed with a fallback still verify.
func NewSigner(secret string, fallbacks ...string) *Signer {
	s := &Signer{}
	for _, each := range append([]string{secret}, fallbacks...) {
		mac := hmac.New(sha256.New, []byte(each))
		mac.Write([]byte(label))
		s.keys = append(s.keys, mac.Sum(nil))
	}
	return s
}

// payloadSize is purpose, user, invitation and the time of issue in Unix seconds.
const payloadSize = 1 + 16 + 16 + 8

// Sign returns the token for an approval: "v1.", the payload and its MAC, in unpadded URL-safe base64 (RFC 4648,
// section 5), so that it stands in a URL path as it is.
func (s *Signer) Sign(a Approval) string {
	payload := make([]byte, 0, payloadSize)
	payload = append(payload, byte(a.Purpose))
	payload = append(payload, a.User[:]...)
	payload = append(payload, a.Invitation[:]...)
	payload = binary.BigEndian.AppendUint64(payload, uint64(a.Issued.Unix())) //nolint:gosec // the year 1970 is past
	body := version + "." + base64.RawURLEncoding.EncodeToString(payload)
	return body + "." + base64.RawURLEncoding.EncodeToString(mac(s.keys[0], body))
}

// Verify returns what a token says, once its signature holds, it is younger than maxAge at now, and it is good
// for this purpose. It checks in that order and nothing of an unsigned token is looked at. It returns
// ErrSignature or ErrPayload; whether the user is still staff and the invitation still waits is the caller's to
// ask.
func (s *Signer) Verify(text string, purpose Purpose, now time.Time, maxAge time.Duration) (Approval, error) {
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 || !s.signed(text[:dot], text[dot+1:]) {
		return Approval{}, ErrSignature
	}
	head, encoded, found := strings.Cut(text[:dot], ".")
	if !found || head != version {
		return Approval{}, ErrPayload
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(payload) != payloadSize {
		return Approval{}, ErrPayload
	}
	a := Approval{
		Purpose:    Purpose(payload[0]),
		User:       uuid.UUID(payload[1:17]),
		Invitation: uuid.UUID(payload[17:33]),
		Issued:     time.Unix(int64(binary.BigEndian.Uint64(payload[33:])), 0).UTC(), //nolint:gosec // signed by us
	}
	if age := now.Sub(a.Issued); age >= maxAge || age < -leeway {
		return Approval{}, ErrSignature
	}
	if a.Purpose != purpose {
		return Approval{}, ErrPayload
	}
	return a, nil
}

// signed tells whether encoded is the MAC of body under any key, in a time that depends on neither.
func (s *Signer) signed(body, encoded string) bool {
	// No token has a second spelling: Strict refuses encodings whose unused last bits are set, and the decoder would
	// skip line breaks.
	if strings.ContainsAny(encoded, "\r\n") {
		return false
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return false
	}
	ok := false
	for _, key := range s.keys {
		if hmac.Equal(given, mac(key, body)) {
			ok = true
		}
	}
	return ok
}

func mac(key []byte, body string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(body))
	return h.Sum(nil)
}
