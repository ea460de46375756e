package directory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
)

func TestHasInvisible(t *testing.T) {
	t.Parallel()
	for _, r := range []rune{
		0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180b, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x202e, 0x2060, 0x2064,
		0x2066, 0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xe0000, 0xe0001, 0xe0041, 0xe0100, 0xe01ef, 0xe0fff,
	} {
		text := "an" + string(r) + "na"
		require.True(t, directory.HasInvisible(text), "%U", r)
		require.True(t, directory.HasBlank(text), "%U", r)
		require.False(t, directory.ValidEmail("a@"+text+".example"), "%U", r)
	}
	for _, text := range []string{"anna", "Anna Ärm", "日本", "e\u0301", "🙂", "हिन्दी"} {
		require.False(t, directory.HasInvisible(text), text)
	}
	require.True(t, directory.HasBlank("an\u00a0na"))
}
