package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
)

// Who may manage the scope of a group invitation reads its events. Those about requests are for who sees the requests: also a
// manager of the project, who has no role in the organization, sees the others alone.
func TestEventsAboutRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(deputies)
		sees := []string{"staff", "owner", "deputy", "clerk", "rival"}
		for scope, index := range map[string]int{acme: 0, apollo: 1, hydra: 3} {
			group := e.group("staff", either(scope == acme, reader, member), scope).UUID.String()
			e.submit("invitee", group)
			for _, p := range personas() {
				if !p.may(index, "m") {
					continue
				}
				var events []server.GroupInvitationEvent
				e.request("GET", groupAt(group, "events"), p.name, nil).is(http.StatusOK, "").decode(&events)
				shown := slices.ContainsFunc(events, func(event server.GroupInvitationEvent) bool { return event.PermissionRequestUUID != nil })
				require.Equal(e.t, slices.Contains(sees, p.name), shown, "%q", p.name)
				require.EqualValues(e.t, "created", events[len(events)-1].EventType)
			}
		}
	})
}
