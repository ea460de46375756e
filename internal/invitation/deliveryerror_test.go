package invitation

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Only an invitation that waits for its invitee is tried again, and says so.
func TestDeliveryErrorPromisesNothingThatIsNotSo(t *testing.T) {
	t.Parallel()
	const down, refused = "The mail server can't be reached.", "The mail server refused the address (550)."
	for _, state := range States {
		i := pendingInvitation()
		v := View{Invitation: i, State: state}
		want := down
		if state == Pending {
			want += " It is tried again by itself."
		}
		v.ErrorMessage = down + RetryPromise
		require.Equal(t, want, v.DeliveryError(), state)
		v.ErrorMessage = refused
		require.Equal(t, refused, v.DeliveryError(), state)
		v.ErrorMessage = ""
		require.Empty(t, v.DeliveryError(), state)
	}
}
