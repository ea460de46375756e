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

// The limits of RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3, in octets. A path has 256 octets with its angle brackets.
const (
	maxLocalPart = 64
	maxAddress   = 254
)

var (
	// dotAtom matches the only form of local part that is accepted. A quoted string is legal (RFC 5322, section
	// 3.4.1), but has made mail software send to another domain, and nobody has such an address.
	dotAtom = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")

	// hostname matches letters, digits and hyphens (RFC 1123, section 2.1), without a dot at the end. Address
	// literals such as [192.0.2.1] are not accepted.
	hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
)

// parseRecipient parses exactly one address without a display name, and returns it as it is sent: unchanged, except
// that an internationalized domain is converted to A-labels (RFC 5891). The error is a final *delivery.Failure.
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

// CheckSender returns an error if from can't be the sender of mails. The error says what is wrong, and the two forms
// in which a sender can be written.
func CheckSender(from string) error {
	_, err := parseSender(from)
	return err
}

// parseSender parses one address with or without a display name.
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
	return &netmail.Address{Name: sanitizeLine(parsed.Name), Address: address}, nil
}

// parseAddress accepts less than RFC 5322 allows, on purpose. It checks lengths first, so that the rest is cheap for
// any input.
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

// asciiDomain converts a domain to A-labels. Converted back, it must equal the domain, apart from upper case: the
// mapping of UTS 46 turns fullwidth letters, the Kelvin sign and other look-alikes into plain letters, and the mail
// would go to another domain than the one that was entered.
func asciiDomain(domain string) (string, error) {
	notADomain := errors.New("the part after the @ is not a domain name")
	if isASCII(domain) {
		if len(domain) > 253 || !hostname.MatchString(domain) {
			return "", notADomain
		}
		return domain, nil
	}
	lower := strings.Map(lowerWithinScript, domain)
	ascii, err := idna.Lookup.ToASCII(lower)
	if err != nil || !hostname.MatchString(ascii) {
		return "", notADomain
	}
	if back, err := idna.Lookup.ToUnicode(ascii); err != nil || back != lower {
		return "", errors.New("the part after the @ has letters that only look like others")
	}
	return ascii, nil
}

// lowerWithinScript converts a letter to lower case, unless that would turn it into an ASCII letter, as it does with
// the Kelvin sign and the dotted capital I.
func lowerWithinScript(r rune) rune {
	if lower := unicode.ToLower(r); r <= unicode.MaxASCII || lower > unicode.MaxASCII {
		return lower
	}
	return r
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
