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

// version is the first part of every token. Another layout or algorithm needs another version.
const version = "v1"

// label separates the signing keys from those of any other use of the same secret.
const label = "invited approval token v1"

// leeway is how far in the future a token's time of issue may be, because the clocks of replicas differ.
const leeway = time.Minute

var (
	// ErrSignature: the token is malformed, not signed with a key of this server, issued in the future, or too old.
	ErrSignature = errors.New("token: invalid signature, or expired")
	// ErrPayload: the token is signed by this server, but for another purpose or with contents that it cannot read.
	ErrPayload = errors.New("token: unexpected purpose or payload")
)

// Purpose is the one action that a token is good for.
type Purpose byte

// The purposes. Their values are part of the signed payload.
const (
	Approve Purpose = 1
	Reject  Purpose = 2
)

// Approval is the content of an approval token.
type Approval struct {
	Purpose    Purpose
	User       uuid.UUID // the staff user that the token was mailed to
	Invitation uuid.UUID
	Issued     time.Time // whole seconds, UTC
}

// Signer signs and verifies approval tokens with HMAC-SHA256 (RFC 2104). It is safe for concurrent use.
type Signer struct {
	keys [][]byte // the first one signs; all of them verify
}

// NewSigner returns a Signer that signs with a key derived from secret. Tokens that were signed with one of the
// fallbacks still verify, so that a secret can be replaced while links are in use.
func NewSigner(secret string, fallbacks ...string) *Signer {
	s := &Signer{}
	for _, each := range append([]string{secret}, fallbacks...) {
		s.keys = append(s.keys, mac([]byte(each), label))
	}
	return s
}

// payloadSize is the size in bytes of purpose, user, invitation and the time of issue in Unix seconds.
const payloadSize = 1 + 16 + 16 + 8

// Sign returns the token for an approval: "v1.", the payload, "." and its MAC, in unpadded URL-safe base64 (RFC 4648,
// section 5). The token needs no escaping in a URL path.
func (s *Signer) Sign(a Approval) string {
	payload := make([]byte, 0, payloadSize)
	payload = append(payload, byte(a.Purpose))
	payload = append(payload, a.User[:]...)
	payload = append(payload, a.Invitation[:]...)
	payload = binary.BigEndian.AppendUint64(payload, uint64(a.Issued.Unix())) //nolint:gosec // tokens are issued after 1970
	body := version + "." + base64.RawURLEncoding.EncodeToString(payload)
	return body + "." + base64.RawURLEncoding.EncodeToString(mac(s.keys[0], body))
}

// Signed reports whether a token is signed with a key of this server. It says nothing of the token's content and age.
func (s *Signer) Signed(token string) bool {
	dot := strings.LastIndexByte(token, '.')
	return dot >= 0 && s.isSigned(token[:dot], token[dot+1:])
}

// Verify returns the content of a token if, in this order, its signature is valid, its age at now is below maxAge, and
// its purpose is the given one. Nothing of an unsigned token is parsed.
//
// The error is [ErrSignature] or [ErrPayload]. Verify does not know whether the user is still staff and whether the
// invitation still waits for approval: the caller has to check both.
func (s *Signer) Verify(token string, purpose Purpose, now time.Time, maxAge time.Duration) (Approval, error) {
	if !s.Signed(token) {
		return Approval{}, ErrSignature
	}
	head, encoded, found := strings.Cut(token[:strings.LastIndexByte(token, '.')], ".")
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
		Issued:     time.Unix(int64(binary.BigEndian.Uint64(payload[33:])), 0).UTC(), //nolint:gosec // Sign wrote it
	}
	if age := now.Sub(a.Issued); age >= maxAge || age < -leeway {
		return Approval{}, ErrSignature
	}
	if a.Purpose != purpose {
		return Approval{}, ErrPayload
	}
	return a, nil
}

// isSigned reports whether encoded is the MAC of body under one of the keys. Its running time depends on neither.
func (s *Signer) isSigned(body, encoded string) bool {
	// A token must have only one spelling. Strict refuses encodings whose unused last bits are set; the decoder skips
	// line breaks, so they are refused here.
	if strings.ContainsAny(encoded, "\r\n") {
		return false
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return false
	}
	signed := false
	for _, key := range s.keys {
		if hmac.Equal(given, mac(key, body)) {
			signed = true
		}
	}
	return signed
}

func mac(key []byte, body string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(body))
	return h.Sum(nil)
}
