package token_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/token"
)

func TestCodeBelongsToItsID(t *testing.T) {
	t.Parallel()
	signer, id := token.NewSigner("the secret"), uuid.New()
	code := signer.Code(id)
	require.Regexp(t, `^\d{6}$`, code)
	require.True(t, signer.IsCode(id, code))
	for _, wrong := range []string{"", code + "0", code[:5], " " + code, "abcdef"} {
		require.False(t, signer.IsCode(id, wrong), "%q", wrong)
	}
	require.True(t, token.NewSigner("a new secret", "the secret").IsCode(id, code), "the key is replaced meanwhile")

	// Codes of other ids and other keys are others: that ten in a row are equal happens once in 10^60.
	equal := 0
	for range 10 {
		if other := uuid.New(); signer.Code(other) == code {
			equal++
		}
	}
	require.Less(t, equal, 10)
	require.NotEqual(t, [3]string{code, signer.Code(uuid.UUID{1}), signer.Code(uuid.UUID{2})}, [3]string{
		token.NewSigner("other").Code(id), token.NewSigner("other").Code(uuid.UUID{1}), token.NewSigner("other").Code(uuid.UUID{2}),
	})
}
