package api_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every action runs in every state of a group invitation, which has a pending request: an action of the group invitation, and
// one of the request. What is refused changes nothing.
func TestEveryActionInEveryStateOfGroup(t *testing.T) {
	onEachEngine(t, func(e *env) {
		states := []struct {
			name string
			end  func(group string)
		}{
			{"active", func(string) {}},
			{"canceled", func(group string) { e.request("POST", groupAt(group, "cancel"), "owner", nil).is(http.StatusOK, "") }},
			{"expired", func(string) { e.clock.Advance(time.Hour) }},
			{"of a removed project", func(string) { e.exec("UPDATE scopes SET is_removed = TRUE WHERE uuid = '" + apollo + "'") }},
		}
		const pendingOnly, edit = "Only pending invitation can be canceled.", "Only active invitations can be edited."
		noEdit := fieldError("non_field_errors", edit)
		inactive := ruleError("Only pending invitation can be requested.")
		for _, action := range []struct {
			name, method, user string
			path               func(group, request string) string
			body               any
			status             [4]int // in each state
			refusal            string // the body of a 400
		}{
			{"retrieve", "GET", "stranger", onGroup(), nil, [4]int{200, 200, 200, 200}, ""},
			{"retrieve, signed out", "GET", "", onGroup(), nil, [4]int{404, 404, 404, 404}, ""},
			{"projects", "GET", "owner", onGroup("projects"), nil, [4]int{404, 404, 404, 404}, ""},
			{"events", "GET", "owner", onGroup("events"), nil, [4]int{200, 200, 200, 404}, ""},
			{"partial update", "PATCH", "owner", onGroup(), map[string]any{"custom_text": "x"}, [4]int{200, 400, 400, 400}, noEdit},
			{"update", "PUT", "owner", onGroup(), map[string]any{"custom_text": "x"}, [4]int{200, 400, 400, 400}, noEdit},
			{"cancel", "POST", "owner", onGroup("cancel"), nil, [4]int{200, 400, 400, 404}, ruleError(pendingOnly)},
			{"destroy", "DELETE", "owner", onGroup(), nil, [4]int{400, 204, 204, 404}, ruleError("Only canceled invitation can be deleted.")},
			{"submit", "POST", "invitee", onGroup("submit_request"), nil, [4]int{200, 400, 400, 400}, inactive},
			{"submit, at its former path", "POST", "invitee", onGroup("request"), nil, [4]int{200, 400, 400, 400}, inactive},
			{"retrieve the request", "GET", "stranger", onRequest(), nil, [4]int{200, 200, 200, 200}, ""},
			{"approve", "POST", "owner", onRequest("approve"), nil, [4]int{200, 200, 200, 404}, ""},
			{"reject", "POST", "owner", onRequest("reject"), nil, [4]int{200, 200, 200, 404}, ""},
			{"cancel the request", "POST", "stranger", onRequest("cancel_request"), nil, [4]int{200, 200, 200, 200}, ""},
			{"destroy the request", "DELETE", "staff", onRequest(), nil, [4]int{204, 204, 204, 204}, ""},
		} {
			for i, state := range states {
				group := e.group("owner", member, apollo, "expires", formatTime(e.clock.Now().Add(time.Hour))).UUID.String()
				request := e.submit("stranger", group).UUID.String()
				state.end(group)
				before := e.joiningRows()
				answer := e.request(action.method, action.path(group, request), action.user, action.body)
				require.Equal(e.t, action.status[i], answer.Status, "%s, %s: %s", state.name, action.name, answer.Body)
				if answer.Status == http.StatusBadRequest {
					answer.is(http.StatusBadRequest, action.refusal)
				}
				changes := action.method != "GET" && answer.Status < 300
				require.Equal(e.t, !changes, maps.Equal(before, e.joiningRows()), "%s, %s: what changed", state.name, action.name)
				e.exec("UPDATE scopes SET is_removed = FALSE WHERE uuid = '" + apollo + "'")
				e.exec("DELETE FROM group_invitations")
				e.exec("DELETE FROM memberships WHERE user_uuid = '" + e.userID("stranger").String() + "'")
			}
		}
	})
}

// onGroup returns the path of an action of a group invitation; without an action its own.
func onGroup(action ...string) func(group, request string) string {
	return func(group, _ string) string { return groupAt(group, action...) }
}

// onRequest returns the path of an action of a permission request; without an action its own.
func onRequest(action ...string) func(group, request string) string {
	return func(_, request string) string { return requestAt(request, action...) }
}
