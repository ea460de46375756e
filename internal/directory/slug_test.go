package directory_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
)

func TestSlug(t *testing.T) {
	t.Parallel()
	for name, slug := range map[string]string{
		"":                     "",
		"Apollo":               "apollo",
		"  Apollo  13! ":       "apollo-13",
		`50%_off \ sale`:       "50-off-sale",
		"ÉTÉ":                  "ete",
		"e\u0301te\u0301":      "ete",
		"Müller & Söhne, GmbH": "muller-sohne-gmbh",
		"\u212aelvin":          "kelvin",
		"ﬁne":                  "fine",
		"Straße":               "stra-e",
		"Øresund, Łódź":        "resund-odz",
		"ß":                    "",
		"Проект 7":             "7",
		"プロジェクト":               "",
		"a-b--c":               "a-b-c",
		"../../etc":            "etc",
		"a\x00b\xffc":          "a-b-c",
	} {
		require.Equal(t, slug, directory.Slug(name), "%q", name)
		require.Equal(t, slug, directory.Slug(slug), "%q", name)
	}
	require.Equal(t, strings.Repeat("a", 255), directory.Slug(strings.Repeat("a", 256)))
	require.LessOrEqual(t, len(directory.Slug(strings.Repeat("㎯ ", 500))), 255) // rad∕s2
}
