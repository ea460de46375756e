package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/lifecycle"
	"invited/internal/person"
)

// erase erases the person with an address.
func (e *env) erase(email string) {
	e.t.Helper()
	_, err := (&person.Service{Store: e.db.Persons(), Lifetime: lifetime}).Erase(e.context(), email)
	require.NoError(e.t, err)
}

// What the API shows of an invitation whose invitee was erased passes the contract, names nobody, and can't be sent again.
func TestInvitationOfWhoWasErased(t *testing.T) {
	onEachEngine(t, func(e *env) {
		open := e.create("owner", "guest@example.org", admin, apollo)
		e.beginAttempt(open.UUID)("")
		waiting := e.create("owner", "Guest@example.org", member, apollo)
		being := e.create("owner", "guest@EXAMPLE.org", manager, apollo)
		finish := e.beginAttempt(being.UUID) // is being sent
		e.erase("GUEST@example.org")
		finish("550 <guest@example.org>: no such mailbox.")
		job := invitation.Deliver{Invitation: waiting.UUID, Delivery: 1}
		message, err := e.service.BeginDelivery(e.context(), job)
		require.NoError(e.t, err)
		require.Nil(e.t, message, "what waits to be sent is not sent")

		for _, id := range []uuid.UUID{open.UUID, waiting.UUID, being.UUID} {
			answer := e.request("GET", at(id.String()), "owner", nil).is(http.StatusOK, "")
			require.NotContains(e.t, answer.Body, "guest")
			var found server.Invitation
			answer.decode(&found)
			require.Equal(e.t, directory.ErasedEmail(id), found.Email)
			require.Equal(e.t, "canceled", string(found.State))
			events := e.request("GET", at(id.String(), "events"), "owner", nil).is(http.StatusOK, "").Body
			require.NotContains(e.t, events, "guest")
			require.Contains(e.t, events, `"erased"`)
			refused := e.request("POST", at(id.String(), "send"), "owner", nil).is(http.StatusBadRequest, "")
			require.Contains(e.t, refused.Body, "The invitee was erased")
		}
		list := e.request("GET", base+"?email=erased.invalid", "owner", nil).is(http.StatusOK, "").Body
		require.NotContains(e.t, list, "guest")
		e.assignPositions()
		kinds := map[string]int{}
		for _, each := range e.follow("staff", "") {
			require.NotContains(e.t, *each.Email+*each.Recipient+*each.ErrorMessage, "guest")
			if each.Type != nil {
				kinds[string(*each.Type)]++
			}
		}
		require.Equal(e.t, 3, kinds["invitation.erased"])
		require.Equal(e.t, 3, kinds["invitation.canceled"])
		e.create("owner", "guest@example.org", admin, apollo) // may be invited again
	})
}

// A client of the feed learns how far the events were deleted.
func TestFeedSaysHowFarEventsWereDeleted(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.create("owner", "a@example.org", admin, apollo)
		e.create("owner", "b@example.org", admin, apollo)
		e.assignPositions()
		const header = "X-Events-Deleted-Through"
		require.Empty(e.t, e.request("GET", feedPath, "staff", nil).is(http.StatusOK, "").Header.Get(header))
		e.clock.Advance(31 * 24 * time.Hour)
		e.create("owner", "c@example.org", admin, apollo)
		e.assignPositions()
		require.NoError(e.t, (&lifecycle.Service{Store: e.db.Lifecycle(), Retention: 30 * 24 * time.Hour}).Sweep(e.context()))
		require.Equal(e.t, "2", e.request("GET", feedPath, "staff", nil).is(http.StatusOK, "").Header.Get(header))
		require.Equal(e.t, []string{"invitation.created created c"}, feedLines(e.follow("staff", "after=1")))
	})
}
