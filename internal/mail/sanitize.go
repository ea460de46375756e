package mail

import (
	"strings"
	"unicode"
)

// sanitizeLine makes s safe as a part of one line of text. Every run of white space, line breaks included, becomes one
// space, and control characters, bidirectional ones included, are removed. "=?" becomes "= ?": a mail reader would take
// it for the start of an encoded word (RFC 2047) and decode what was never encoded here.
func sanitizeLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(printableRune, strings.ToValidUTF8(s, "\uFFFD"))), " ")
	return strings.ReplaceAll(s, "=?", "= ?")
}

// sanitizeLines splits s into lines and removes their control characters. Of several empty lines in a row one
// remains, so that a text cannot push what follows it out of sight.
func sanitizeLines(s string) []string {
	var out []string
	for l := range strings.SplitSeq(lineEndings.Replace(strings.ToValidUTF8(s, "\uFFFD")), "\n") {
		l = strings.TrimSpace(strings.Map(printableRune, l))
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

// lineEndings replaces every line ending that Unicode lists (UAX 14) by "\n".
var lineEndings = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n",
	"\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// printableRune is a mapping for strings.Map. White space becomes a space, and control characters are dropped.
func printableRune(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return -1
	}
	return r
}

// truncate shortens s to at most n runes. A shortened string ends in "…".
func truncate(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimSpace(string(runes[:n-1])) + "…"
}
