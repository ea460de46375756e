package token_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/token"
)

func TestSeal(t *testing.T) {
	t.Parallel()
	signer := token.NewSigner("secret", "former")
	text, context := []byte("inv_SECRET"), []byte("context")
	seal := func(s *token.Signer) []byte {
		sealed, err := s.Seal("phrase", text, context)
		require.NoError(t, err)
		require.NotContains(t, string(sealed), "inv_")
		return sealed
	}
	sealed := seal(signer)
	require.NotEqual(t, sealed, seal(signer), "equal texts look different")
	opened, ok := signer.Open("phrase", sealed, context)
	require.True(t, ok)
	require.Equal(t, text, opened)
	opened, ok = signer.Open("phrase", seal(token.NewSigner("former")), context)
	require.True(t, ok)
	require.Equal(t, text, opened)

	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, ok := signer.Open("phrase", changed, context)
		require.False(t, ok, i)
		_, ok = signer.Open("phrase", sealed[:i], context)
		require.False(t, ok, i)
	}
	for _, each := range []struct {
		signer *token.Signer
		phrase string
		about  []byte
	}{
		{signer, "Phrase", context},
		{signer, "", context},
		{signer, "phrase", []byte("Context")},
		{signer, "phrase", nil},
		{token.NewSigner("another"), "phrase", context},
	} {
		_, ok := each.signer.Open(each.phrase, sealed, each.about)
		require.False(t, ok)
	}
}
