package mail

import (
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRecipient(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"bob@example.org":                  "bob@example.org",
		"Bob.O'Neil+tag@Example.org":       "Bob.O'Neil+tag@Example.org",
		"bob@localhost":                    "bob@localhost",
		"bob@bücher.example":               "bob@xn--bcher-kva.example",
		"bob@BÜCHER.example":               "bob@xn--bcher-kva.example",
		"bob@xn--bcher-kva.example":        "bob@xn--bcher-kva.example",
		"bob@例え.テスト":                       "bob@xn--r8jz45g.xn--zckzah",
		"bob@faß.example":                  "bob@xn--fa-hia.example",
		strings.Repeat("a", 64) + "@x.org": strings.Repeat("a", 64) + "@x.org",
	} {
		got, err := parseRecipient(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{
		"", "bob", "@example.org", "bob@", "bob@@example.org", "a@b@example.org",
		"bob@example.org,eve@example.org", "bob@example.org eve@example.org",
		"Bob <bob@example.org>", "<bob@example.org>", "bob@example.org>", "bob@example.org (Bob)",
		"bob@example.org\r\nBcc: eve@example.org", "bob\n@example.org", "bob@example.org\x00", "\tbob@example.org", " bob@example.org",
		`"bob"@example.org`, `"a@evil.example x"@good.example`, `"a b"@x.org`, `b\@x.org`, ".bob@x.org", "bob.@x.org", "b..b@x.org",
		"bob@[127.0.0.1]", "bob@example.org.", "bob@-x.org", "bob@x_y.org", "bob@ex ample.org", "bob@.org",
		"böb@example.org", "bob\u202e@example.org", "bob@example.org\u200f", "group:bob@example.org;",
		"bob@ban\u212a.com",   // Kelvin sign
		"bob@ｅxample.org",     // fullwidth e
		"bob@example。org",     // ideographic full stop
		"bob@\u0130x.example", // dotted capital I
		"bob@\u017fo.example", // long s
		"bob@bu\u0308cher.example",
		strings.Repeat("a", 65) + "@x.org",
		"a@" + strings.Repeat("x", 64) + ".org",
		"a@" + strings.Repeat(strings.Repeat("x", 60)+".", 5) + "org",
		strings.Repeat("[", 1<<20),
	} {
		_, err := parseRecipient(in)
		require.Error(t, err, "%.80q", in)
		failure := checkFailure(t, err)
		require.True(t, failure.Final, in)
		require.Less(t, len(failure.Reason), 200)
	}
}

func TestParseSender(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"invited <invitations@localhost>":        `"invited" <invitations@localhost>`,
		"no-reply@example.com":                   "<no-reply@example.com>",
		"Büro, Nord <a@bücher.example>":          "",
		`"Büro, Nord" <a@bücher.example>`:        "=?utf-8?b?QsO8cm8sIE5vcmQ=?= <a@xn--bcher-kva.example>",
		"":                                       "",
		"nobody":                                 "",
		"a@x.org, b@x.org":                       "",
		"A <a@x.org>\r\nBcc: b@x.org":            "",
		`"a@evil.example x"@good.example`:        "",
		"A <\"a b\"@x.org>":                      "",
		"=?utf-8?b?QQ0KQmNjOiBlQHgub3Jn?= <a@x>": `"A Bcc: e@x.org" <a@x>`,
	} {
		got, err := parseSender(in)
		if want == "" {
			require.ErrorContains(t, err, "the sender of mails", in)
			require.NotContains(t, err.Error(), "\n")
			continue
		}
		require.NoError(t, err, in)
		require.Equal(t, want, got.String())
	}
}

// FuzzRecipient compares accepted recipients with the parser of the standard library: it parses the same single
// address, and parsing the result again changes nothing.
func FuzzRecipient(f *testing.F) {
	for _, s := range append(hostileValues, "bob@example.org", "bob@bücher.example", `"a@b"@c.org`, "a@b,c@d", "A <a@b>") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, err := parseRecipient(s)
		if err != nil {
			return
		}
		require.True(t, isASCII(address))
		require.LessOrEqual(t, len(address), maxAddress)
		parsed, err := netmail.ParseAddress(address)
		require.NoError(t, err)
		require.Equal(t, netmail.Address{Address: address}, *parsed)
		again, err := parseRecipient(address)
		require.NoError(t, err)
		require.Equal(t, address, again)
	})
}
