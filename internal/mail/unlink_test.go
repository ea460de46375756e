package mail

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWithoutLink(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Alice Owner":               "Alice Owner",
		"Dr. Alice M. Owner":        "Dr. Alice M. Owner",
		"J.R.R. Tolkien":            "J.\u2060R.\u2060R. Tolkien",
		"GPU nodes 2.0":             "GPU nodes 2.0",
		"C++/Rust":                  "C++/Rust",
		"alice@example.com":         "alice@example.com",
		"evil.example":              "evil.\u2060example",
		"www.evil.example":          "www.\u2060evil.\u2060example",
		"https://evil.example/a":    "https:\u2060/\u2060/\u2060evil.\u2060example/\u2060a",
		"HTTP://192.0.2.1/x":        "HTTP:\u2060/\u2060/\u2060192.\u20600.\u20602.\u20601/\u2060x",
		"Prize: evil.example now":   "Prize: evil.\u2060example now",
		"a@evil.example and others": "a@\u2060evil.\u2060example and others",
		"münchen.example":           "münchen.\u2060example",
		"xn--mnchen-3ya.example":    "xn--mnchen-3ya.\u2060example",
		"evil.xn--p1ai":             "evil.\u2060xn--p1ai",
		"first.last+x@acme.org":     "first.last+x@acme.org",
		"evil.example@acme.org":     "evil.example@acme.org",
		"www.evil.example@acme.org": "www.\u2060evil.\u2060example@\u2060acme.\u2060org",
		"WWW.evil.example@acme.org": "WWW.\u2060evil.\u2060example@\u2060acme.\u2060org",
		"evil.example?a@acme.org":   "evil.\u2060example?a@\u2060acme.\u2060org",
		"evil.example#a@acme.org":   "evil.\u2060example#a@\u2060acme.\u2060org",
		"evile\u0301.com":           "evile\u0301.\u2060com",
		"हिन्दी.com":                "हिन्दी.\u2060com",
		"💩.la":                      "💩.\u2060la",
		"👍🏽.ws":                     "👍🏽.\u2060ws",
		"i❤.ws":                     "i❤.\u2060ws",
		"i❤\ufe0f.ws":               "i❤\ufe0f.\u2060ws",
		"evil。com":                  "evil。\u2060com",
		"evil．com":                  "evil．\u2060com",
		"evil｡com":                  "evil｡\u2060com",
		"1.2.3.4/login":             "1.\u20602.\u20603.\u20604/\u2060login",
		"1.2.3.4":                   "1.\u20602.\u20603.\u20604",
		"localhost:8080/x":          "localhost:\u20608080/\u2060x",
		"Meeting at 10:30":          "Meeting at 10:30",
		"Project: 2024":             "Project: 2024",
		"Acme Inc., Ltd.":           "Acme Inc., Ltd.",

		"evil.example/path@acme.org":      "evil.\u2060example/\u2060path@\u2060acme.\u2060org",
		"www.evil.example/login@acme.org": "www.\u2060evil.\u2060example/\u2060login@\u2060acme.\u2060org",
	} {
		require.Equal(t, want, withoutLink(name), name)
		require.Equal(t, name, strings.ReplaceAll(want, wordJoiner, ""), "nothing else changes")
	}
}

// No name in the text or the HTML of any mail can be taken for a link, and the subject has the name as it is.
func TestNamesAreNoLinks(t *testing.T) {
	t.Parallel()
	const evil = "https://evil.example/login"
	for _, kind := range kinds {
		v := testInvitation()
		v.Inviter, v.ScopeName, v.CustomerName, v.Asker, v.AcceptedBy = evil, evil, evil, evil, evil
		v.ExtraText, v.Reason, v.Code = "", "", "204816"
		v.Requests = []Invitation{v, v}
		m := render(t, kind, v)
		require.NotContains(t, m.Text, "evil.example", kind)
		require.NotContains(t, m.HTML, "evil.example", kind)
		require.NotContains(t, m.Text, "https://evil", kind)
		require.NotContains(t, m.HTML, "https://evil", kind)
		require.NotContains(t, m.Subject, wordJoiner, kind)
	}
	v := testInvitation()
	v.ExtraText = "See https://docs.example/start"
	require.Contains(t, render(t, InvitationCreated, v).Text, "https://docs.example/start", "what the inviter writes is theirs")
}
