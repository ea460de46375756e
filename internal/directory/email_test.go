package directory_test

import (
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/idna"

	"invited/internal/directory"
)

func TestValidEmail(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a@example.org", "A.B@Example.ORG", "a+tag@example.org", "o'hara@example.org", "!#$%&'*+/=?^_`{|}~-@example.org",
		"1@1.example", "a@sub.sub.example.org", "a@xn--bcher-kva.example", "a@bücher.example", "a@localhost", "a@пример.рф",
		strings.Repeat("a", 64) + "@example.org", "a@" + strings.Repeat("a", 63) + ".org", "a@127.0.0.1",
		"a@" + strings.Repeat("abcdefg.", 30) + "example.or", // 252 characters
	} {
		require.True(t, directory.ValidEmail(text), text)
	}
	for _, text := range []string{
		"", "@", "a", "a@", "@b.example", "a@b", "a@b.", "a@.b", "a@b..example", "a.@b.example", ".a@b.example", "a..b@b.example",
		" a@b.example", "a@b.example ", "a b@b.example", "a@b.example\r\nBcc: c@d.example", "a\x00@b.example", "a@b\x00.example",
		`"a"@b.example`, `"a b"@b.example`, "a@[127.0.0.1]", "a@[IPv6:::1]", "Ann <a@b.example>", "<a@b.example>", "a@b.example,c@d.example",
		"a@b@c.example", "a(comment)@b.example", "a@b.example(comment)", "ä@b.example", "a@-b.example", "a@b-.example", "a@b_c.example",
		"a@\u2100.example", "a@b\u3002", "a@evil.example／b.example", "a@b.example@", "\xff@b.example",
		strings.Repeat("a", 65) + "@b.example", "a@" + strings.Repeat("a", 64) + ".example", "a@" + strings.Repeat("a.", 127) + "b",
		"a@" + strings.Repeat("abcdefg.", 31) + "example", strings.Repeat("a@", 1<<19), "a@" + strings.Repeat("[", 1<<20),
	} {
		require.False(t, directory.ValidEmail(text), "%.100q", text)
	}
}

// A domain that IDNA maps to another domain is refused: mail would go to a domain other than the one that is stored, shown
// and compared, and package mail refuses to send to it.
func TestValidEmailRefusesLookAlikeDomains(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a@example.org\u200b", "a@ex\u00adample.org", "a@ｅxample.org", "a@\u212aind.example", "a@exa\u2060mple.org",
		"a@example\u3002org", "a@ſample.example", "a@ﬁne.example", "a@𝐞xample.org", "a@e\ufe0fxample.org", "a@\xff.example", "a@\ufffd.example",
	} {
		require.False(t, directory.ValidEmail(text), "%q", text)
	}
	for _, text := range []string{"a@BÜCHER.example", "a@Пример.рф"} {
		require.True(t, directory.ValidEmail(text), "%q", text)
	}
}

// Texts that a mail server distinguishes must fold to different texts (CVE-2019-19844).
func TestFold(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"kate", "\u212aate"},
		{"K", "\u212a"},
		{"i", "\u0130"},
		{"i", "\u0131"},
		{"s", "\u017f"},
		{"ss", "ß"},
		{"a", "а"},
		{"a", "ａ"},
		{"é", "e\u0301"},
		{"a.b", "ab"},
		{"a+b", "a"},
		{"a", "a\u00ad"},
		{"a", "a "},
		{"fi", "ﬁ"},
	} {
		require.NotEqual(t, directory.Fold(pair[0]), directory.Fold(pair[1]), "%q and %q", pair[0], pair[1])
	}
	for _, pair := range [][2]string{{"Bob@EX.com", "bob@ex.COM"}, {"ÄÖ", "äö"}, {"ПРИМЕР", "пример"}, {"", ""}} {
		require.Equal(t, directory.Fold(pair[0]), directory.Fold(pair[1]))
	}
}

// FuzzValidEmail checks that net/mail reads every valid address as that address and nothing else, and that the address has
// no character with a meaning in a mail header or a log.
func FuzzValidEmail(f *testing.F) {
	for _, seed := range []string{
		"a@example.org", "A.B+c@Example.ORG", "a@bücher.example", "a@localhost", `"a b"@example.org`, "a@[127.0.0.1]",
		"Ann <a@example.org>", "a@b", "a@\u2100.example", "a@ex\u00adample.org", "a@ｅxample.org", "\u212a@example.org", "a@b.example\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !directory.ValidEmail(text) {
			return
		}
		require.LessOrEqual(t, len(text), 254)
		require.True(t, utf8.ValidString(text), "%q", text)
		parsed, err := mail.ParseAddress(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, text, parsed.Address)
		require.Empty(t, parsed.Name)
		local, domain, _ := strings.Cut(text, "@")
		require.NotContains(t, domain, "@", "%q", text)
		require.True(t, isASCII(local), "%q", text)
		for _, r := range text {
			require.False(t, r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),:;<>[\]`, r), "%q", text)
		}
		ascii, err := idna.Lookup.ToASCII(domain)
		require.NoError(t, err, "%q", text)
		require.NotEmpty(t, ascii)
		require.Equal(t, directory.Fold(text), directory.Fold(strings.ToUpper(local)+"@"+domain), "case is ignored")
		require.Equal(t, directory.Fold(text), directory.Fold(directory.Fold(text)))
	})
}
