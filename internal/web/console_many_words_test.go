package web

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// What the API says of a row is said in the console's words.
func TestInConsoleWords(t *testing.T) {
	t.Parallel()
	for _, each := range []struct{ field, message, want string }{
		{"email", "This field is required.", "The address is missing."},
		{"role", "This field is required.", "The role is missing."},
		{"scope", "This field is required.", "The place is missing."},
		{"full_name", "Ensure this field has no more than 100 characters.", "At most 100 characters."},
		{"role", "Object with name=NO.SUCH does not exist.", msgNoRole},
		{"scope", directory.NoScope("x"), msgNoPlace},
		{fault.NonField, fault.NotFound().Message, msgMayNotInvite},
		{fault.NonField, fault.Forbidden().Message, msgMayNotInvite},
		{fault.NonField, fault.Throttled(time.Second).Message, "Too many mails: wait a minute, and try again."},
		{fault.NonField, fault.Throttled(time.Hour).Message, "Too many mails: wait 60 minutes, and try again."},
		{fault.NonField, "Something else.", "Something else."},
	} {
		require.Equal(t, each.want, inConsoleWords(each.field, each.message), each.message)
	}
}
