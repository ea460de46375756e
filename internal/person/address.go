package person

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Address finds an e-mail address in texts, in each spelling that the product takes for the same address: in upper and lower
// case, with an internationalized domain in letters or in ASCII. It also finds the address where it is escaped, as in a regular
// expression, in JSON or in a URL.
type Address struct {
	Folded  string // directory.FoldEmail of it
	pattern *regexp.Regexp
	needles []string
}

// ParseAddress returns fault.KindInvalid for a text that is no address.
func ParseAddress(text string) (Address, error) {
	folded := directory.FoldEmail(directory.Trim(text))
	at := strings.LastIndexByte(folded, '@')
	if at < 1 || at == len(folded)-1 || len(folded) > directory.MaxEmailLength || !utf8.ValidString(folded) || strings.ContainsFunc(folded, unicode.IsSpace) {
		return Address{}, fault.Field("email", "Enter an e-mail address, such as alice@example.com.")
	}
	local, domain := folded[:at], folded[at+1:]
	domains := []string{domain}
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil && ascii != domain {
		domains = append(domains, ascii)
	}
	alternatives := make([]string, len(domains))
	for i, each := range domains {
		alternatives[i] = escapable(each)
	}
	a := Address{
		Folded:  folded,
		pattern: regexp.MustCompile("(?i)" + escapable(local) + `(?:\\*@|%40|\\+u0040)(?:` + strings.Join(alternatives, "|") + ")"),
		needles: []string{longestWord(local)},
	}
	if len(domains) == 1 {
		a.needles = append(a.needles, longestWord(domain))
	}
	return a, nil
}

// escapable returns a pattern for a text whose signs may be escaped.
func escapable(text string) string {
	var pattern strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			pattern.WriteRune(r)
		case r == '&':
			pattern.WriteString(`(?:\\*&|\\+u0026|%26)`)
		case r == '+':
			pattern.WriteString(`(?:\\*\+|%2B)`)
		default:
			pattern.WriteString(`\\*` + regexp.QuoteMeta(string(r)))
		}
	}
	return pattern.String()
}

var word = regexp.MustCompile(`[a-z0-9]+`)

// longestWord returns the longest part of a text (folded) that no escape changes; empty: there is none.
func longestWord(text string) (longest string) {
	for _, each := range word.FindAllString(text, -1) {
		if len(each) > len(longest) {
			longest = each
		}
	}
	return longest
}

// Needles returns words in lower case that every text has that Has finds the address in, after the text is lowered. A database
// looks for them first.
func (a Address) Needles() []string { return a.needles }

// Is reports whether a text is the address.
func (a Address) Is(text string) bool { return directory.FoldEmail(text) == a.Folded }

// Has reports whether a text has the address in it.
func (a Address) Has(text string) bool { return a.Replace(text, "") != text }

// Replace returns a text with something else in place of the address. An address that only begins or ends as this one does is
// another one, and stays.
func (a Address) Replace(text, by string) string {
	var out strings.Builder
	rest := 0
	for _, found := range a.pattern.FindAllStringIndex(text, -1) {
		if !a.endsAt(text, found[0], found[1]) {
			continue
		}
		out.WriteString(text[rest:found[0]])
		out.WriteString(by)
		rest = found[1]
	}
	return out.String() + text[rest:]
}

// endsAt reports whether the text from begin to end is a whole address.
func (a Address) endsAt(text string, begin, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:begin])
	after, size := utf8.DecodeRuneInString(text[end:])
	next, _ := utf8.DecodeRuneInString(text[end+size:])
	switch {
	case begin > 0 && (isWord(before) || strings.ContainsRune("._+-", before)) && !isEscape(text[:begin]):
		return false
	case end < len(text) && (isWord(after) || after == '-'):
		return false
	default:
		return end == len(text) || after != '.' || end+size == len(text) || !isWord(next)
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

var escape = regexp.MustCompile(`(?:\\[nrt]|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2})$`)

// isEscape reports whether a text ends with an escape, such as \n or %3C, whose last letter is no part of what follows.
func isEscape(text string) bool { return escape.MatchString(text) }
