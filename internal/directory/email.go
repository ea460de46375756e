package directory

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Fold returns the form in which e-mail addresses and names are compared without case: two texts are equal when their
// folded forms are. It lowers every letter, except a non-ASCII letter whose lower case is ASCII: U+212A KELVIN SIGN must
// not become a k, nor U+0130 an i, because one person's address would equal another's (CVE-2019-19844). It changes nothing
// else: no normalization, and dots and tags stay.
func Fold(text string) string {
	return strings.Map(func(r rune) rune {
		if lower := unicode.ToLower(r); r < utf8.RuneSelf || lower >= utf8.RuneSelf {
			return lower
		}
		return r
	}, text)
}

// MaxEmailLength is the length in bytes of the longest valid address (RFC 5321, section 4.5.3.1).
const MaxEmailLength = 254

// maxLocalPart is the length in bytes of the longest valid part before the @ (RFC 5321, section 4.5.3.1).
const maxLocalPart = 64

var (
	// localPart matches a dot-atom (RFC 5322, section 3.2.3). A quoted local part is refused: mail programs do not agree
	// where such an address ends (CVE-2025-59937).
	localPart = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")
	label     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

// ValidEmail reports whether mail can be sent to the address text: an ASCII dot-atom, an @, and a domain name of two
// labels or more, which may be internationalized. The domain "localhost" is valid too.
func ValidEmail(text string) bool {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at > maxLocalPart || len(text) > MaxEmailLength || HasInvisible(text) || !localPart.MatchString(text[:at]) {
		return false
	}
	domain := text[at+1:]
	if strings.EqualFold(domain, "localhost") {
		return true
	}
	if !isASCII(domain) {
		ascii, err := idna.Lookup.ToASCII(Fold(domain))
		if err != nil {
			return false
		}
		// IDNA maps a look-alike letter to the ordinary one, and mail would go to a domain that the user did not give.
		if unicodeForm, err := idna.Lookup.ToUnicode(ascii); err != nil || unicodeForm != Fold(domain) {
			return false
		}
		domain = ascii
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || len(domain) > MaxEmailLength-2 {
		return false
	}
	for _, each := range labels {
		if !label.MatchString(each) {
			return false
		}
	}
	return true
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
