package invitation

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"invited/internal/directory"
	"invited/internal/fault"
)

// MaxReason is the length of the longest reason, in characters. The API's contract has the limit too.
const MaxReason = 1000

// checkReason returns a reason that a user typed as it is kept: without control characters and without white space at its
// ends, and with \n between its lines. It returns fault.KindInvalid where the reason is too long.
func checkReason(reason string) (string, error) {
	reason = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(reason)
	reason = directory.Trim(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\n' && c != '\t' {
			return -1
		}
		return c
	}, reason))
	if utf8.RuneCountInString(reason) > MaxReason {
		return "", fault.Field("reason", fmt.Sprintf("Ensure this field has no more than %d characters.", MaxReason))
	}
	return reason, nil
}
