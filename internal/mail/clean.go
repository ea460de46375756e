package mail

import (
	"strings"
	"unicode"
)

// line makes s fit for one line of people's text: every run of white space,
// line ends included, becomes one space, and control characters, bidirectional
// ones too, are gone. "=?" is broken up because a mail reader would take what
// follows for an encoded word (RFC 2047) and decode what was never encoded here.
func line(s string) string {
	s = strings.Join(strings.Fields(strings.Map(printable, strings.ToValidUTF8(s, "\uFFFD"))), " ")
	return strings.ReplaceAll(s, "=?", "= ?")
}

// lines is line for text of several lines. At most one empty line in a row
// stays, so that a text can't push what follows it out of sight.
func lines(s string) []string {
	var out []string
	for l := range strings.SplitSeq(lineEnds.Replace(strings.ToValidUTF8(s, "\uFFFD")), "\n") {
		l = strings.TrimSpace(strings.Map(printable, l))
		if l == "" && (len(out) == 0 || out[len(out)-1] == "") {
			continue
		}
		out = append(out, l)
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// lineEnds brings every way to end a line that Unicode lists (UAX 14) to "\n".
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n",
	"\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// printable keeps what has a place in a line; it is for strings.Map.
func printable(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return -1
	}
	return r
}

// shorten cuts s to at most n runes and marks the cut.
func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimSpace(string(runes[:n-1])) + "…"
}
