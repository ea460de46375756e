package directory

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxSlug is the length of the longest slug, in characters. An index of PostgreSQL refuses long values. One character of a
// name can become several of a slug.
const maxSlug = 255

// Slug returns the form of a name that fits in a URL: lower-case ASCII letters and digits, with one hyphen for what stands
// between them, 255 characters at most. Letters lose their accents. A name without ASCII letters and digits has an empty
// slug, and different names can have the same.
func Slug(name string) string {
	var slug strings.Builder
	isGap := false
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.Is(unicode.Mn, r): // the accent of the letter before
		case r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			if isGap && slug.Len() > 0 {
				slug.WriteByte('-')
			}
			isGap = false
			slug.WriteRune(unicode.ToLower(r))
		default:
			isGap = true
		}
	}
	cut := slug.String()
	return strings.TrimRight(cut[:min(len(cut), maxSlug)], "-")
}
