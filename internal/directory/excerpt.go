package directory

import (
	"strconv"
	"strings"
	"unicode"
)

// Excerpt returns text in a form that fits in an error message: at most the first 60 characters, and quoted when one of
// them is a quotation mark or not printable.
func Excerpt(text string) string {
	const limit = 60
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit]) + "…"
	}
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' }) >= 0 {
		return strconv.Quote(text)
	}
	return text
}
