package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// sealLabel separates the keys of Seal from any other use of the signing keys.
const sealLabel = "invited sealed text v1 "

// Seal encrypts text by AES-256-GCM with a key derived (RFC 5869) from the server's secret and phrase. Open returns the
// text to whoever knows phrase and context, which are not stored with the text.
func (s *Signer) Seal(phrase string, text, context []byte) ([]byte, error) {
	sealer, err := newSealer(s.keys[0], phrase)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(nil, nil, text, context), nil //nolint:gosec // G407: the cipher makes a random nonce itself
}

// Open returns the text that Seal encrypted with the same phrase and context, under any of the signer's keys; false
// where something differs.
func (s *Signer) Open(phrase string, sealed, context []byte) (text []byte, ok bool) {
	for _, key := range s.keys {
		sealer, err := newSealer(key, phrase)
		if err != nil {
			return nil, false
		}
		if text, err := sealer.Open(nil, nil, sealed, context); err == nil {
			return text, true
		}
	}
	return nil, false
}

func newSealer(key []byte, phrase string) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, sealLabel+phrase, 32)
	if err != nil {
		return nil, fmt.Errorf("token: deriving a key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("token: deriving a key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
