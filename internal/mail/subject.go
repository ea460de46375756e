package mail

import (
	"fmt"
	"strings"
)

// encodeSubject returns a subject with letters outside ASCII as encoded words (RFC 2047, encoding Q), one to a line. The
// first one stands beside the name of the field: a subject that is folded right behind its colon is shown empty, or is a
// sign of spam, in some mail programs. go-mail folds there because its first word fills a line by itself.
func encodeSubject(subject string) string {
	const (
		begin, end = "=?utf-8?q?", "?="
		line       = 76
	)
	var out, word strings.Builder
	left := line - len("Subject: ")
	for _, r := range subject {
		encoded := encodeQ(r)
		if len(begin)+word.Len()+len(encoded)+len(end) > left {
			out.WriteString(begin + word.String() + end + "\r\n ")
			word.Reset()
			left = line - len(" ")
		}
		word.WriteString(encoded)
	}
	out.WriteString(begin + word.String() + end)
	return out.String()
}

// encodeQ returns a character in the encoding Q. What is left as it is would be allowed in a name too (RFC 2047, section 5).
func encodeQ(r rune) string {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return string(r)
	case r == ' ':
		return "_"
	}
	var out strings.Builder
	for _, b := range []byte(string(r)) {
		fmt.Fprintf(&out, "=%02X", b)
	}
	return out.String()
}
