package token

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
)

// codeLabel separates codes from any other use of the signing keys.
const codeLabel = "invited sign-in code v1 "

// codes is the number of different codes.
const codes = 1_000_000

// Code returns the code of six digits that belongs to an id. Whoever does not know the key learns nothing of the code of
// one id from the codes of others.
func (s *Signer) Code(id uuid.UUID) string { return code(s.keys[0], id) }

// IsCode reports whether a text is the code of an id, under any of the keys. Its running time does not depend on how much
// of the code is right.
func (s *Signer) IsCode(id uuid.UUID, text string) bool {
	is := false
	for _, key := range s.keys {
		if hmac.Equal([]byte(text), []byte(code(key, id))) {
			is = true
		}
	}
	return is
}

func code(key []byte, id uuid.UUID) string {
	sum := mac(key, codeLabel+id.String())
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum)%codes)
}
