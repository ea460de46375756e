package directory

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Fold is the one rule by which e-mail addresses and names compare without case: two texts are the same where
// their folds are. It lowers every letter but those that are not ASCII and whose lower case is: U+212A KELVIN
// SIGN must not be taken for a k, or U+0130 for an i, lest one address is taken for another's (CVE-2019-19844).
// It changes nothing else: no normalization, no dots or tags removed.
func Fold(text string) string {
	return strings.Map(func(r rune) rune {
		if lower := unicode.ToLower(r); r < utf8.RuneSelf || lower >= utf8.RuneSelf {
			return lower
		}
		return r
	}, text)
}

// Lengths of an address and of its part before the @ (RFC 5321, section 4.5.3.1), in bytes.
const (
	maxEmail     = 254
	maxLocalPart = 64
)

var (
	// A dot-atom (RFC 5322, section 3.2.3). Quoted local parts are refused: mail programs do not agree on where
	// such an address ends (CVE-2025-59937).
	localPart = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")
	label     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

// ValidEmail tells whether text is an address that mail can be sent to: an ASCII dot-atom, an @, and a domain
// name of two labels or more ("localhost" is let through), which may be internationalized.
func ValidEmail(text string) bool {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at > maxLocalPart || len(text) > maxEmail || !localPart.MatchString(text[:at]) {
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
		// Letters that only look like others are mapped to those, and mail would go to a domain that was not given.
		if back, err := idna.Lookup.ToUnicode(ascii); err != nil || back != Fold(domain) {
			return false
		}
		domain = ascii
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || len(domain) > maxEmail-2 {
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

// emailPattern compiles one of a scope's e-mail patterns so that it must match a whole address, case aside. It
// is RE2: its time is linear in the address, whatever the pattern.
func emailPattern(pattern string) (*regexp.Regexp, error) {
	// Compiled alone first, so that an unbalanced parenthesis can't escape the group around it.
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile(`(?i)\A(?:` + pattern + `)\z`)
}

// plainDomain is the end of an e-mail pattern that can be compared as it is: an @, letters, digits, hyphens and dots.
var plainDomain = regexp.MustCompile(`@(?:[A-Za-z0-9.-]|\\\.)*\$?$`)

// mayMatch tells, at a glance, whether an address could fit an e-mail pattern: false is sure. A scope can have 10,000
// patterns, and to compile them all takes half a second; nearly all end in a domain, and nearly all of these in one that
// the address does not have.
func mayMatch(pattern, address string) bool {
	domain := plainDomain.FindString(pattern)
	if domain == "" || strings.Contains(pattern, "|") || strings.Contains(pattern, `\Q`) || !isASCII(address) {
		return true // an address need not end so; and beyond ASCII there are letters that fold into it
	}
	const dot = "\x00" // an escaped one; the others are any character
	domain = strings.ReplaceAll(strings.TrimSuffix(domain, "$"), `\.`, dot)
	if len(domain) > len(address) {
		return false
	}
	address = address[len(address)-len(domain):]
	for i := range len(domain) {
		switch c := domain[i : i+1]; {
		case c == ".":
		case c == dot:
			if address[i] != '.' {
				return false
			}
		case !strings.EqualFold(c, address[i:i+1]):
			return false
		}
	}
	return true
}

// allowsEmail tells whether an address fits the e-mail patterns of a scope: any of them, or all addresses where
// it has none. A pattern that does not compile fits nothing.
func (s Scope) allowsEmail(address string) bool {
	for _, each := range s.UserEmailPatterns {
		if !mayMatch(each, address) {
			continue
		}
		if pattern, err := emailPattern(each); err == nil && pattern.MatchString(address) {
			return true
		}
	}
	return len(s.UserEmailPatterns) == 0
}

// AdmitsEmail tells whether an address fits the patterns of the scope and those of its customer.
func (s Scope) AdmitsEmail(address string) bool {
	return s.allowsEmail(address) && (s.Customer == nil || s.Customer.allowsEmail(address))
}
