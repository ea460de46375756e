package directory

import (
	"strings"
	"unicode"
)

// IsBlank reports whether a character is white space of any kind, a line end, or one of the characters that nobody sees and
// that copying from a page or a document adds: U+200B, U+2060, U+FEFF.
func IsBlank(r rune) bool {
	return unicode.IsSpace(r) || r == '\u200b' || r == '\u2060' || r == '\ufeff'
}

// Trim returns a text without white space of any kind, line ends and invisible characters at its ends. Every text that
// people or programs give is trimmed before anything is checked.
func Trim(text string) string { return strings.TrimFunc(text, IsBlank) }

// HasBlank reports whether a text has white space, a line end or an invisible character. A text that identifies somebody
// must have none: it would look the same as another text and not equal it.
func HasBlank(text string) bool {
	return strings.ContainsFunc(text, unicode.IsSpace) || HasInvisible(text)
}

// HasInvisible reports whether a text has a character that nobody sees: one of the format characters, or another one that
// Unicode calls default-ignorable. Names may have spaces. In other texts such characters belong to emoji and to scripts such
// as Persian.
func HasInvisible(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	})
}
