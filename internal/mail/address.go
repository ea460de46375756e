package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"invited/internal/delivery"
)

// The limits of RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3 (a path of 256
// octets less its angle brackets), in octets.
const (
	maxLocalPart = 64
	maxAddress   = 254
)

var (
	// dotAtom is the only form of local part that is taken. A quoted one is
	// legal (RFC 5322, section 3.4.1) but has misled mail software into sending
	// to another domain, and nobody has one.
	dotAtom = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")

	// hostname is letters, digits and hyphens (RFC 1123, section 2.1), without
	// a dot at the end. Address literals are not taken.
	hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
)

// parseRecipient reads exactly one bare address and returns it as it goes on
// the wire: unchanged, but for an internationalized domain, which becomes its
// A-label form (RFC 5891). A *delivery.Failure that is final says what is wrong.
func parseRecipient(s string) (string, error) {
	address, err := parseAddress(s)
	if err != nil {
		return "", &delivery.Failure{
			Reason: "No mail can be sent to this address: " + err.Error() + ". Invite them at another address.",
			Final:  true,
		}
	}
	return address, nil
}

// CheckSender returns an error that says what is wrong where from can't be the sender of mails.
func CheckSender(from string) error {
	_, err := parseSender(from)
	return err
}

// parseSender reads an address with or without a display name.
func parseSender(s string) (*netmail.Address, error) {
	usage := `write it as "Name <user@example.com>" or "user@example.com"`
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return nil, fmt.Errorf("the sender of mails contains control characters; %s", usage)
	}
	parsed, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("the sender of mails %q is not one address; %s", s, usage)
	}
	address, err := parseAddress(parsed.Address)
	if err != nil {
		return nil, fmt.Errorf("the sender of mails %q can't be used: %w; %s", s, err, usage)
	}
	return &netmail.Address{Name: line(parsed.Name), Address: address}, nil
}

// parseAddress is deliberately narrower than RFC 5322. Lengths come first, so
// that what follows is cheap whatever it is given.
func parseAddress(s string) (string, error) {
	if len(s) > 4*maxAddress {
		return "", errors.New("it is too long")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", errors.New("it has no @")
	}
	local, domain := s[:at], s[at+1:]
	if len(local) > maxLocalPart {
		return "", fmt.Errorf("the part before the @ is longer than %d characters", maxLocalPart)
	}
	if !isASCII(local) {
		return "", errors.New("the part before the @ has letters outside ASCII, which many mail servers can't deliver")
	}
	if !dotAtom.MatchString(local) {
		return "", errors.New("the part before the @ is not a plain name")
	}
	domain, err := asciiDomain(domain)
	if err != nil {
		return "", err
	}
	if address := local + "@" + domain; len(address) <= maxAddress {
		return address, nil
	}
	return "", fmt.Errorf("it is longer than %d characters", maxAddress)
}

// asciiDomain returns the A-label form of a domain. Capitals apart, the domain
// must come back unchanged from there: the mapping of UTS 46 makes fullwidth
// letters, the Kelvin sign and other look-alikes equal to plain letters, and so
// would send to a domain that is not the one that was stored.
func asciiDomain(domain string) (string, error) {
	bad := errors.New("the part after the @ is not a domain name")
	if isASCII(domain) {
		if len(domain) > 253 || !hostname.MatchString(domain) {
			return "", bad
		}
		return domain, nil
	}
	lower := strings.Map(lowerWithinScript, domain)
	ascii, err := idna.Lookup.ToASCII(lower)
	if err != nil || !hostname.MatchString(ascii) {
		return "", bad
	}
	if back, err := idna.Lookup.ToUnicode(ascii); err != nil || back != lower {
		return "", errors.New("the part after the @ has letters that only look like others")
	}
	return ascii, nil
}

// lowerWithinScript lowers a capital unless that would turn it into ASCII, as
// it does with the Kelvin sign and the dotted capital I.
func lowerWithinScript(r rune) rune {
	if lower := unicode.ToLower(r); r <= unicode.MaxASCII || lower > unicode.MaxASCII {
		return lower
	}
	return r
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
