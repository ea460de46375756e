package person

import (
	"regexp"
	"strconv"
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
	after, size := utf8.DecodeRuneInString(text[end:])
	next, _ := utf8.DecodeRuneInString(text[end+size:])
	switch {
	case isBegun(text[:begin]):
		return false
	case end < len(text) && (isWord(after) || after == '-'):
		return false
	default:
		return end == len(text) || after != '.' || end+size == len(text) || !isWord(next)
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

var (
	escape = regexp.MustCompile(`\\+[nrt]|\\+u00[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}|\\+[^\pL\pN\\]`)
	// wordEnd matches what an address can go on after anywhere, and signEnd the other signs that directory.ValidEmail admits
	// before the @, with the word before them.
	wordEnd = regexp.MustCompile(`[\pL\pN._+-]$`)
	signEnd = regexp.MustCompile("([\\pL\\pN._+-]*)([!#$%&'*/=?^`{|}~]+)$")
	inURL   = regexp.MustCompile(`://[^\s"<>]*[/?&=#]$`)
)

// isBegun reports whether an address begins before the end of a text, and goes on after it: what follows is the end of that
// address alone, as brien@x.example is of o'brien@x.example. A sign without a word before it begins none: it is a quote, or the ^
// of a pattern. Neither does one after a whole address, or one that parts a URL.
func isBegun(text string) bool {
	text = escape.ReplaceAllStringFunc(text[max(0, len(text)-directory.MaxEmailLength):], unescape)
	if wordEnd.MatchString(text) {
		return true
	}
	found := signEnd.FindStringSubmatchIndex(text)
	if found == nil {
		return false
	}
	isAddress := strings.HasSuffix(text[:found[2]], "@")
	return strings.ContainsFunc(text[found[2]:found[3]], isWord) && !isAddress && !inURL.MatchString(text)
}

// unescape returns the sign that an escape stands for; a space where it is one that no address has.
func unescape(escaped string) string {
	last := escaped[len(escaped)-1:]
	code := strings.TrimPrefix(strings.TrimLeft(escaped, `\%`), "u")
	if n, err := strconv.ParseUint(code, 16, 8); err == nil && len(code) > 1 {
		return string(rune(n))
	}
	if strings.Contains("nrt", last) {
		return " "
	}
	return strings.TrimLeft(escaped, `\`)
}
