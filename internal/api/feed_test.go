package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/lifecycle"
)

const feedPath = "/api/events/"

// assignPositions gives all events their positions in the feed, as the workers do.
func (e *env) assignPositions() {
	e.t.Helper()
	_, err := (&lifecycle.Service{Store: e.db.Lifecycle()}).AssignPositions(e.context(), false)
	require.NoError(e.t, err)
}

// follow reads the feed from an event on, page by page, and returns what it has.
func (e *env) follow(user, query string) (all []server.LifecycleEvent) {
	e.t.Helper()
	for path := feedPath + "?" + query; path != ""; {
		answer := e.request("GET", path, user, nil).is(http.StatusOK, "")
		var some []server.LifecycleEvent
		answer.decode(&some)
		all = append(all, some...)
		link := answer.Header.Get("Link")
		path = strings.TrimSuffix(strings.TrimPrefix(link, "<https://api.example"), `>; rel="next"`)
		require.Equal(e.t, link == "", path == "", link)
	}
	return all
}

// feedLines returns a line for each event: type of the webhook, type and the local part of the address.
func feedLines(events []server.LifecycleEvent) (lines []string) {
	for _, each := range events {
		kind := "-"
		if each.Type != nil {
			kind = string(*each.Type)
		}
		who, _, _ := strings.Cut(*each.Email, "@")
		lines = append(lines, kind+" "+string(each.EventType)+" "+who)
	}
	return lines
}

// The feed has what users, deliveries and the sweep did, oldest first, on any number of pages and with any filter.
func TestFeed(t *testing.T) {
	onEachEngine(t, func(e *env) {
		a, b := e.create("owner", "a@example.org", admin, apollo), e.create("owner", "b@example.org", admin, apollo)
		e.clock.Advance(time.Second) // a sweep takes the older ones first
		c := e.create("rival", "c@example.org", admin, hydra)
		require.Empty(e.t, e.follow("staff", ""), "nobody has given them a position")
		e.assignPositions()
		first := e.follow("staff", "")
		require.Equal(e.t, []string{"invitation.created created a", "invitation.created created b", "invitation.created created c"}, feedLines(first))

		e.beginAttempt(a.UUID)("")
		e.beginAttempt(b.UUID)("No such mailbox.")
		e.request("POST", at(b.UUID.String(), "cancel"), "owner", nil).is(http.StatusOK, "")
		e.request("DELETE", at(b.UUID.String()), "owner", nil).is(http.StatusNoContent, "")
		e.clock.Advance(lifetime)
		e.sweep()
		e.assignPositions()
		want := append(feedLines(first),
			"invitation.sent delivered a", "invitation.delivery_failed delivery_failed b", "invitation.canceled canceled b",
			"invitation.deleted deleted b", "invitation.expired expired a", "invitation.expired expired c")
		for _, size := range []int{1, 2, 3, 9, 300, 100_000} {
			all := e.follow("staff", fmt.Sprintf("page_size=%d", size))
			require.Equal(e.t, want, feedLines(all))
			for i, each := range all {
				require.Equal(e.t, int64(i+1), each.ID)
				require.Contains(e.t, []string{apollo, hydra}, each.ScopeUUID.String())
				require.Contains(e.t, []string{acme, globex}, each.CustomerUUID.String())
			}
		}
		require.Equal(e.t, want, feedLines(e.follow("support", "")))
		require.Equal(e.t, want[3:], feedLines(e.follow("staff", "page_size=2&after=3")))
		require.Empty(e.t, e.follow("staff", "after=9"))
		require.Empty(e.t, e.follow("staff", "after=9223372036854775807"))

		of := func(names string) (lines []string) {
			for _, line := range want {
				if strings.Contains(names, line[len(line)-1:]) {
					lines = append(lines, line)
				}
			}
			return lines
		}
		require.Equal(e.t, of("ab"), feedLines(e.follow("owner", "page_size=2&customer_uuid="+acme)))
		require.Equal(e.t, of("c"), feedLines(e.follow("rival", "customer_uuid="+globex)))
		require.Equal(e.t, of("b"), feedLines(e.follow("reader", "customer_uuid="+acme+"&invitation_uuid="+b.UUID.String())))
		require.Empty(e.t, e.follow("owner", "customer_uuid="+acme+"&invitation_uuid="+c.UUID.String()))
		require.Equal(e.t, of("c"), feedLines(e.follow("staff", "invitation_uuid="+c.UUID.String())))
		require.Empty(e.t, e.follow("staff", "customer_uuid="+a.UUID.String()), "staff filter by what does not exist")
		require.Equal(e.t, []string{want[6], want[7], want[8]}, feedLines(e.follow("staff", "page_size=1&event_type=deleted&event_type=expired")))

		one := e.follow("owner", "page_size=1&customer_uuid="+acme)[0]
		require.Equal(e.t, []uuid.UUID{a.UUID, uuid.MustParse(apollo), uuid.MustParse(acme)}, []uuid.UUID{one.InvitationUUID, *one.ScopeUUID, *one.CustomerUUID})
		// Beside the position in the feed an event has what the list of its invitation has.
		expected := e.events(a.UUID)[0]
		require.Equal(e.t, expected, server.InvitationEvent{
			Channel: one.Channel, Created: &one.Created, Email: one.Email, ErrorMessage: one.ErrorMessage, EventType: &one.EventType,
			ExecutionState: one.ExecutionState, FromState: one.FromState, Notice: one.Notice, Recipient: one.Recipient, Reason: one.Reason,
			RequestID: one.RequestID, RoleName: one.RoleName, RoleUUID: one.RoleUUID, ToState: one.ToState, UserFullName: one.UserFullName,
			UserUsername: one.UserUsername, UserUUID: one.UserUUID,
		})
	})
}

func TestFeedRefusals(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for query, want := range map[string]struct {
			user   string
			status int
			body   string
		}{
			"":                          {"owner", http.StatusForbidden, `{"detail": "You do not have permission to perform this action."}`},
			"customer_uuid=" + globex:   {"owner", http.StatusNotFound, notFound},
			"customer_uuid=" + gone:     {"owner", http.StatusNotFound, notFound},
			"customer_uuid=" + apollo:   {"manager", http.StatusNotFound, notFound}, // no customer
			"customer_uuid=" + acme:     {"manager", http.StatusNotFound, notFound}, // sees some of its invitations
			"customer_uuid=x":           {"owner", http.StatusBadRequest, fieldError("customer_uuid", "Must be a valid UUID.")},
			"invitation_uuid=x":         {"staff", http.StatusBadRequest, fieldError("invitation_uuid", "Must be a valid UUID.")},
			"after=-1":                  {"staff", http.StatusBadRequest, ""},
			"after=x":                   {"staff", http.StatusBadRequest, fieldError("after", "A valid integer is required.")},
			"after=9223372036854775808": {"staff", http.StatusBadRequest, ""},
			"page_size=0":               {"staff", http.StatusBadRequest, ""},
			"event_type=invented":       {"staff", http.StatusBadRequest, ""},
			"after=1&after=2":           {"staff", http.StatusBadRequest, ""},
		} {
			answer := e.request("GET", feedPath+"?"+query, want.user, nil)
			answer.is(want.status, want.body)
			e.requireNoLeak(answer, "")
		}
		e.request("GET", feedPath, "", nil).is(http.StatusUnauthorized, "")
	})
}

// A feed writes nothing, and has no link of an invitation whose link is a secret.
func TestFeedShowsNoLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		e.assignPositions()
		done := e.expectNoChange()
		answer := e.request("GET", feedPath, "staff", nil).is(http.StatusOK, "")
		done()
		link := e.stored(made.UUID).LinkUUID
		require.NotNil(e.t, link)
		require.NotContains(e.t, answer.Body, link.String())
		require.NotContains(e.t, answer.Body, "front.example")
	}, func(p *invitation.Policy) { p.LinkSecret = true })
}

// Each type of event has the type of a webhook or, on purpose, none; and the contract has each type of a webhook.
func TestTypesOfTheContract(t *testing.T) {
	t.Parallel()
	document := loadContract(t)
	values := func(name string) (all []string) {
		for _, each := range document.Components.Schemas[name].Value.Enum {
			all = append(all, each.(string))
		}
		return all
	}
	reached := map[string]bool{}
	for _, kind := range values("InvitationEventType") {
		for _, to := range []invitation.State{invitation.Requested, invitation.Pending} {
			for _, notice := range []invitation.Notice{"", invitation.NoticeReminder} {
				reached[string(lifecycle.TypeOf(invitation.Event{Type: invitation.EventType(kind), ToState: to, Notice: notice}))] = true
			}
		}
	}
	delete(reached, "")
	require.ElementsMatch(t, values("LifecycleEventType"), slices.Collect(maps.Keys(reached)))
}
