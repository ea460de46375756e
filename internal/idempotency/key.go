package idempotency

import (
	"regexp"

	"invited/internal/fault"
)

// Header is the name of the header field that a client sends a key in.
const Header = "Idempotency-Key"

var keyPattern = regexp.MustCompile(`^(?:"([!#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255}))$`)

// ParseKey returns the key of a header field's values; ok is false where there are none. The key may stand in quotes,
// as the draft has it, or without: it is the same key. ParseKey returns a fault.KindContradiction for what is no key.
func ParseKey(values []string) (key string, ok bool, err error) {
	if len(values) == 0 {
		return "", false, nil
	}
	if len(values) > 1 {
		return "", false, fault.Contradiction("There is more than one Idempotency-Key: send one key, in one header field.")
	}
	found := keyPattern.FindStringSubmatch(values[0])
	if found == nil {
		return "", false, fault.Contradiction(
			`This is no Idempotency-Key: send 1 to 255 visible ASCII characters other than " and \, such as a UUID, with or without quotes around them.`)
	}
	return found[1] + found[2], true, nil
}
