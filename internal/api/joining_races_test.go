package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
)

// Of submissions, edits, a cancel and a delete at once, each sees what the ones before it left: nobody takes up a group
// invitation whose restrictions refuse them, which was canceled, or which is gone.
func TestSubmissionsAgainstChangesAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		users := []string{"stranger", "invitee", "rival", "sibling", "reader", "member"}
		for range 12 {
			group := e.group("owner", admin, apollo, "allow_multiple_requests", true).UUID.String()
			var requests []*http.Request
			for i := range 3 {
				for _, user := range users {
					requests = append(requests, e.newRequest("POST", groupAt(group, "submit_request"), user, nil))
				}
				switch i {
				case 0:
					requests = append(requests,
						e.newRequest("PATCH", groupAt(group), "owner", map[string]any{"user_email_patterns": []string{"nobody"}}))
				case 1:
					requests = append(requests, e.newRequest("POST", groupAt(group, "cancel"), "owner", nil))
				case 2:
					requests = append(requests, e.newRequest("DELETE", groupAt(group), "owner", nil))
				}
			}
			for status := range countStatuses(e.sendAtOnce(requests...)) {
				require.Contains(e.t, []int{200, 204, 400, 404}, status)
			}
			var events []server.GroupInvitationEvent
			e.request("GET", groupAt(group, "events"), "staff", nil).is(http.StatusOK, "").decode(&events)
			closed := "" // by what; the events are the newest first
			for i := range events {
				event := events[len(events)-1-i]
				if event.EventType == "submitted" {
					require.Empty(e.t, closed, "nobody asks after this")
				} else if event.EventType != "created" {
					closed = string(event.EventType)
				}
			}
		}
		require.NotContains(e.t, e.log.String(), "level=ERROR")
	})
}

// Of submissions and an edit of the scope at once, either the edit is refused or all requests are of the new scope.
func TestSubmissionsAgainstMoveAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for range 8 {
			group := e.group("owner", admin, apollo, "allow_multiple_requests", true).UUID.String()
			requests := e.repeat(4, groupAt(group, "submit_request"), "stranger")
			requests = append(requests, e.newRequest("PATCH", groupAt(group), "owner", map[string]any{"scope": scopeURL(artemis)}))
			for _, user := range []string{"invitee", "rival", "reader"} {
				requests = append(requests, e.newRequest("POST", groupAt(group, "submit_request"), user, nil))
			}
			for status := range countStatuses(e.sendAtOnce(requests...)) {
				require.Contains(e.t, []int{200, 400}, status)
			}
		}
		require.Equal(e.t, "0", e.value("SELECT CAST(count(*) AS text) FROM permission_requests r"+
			" JOIN group_invitations g ON g.uuid = r.group_invitation_uuid WHERE g.scope_uuid <> r.scope_uuid"))
	})
}
