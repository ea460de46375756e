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
