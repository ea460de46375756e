package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/token"
)

// events returns all events of an invitation as staff sees them, the oldest first.
func (e *env) events(id uuid.UUID) []server.InvitationEvent {
	e.t.Helper()
	var all []server.InvitationEvent
	for page := 1; ; page++ {
		var some []server.InvitationEvent
		answer := e.request("GET", fmt.Sprintf("%s?page_size=300&page=%d", at(id.String(), "events"), page), "staff", nil)
		answer.is(http.StatusOK, "").decode(&some)
		all = append(all, some...)
		if !strings.Contains(answer.Header.Get("Link"), `rel="next"`) {
			slices.Reverse(all)
			return all
		}
	}
}

// eventLines returns a line for each event: type, old state, new state, user and request id.
func eventLines(events []server.InvitationEvent) []string {
	all := []string{}
	for _, event := range events {
		all = append(all, strings.Join([]string{
			string(*event.EventType), stateText(event.FromState), stateText(event.ToState), *event.UserUsername, *event.RequestID,
		}, " "))
	}
	return all
}

func stateText(of *server.InvitationState) string {
	if of == nil {
		return "-"
	}
	return string(*of)
}

// eventOfAction has the event type of each action, and the user who does it where it is not the guest.
var eventOfAction = map[string][2]string{
	"accept": {"accepted"}, "cancel": {"canceled", "owner"}, "cancel in bulk": {"canceled", "owner"}, "send": {"sent", "owner"}, "send in bulk": {"sent", "owner"}, "send by staff": {"sent", "staff"}, "delete": {"deleted", "staff"}, "destroy": {"deleted", "owner"},
	"approve": {"approved", "staff"}, "reject": {"rejected", "staff"}, "edit": {"updated", "staff"},
	"approve signed in": {"approved", "staff"}, "reject signed in": {"rejected", "staff"},
	"decline": {"declined"}, "undo": {"decline_undone"}, "ask again": {"renewal_asked"},
}

// wantEvents returns the expected events of an action in a state: none where the action changes nothing. An expired event
// comes first where the invitation has expired and that was not stored.
func wantEvents(row stateRow, a stateAction, want effect, stored invitation.State, guest string, answer response) []string {
	if want.to == "" && !want.deleted {
		return []string{}
	}
	request := answer.Header.Get("X-Request-ID")
	all := []string{}
	if string(stored) != string(row.shows) {
		all = append(all, fmt.Sprintf("expired %s %s  %s", stored, row.shows, request))
	}
	to, what, who := string(want.to), eventOfAction[a.name][0], eventOfAction[a.name][1]
	if want.deleted {
		to = "-"
	}
	if who == "" {
		who = guest
	}
	return append(all, fmt.Sprintf("%s %s %s %s %s", what, row.shows, to, who, request))
}

// The first event of an invitation has its creator and its first state.
func TestCreatedEvent(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for scope, state := range map[string]string{apollo: "requested", artemis: "requested"} {
			r := e.newRequest("POST", base, "owner", draft("Guest@Example.org", admin, scope))
			r.Header.Set("X-Request-ID", "request-of-"+scope)
			made := e.send(r).is(http.StatusCreated, "").invitation()
			events := e.events(made.UUID)
			require.Equal(e.t, []string{"created - " + state + " owner request-of-" + scope}, eventLines(events))
			event := events[0]
			require.Equal(e.t, e.userID("owner"), *event.UserUUID)
			require.Equal(e.t, []any{"Olivia Owner", made.Created, "Guest@Example.org", made.Role, "PROJECT.ADMIN", made.ExecutionState, "", ""}, []any{
				*event.UserFullName, *event.Created, *event.Email, *event.RoleUUID, *event.RoleName, *event.ExecutionState, *event.ErrorMessage, *event.Recipient,
			})
			require.Nil(e.t, event.Channel)
			require.Nil(e.t, event.Notice)
		}
		planned := e.create("staff", "guest@example.com", admin, artemis)
		require.Equal(e.t, []string{"created", "-", "project", "staff"}, strings.Fields(eventLines(e.events(planned.UUID))[0])[:4])
	}, onlyStaff)
}

// An event of the sweep has neither a user nor a request.
func TestEventsOfSweep(t *testing.T) {
	onEachEngine(t, func(e *env) {
		planned := e.create("sibling", "guest@example.com", admin, artemis)
		since := func() []string { return eventLines(e.events(planned.UUID)[1:]) }
		e.setClock(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC))
		e.sweep()
		activated := "activated project pending  "
		require.Equal(e.t, []string{activated}, since())
		e.clock.Advance(lifetime - time.Hour)
		e.sweep()
		reminded := "reminded pending pending  "
		require.Equal(e.t, []string{activated, reminded}, since())
		e.clock.Advance(time.Hour)
		require.Equal(e.t, []string{activated, reminded}, since(), "time alone adds no event")
		e.sweep()
		e.sweep()
		require.Equal(e.t, []string{activated, reminded, "expired pending expired  "}, since())
		require.Equal(e.t, formatTime(e.clock.Now()), *e.events(planned.UUID)[3].Created)

		// An expiry that the create of another invitation stores has no user either, but it has the request.
		stale := e.create("owner", "stale@example.com", admin, apollo)
		e.clock.Advance(lifetime)
		r := e.newRequest("POST", base, "manager", draft("stale@example.com", admin, apollo))
		r.Header.Set("X-Request-ID", "another")
		e.send(r).is(http.StatusCreated, "")
		require.Equal(e.t, []string{"expired pending expired  another"}, eventLines(e.events(stale.UUID)[1:]))
	})
}

// deliveryLines returns a line for each event: type, channel, recipient, execution state and error message.
func deliveryLines(events []server.InvitationEvent) []string {
	all := []string{}
	for _, event := range events {
		channel := "-"
		if event.Channel != nil {
			channel = string(*event.Channel)
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", *event.EventType, channel, *event.Recipient, *event.ExecutionState, *event.ErrorMessage)))
	}
	return all
}

// beginAttempt begins an attempt of the current delivery. The returned function ends the attempt, with success where
// reason is empty.
func (e *env) beginAttempt(id uuid.UUID) func(reason string) {
	e.t.Helper()
	jobs := e.deliveryJobs(id)
	job := jobs[len(jobs)-1]
	message, err := e.service.BeginDelivery(e.context(), job)
	require.NoError(e.t, err)
	require.NotNil(e.t, message)
	return func(reason string) {
		e.t.Helper()
		require.NoError(e.t, e.service.FinishDelivery(e.context(), job, message, invitation.Outcome{Failed: reason != "", Reason: reason}))
	}
}

// An attempt adds an event where its result differs from the one before.
func TestEventsOfDelivery(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "Guest@Example.org", admin, apollo)
		since := func() []string { return deliveryLines(e.events(made.UUID)[1:]) }
		end := e.beginAttempt(made.UUID)
		require.Empty(e.t, since())
		end("No answer.")
		end("No answer.") // recorded again, because the response to the first record was lost
		require.Equal(e.t, []string{"delivery_failed mail Guest@Example.org Erred No answer."}, since())
		for range 3 {
			e.beginAttempt(made.UUID)("No answer.")
			require.Equal(e.t, "Erred", string(e.retrieve(made.UUID).ExecutionState))
		}
		require.Len(e.t, since(), 1)
		e.beginAttempt(made.UUID)("No such mailbox.")
		e.beginAttempt(made.UUID)("No answer.")
		e.beginAttempt(made.UUID)("")
		require.Equal(e.t, []string{
			"delivery_failed mail Guest@Example.org Erred No answer.",
			"delivery_failed mail Guest@Example.org Erred No such mailbox.",
			"delivery_failed mail Guest@Example.org Erred No answer.",
			"delivered mail Guest@Example.org OK",
		}, since())
		for _, each := range eventLines(e.events(made.UUID)[1:]) {
			require.Regexp(e.t, `^deliver\w+ pending pending  $`, each, "the event has no user")
		}

		// A new delivery adds its own events.
		e.do("owner", made.UUID, "send").is(http.StatusOK, "")
		e.beginAttempt(made.UUID)("No answer.")
		require.Equal(e.t, []string{"sent -  Scheduled", "delivery_failed mail Guest@Example.org Erred No answer."}, since()[4:])
	})
}

// A delivery that ends after the invitation changed adds an event with the address to which it was sent.
func TestEventsOfDeliveryAfterChange(t *testing.T) {
	onEachEngine(t, func(e *env) {
		edited := e.create("owner", "old@example.org", admin, apollo)
		end := e.beginAttempt(edited.UUID)
		e.exec("UPDATE invitations SET email = 'new@example.org', email_folded = 'new@example.org'")
		end("")
		event := e.events(edited.UUID)[1]
		require.Equal(e.t, "delivered mail old@example.org OK", deliveryLines([]server.InvitationEvent{event})[0])
		require.Equal(e.t, "new@example.org", *event.Email)

		again := e.create("owner", "again@example.org", admin, apollo)
		end = e.beginAttempt(again.UUID)
		e.do("owner", again.UUID, "send").is(http.StatusOK, "")
		end("No answer.")
		require.Equal(e.t, "Scheduled", string(e.retrieve(again.UUID).ExecutionState), "the row has the state of the newer delivery")
		require.Equal(e.t, []string{"sent -  Scheduled", "delivery_failed mail again@example.org Erred No answer."},
			deliveryLines(e.events(again.UUID)[1:]))

		accepted := e.create("owner", "accepted@example.org", admin, apollo)
		end = e.beginAttempt(accepted.UUID)
		e.do("invitee", accepted.UUID, "accept").is(http.StatusOK, "")
		end("")
		require.Equal(e.t, "delivered accepted accepted  ", eventLines(e.events(accepted.UUID))[2])

		deleted := e.create("owner", "deleted@example.org", admin, apollo)
		end = e.beginAttempt(deleted.UUID)
		e.do("staff", deleted.UUID, "delete").is(http.StatusOK, "")
		end("")
		events := e.events(deleted.UUID)
		require.Equal(e.t, []string{"delivered - -  "}, eventLines(events[2:]))
		require.Equal(e.t, []string{"delivered mail deleted@example.org OK"}, deliveryLines(events[2:]))
		require.Equal(e.t, "PROJECT.ADMIN", *events[2].RoleName)
	})
}

// A delivery that is not sent adds one event with the reason and without a recipient.
func TestEventsOfUnsentDelivery(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		e.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
		begin := func(id uuid.UUID) {
			message, err := e.service.BeginDelivery(e.context(), invitation.Deliver{Invitation: id})
			require.NoError(e.t, err)
			require.Nil(e.t, message)
		}
		begin(made.UUID)
		begin(made.UUID)
		require.Equal(e.t, []string{"delivery_failed -  Erred Not sent: the invitation was canceled before it could be delivered."},
			deliveryLines(e.events(made.UUID)[2:]))

		cut := e.create("owner", "cut@example.org", admin, apollo)
		e.beginAttempt(cut.UUID)
		e.do("owner", cut.UUID, "cancel").is(http.StatusOK, "")
		begin(cut.UUID)
		require.Equal(e.t, []string{"delivery_failed mail cut@example.org Erred " +
			"The server stopped while it sent the invitation: it may have arrived or not."}, deliveryLines(e.events(cut.UUID)[2:]))
	})
}

func TestEventsOfWebhooks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		project, customer := e.create("owner", "a@example.org", admin, apollo), e.create("owner", "b@example.org", reader, acme)
		e.beginAttempt(project.UUID)("")
		e.beginAttempt(customer.UUID)("")
		require.Equal(e.t, []string{"delivered webhook a@example.org OK"}, deliveryLines(e.events(project.UUID)[1:]))
		require.Equal(e.t, []string{"delivered mail b@example.org OK"}, deliveryLines(e.events(customer.UUID)[1:]))
	}, func(p *invitation.Policy) { p.UseWebhooks = true })
}

// Events remain after the invitation and the users in them are deleted. Only staff sees them then.
func TestEventsOfDeletedInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(deputies)
		made := e.create("owner", "Invitee@University.example", admin, apollo)
		require.Equal(e.t, 200, e.request("GET", at(made.UUID.String(), "events"), "owner", nil).Status)
		e.do("staff2", made.UUID, "delete").is(http.StatusOK, "")
		e.exec("DELETE FROM users WHERE username IN ('owner', 'staff2')")
		events := e.events(made.UUID)
		require.Len(e.t, events, 2)
		require.Equal(e.t, []string{"owner", "staff2"}, []string{*events[0].UserUsername, *events[1].UserUsername})
		require.NotNil(e.t, events[0].UserUUID)
		require.Equal(e.t, "deleted pending - staff2", strings.Join(strings.Fields(eventLines(events)[1])[:4], " "))
		for _, p := range personas() {
			want := either(!p.known(), 401, either(p.name == "staff", 200, 404))
			if p.name == "owner" {
				want = 401 // the user is deleted
			}
			require.Equal(e.t, want, e.request("GET", at(made.UUID.String(), "events"), p.name, nil).Status, "%q", p.name)
		}
		// An invitation that never existed is a 404.
		e.request("GET", at(acme, "events"), "staff", nil).is(http.StatusNotFound, notFound)
	})
}

// A removed scope has no managers, but staff still see its events.
func TestEventsInRemovedScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		e.applyReplaced(apolloUUID, apolloRemoved)
		e.request("GET", at(made.UUID.String(), "events"), "owner", nil).is(http.StatusNotFound, notFound)
		require.Len(e.t, e.events(made.UUID), 1)
	})
}

// An invitation that was created before events were recorded has an empty list.
func TestNoEvents(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		e.exec("DELETE FROM invitation_events")
		for _, user := range []string{"owner", "staff"} {
			answer := e.request("GET", at(made.UUID.String(), "events"), user, nil).is(http.StatusOK, "[]")
			require.Equal(e.t, "0", answer.Header.Get("X-Result-Count"))
			e.request("GET", at(made.UUID.String(), "events")+"?page=2", user, nil).is(http.StatusNotFound, detailBody("Invalid page."))
		}
	})
}

func TestEventPages(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made, other := e.create("owner", "guest@example.org", admin, apollo), e.create("owner", "other@example.org", admin, apollo)
		for range 11 {
			e.do("owner", made.UUID, "send").is(http.StatusOK, "") // all at the same time
			e.do("owner", other.UUID, "send").is(http.StatusOK, "")
		}
		e.clock.Advance(-time.Second)
		e.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
		path := at(made.UUID.String(), "events")
		page := func(query string) ([]server.InvitationEvent, string) {
			var some []server.InvitationEvent
			answer := e.request("GET", path+query, "owner", nil).is(http.StatusOK, "")
			answer.decode(&some)
			require.Equal(e.t, "13", answer.Header.Get("X-Result-Count"))
			return some, answer.Header.Get("Link")
		}
		some, links := page("?x=y")
		require.Len(e.t, some, 10)
		require.Equal(e.t, "canceled", string(*some[0].EventType), "the newest row comes first, whatever its time is")
		here := `<https://api.example` + path
		require.Equal(e.t, here+`>; rel="first", `+here+`?page=2>; rel="next", `+here+`?page=2>; rel="last"`, links)
		rest, links := page("?page=2")
		require.Len(e.t, rest, 3)
		require.Equal(e.t, "created", string(*rest[2].EventType))
		require.Equal(e.t, here+`>; rel="first", `+here+`>; rel="prev", `+here+`?page=2>; rel="last"`, links)
		all, _ := page("?page_size=1000")
		require.Equal(e.t, append(some, rest...), all)
		ids := map[string]bool{}
		for _, each := range all {
			ids[*each.RequestID] = true
		}
		require.Len(e.t, ids, 13, "each event has its own request")

		for _, bad := range []string{"?page=3", "?page=0", "?page=x", "?page=1099511627777", "?page=9223372036854775807"} {
			for _, user := range []string{"owner", "staff"} {
				e.request("GET", path+bad, user, nil).is(http.StatusNotFound, detailBody("Invalid page."))
			}
		}
		for _, bad := range []string{"?page_size=0", "?page_size=x", "?page_size=-1"} {
			e.request("GET", path+bad, "owner", nil).is(http.StatusBadRequest, fieldError("page_size", "A valid integer is required."))
		}
		made = e.create("owner", "another@example.org", admin, apollo)
		path = at(made.UUID.String(), "events")
		e.request("GET", path+"?field=to_state&field=from_state&field=user_username", "owner", nil).
			is(http.StatusOK, `[{"to_state": "pending", "user_username": "owner"}]`)
		e.request("GET", path+"?field=uuid,to_state", "owner", nil).is(http.StatusOK, `[{"to_state": "pending"}]`)
		e.request("GET", at("x", "events"), "owner", nil).is(http.StatusNotFound, notFound)
	})
}

// Exactly the requests that succeeded have an event.
func TestEventsOfConcurrentActions(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		actions, users := []string{"accept", "cancel", "send"}, []string{"stranger", "owner", "manager"}
		var requests []*http.Request
		for i := range 12 {
			requests = append(requests, e.newRequest("POST", at(made.UUID.String(), actions[i%3]), users[i%3], nil))
		}
		var done []string
		for i, answer := range e.sendAtOnce(requests...) {
			if answer.Status == http.StatusOK {
				done = append(done, eventOfAction[actions[i%3]][0]+" "+answer.Header.Get("X-Request-ID"))
			}
		}
		var seen []string
		for _, event := range e.events(made.UUID)[1:] {
			seen = append(seen, string(*event.EventType)+" "+*event.RequestID)
		}
		require.NotEmpty(e.t, done)
		require.ElementsMatch(e.t, done, seen)
		e.requireEventChain(made.UUID)
	})
}

// requireEventChain asserts that the old state of each event is the new state of the event before it, and that the last
// event has what is stored.
func (e *env) requireEventChain(id uuid.UUID) {
	e.t.Helper()
	events := e.events(id)
	last, created := "-", ""
	for i, event := range events {
		require.Equal(e.t, last, stateText(event.FromState), "event %d of %v", i, eventLines(events))
		require.Less(e.t, created, *event.Created+"~", "events are in the order of time")
		last, created = stateText(event.ToState), *event.Created
	}
	if last == "-" {
		e.request("GET", base+id.String()+"/", "staff", nil).is(http.StatusNotFound, notFound)
		return
	}
	stored, end := e.stored(id), events[len(events)-1]
	require.Equal(e.t, string(stored.StoredState), last)
	require.Equal(e.t, []any{stored.Email, stored.RoleUUID, stored.Role.Name}, []any{*end.Email, *end.RoleUUID, *end.RoleName})
}

// After random actions, deliveries, sweeps and time, the last event of each invitation has what is stored.
func TestEventsMatchStoredState(t *testing.T) {
	const seed = 20261123
	onEachEngine(t, func(e *env) {
		e.apply(guests(24))
		random := rand.New(rand.NewPCG(seed, 0))
		ids := []uuid.UUID{}
		for i := range 24 {
			user, scope := []string{"owner", "staff"}[i%2], []string{apollo, artemis, apollo, strict}[i/6]
			ids = append(ids, e.create(user, guestName(i)+"@acme.example", admin, scope).UUID)
		}
		open := map[uuid.UUID][]func(string){} // attempts that have not ended
		for range 1_000 {
			i := random.IntN(len(ids))
			id, is := ids[i], e.request("GET", at(ids[i].String()), "staff", nil)
			switch n := random.IntN(100); {
			case n < 45:
				each := stateActions[random.IntN(len(stateActions))]
				if each.name == "edit" && i%2 == 0 {
					continue // an edited invitation has a link that the action does not know
				}
				if n < 15 || !slices.Contains([]string{"delete", "destroy"}, each.name) {
					each.do(e, id.String(), guestName(i))
				}
			case n < 65 && is.Status == http.StatusOK && len(e.deliveryJobs(id)) > 0:
				jobs := e.deliveryJobs(id)
				job := jobs[len(jobs)-1-min(len(jobs)-1, random.IntN(2))]
				message, err := e.service.BeginDelivery(e.context(), job)
				require.NoError(e.t, err)
				if message != nil {
					open[id] = append(open[id], func(reason string) {
						require.NoError(e.t, e.service.FinishDelivery(e.context(), job, message, invitation.Outcome{Failed: reason != "", Reason: reason}))
					})
				}
			case n < 85 && len(open[id]) > 0:
				open[id][0]([]string{"", "", "No answer.", "No such mailbox."}[random.IntN(4)])
				open[id] = open[id][1:]
			case n < 90:
				e.clock.Advance(time.Duration(random.Int64N(int64(lifetime / 8))))
			default:
				e.sweep()
			}
			e.requireEventChain(id)
		}
		happened := map[string]int{}
		for _, id := range ids {
			e.requireEventChain(id)
			for _, event := range e.events(id) {
				happened[string(*event.EventType)]++
			}
		}
		for _, each := range []string{
			"accepted", "approved", "canceled", "created", "declined", "deleted", "delivered", "expired", "rejected", "renewal_asked", "sent", "updated",
		} {
			require.NotZero(e.t, happened[each], "%s never happened: %v", each, happened)
		}
	}, onlyStaff)
}

// Events contain no tokens, no links and no internals.
func TestEventsContainNoSecrets(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		asked := e.noticeJobsOf(invitation.NoticeRequested)
		require.NotEmpty(e.t, asked)
		message, _, err := e.service.BeginNotice(e.context(), asked[0])
		require.NoError(e.t, err)
		require.NoError(e.t, e.service.FinishNotice(e.context(), asked[0], message, invitation.Outcome{}))
		text := e.sign(token.Approve, e.userID("staff"), made.UUID)
		e.decide("approve", text).is(http.StatusOK, "")
		e.beginAttempt(made.UUID)("")
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, "")
		answer := e.request("GET", at(made.UUID.String(), "events"), "owner", nil).is(http.StatusOK, "")
		e.requireNoLeak(answer, "")
		require.Equal(e.t, []string{"created", "notified", "approved", "delivered", "accepted"}, func() (types []string) {
			for _, event := range e.events(made.UUID) {
				types = append(types, string(*event.EventType))
			}
			return types
		}())
		for _, secret := range []string{text, "v1.", message.Requests[0].ApproveLink, "invitation_", "front.example", "owner-key", token.Digest("owner-key"), "1234"} {
			require.NotContains(e.t, answer.Body, secret)
		}
	}, onlyStaff)
}

// The result of a notice is an event, even after the invitation changed or was deleted.
func TestEventsOfNotices(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		asked := e.noticeJobsOf(invitation.NoticeRequested)[0]
		message, _, err := e.service.BeginNotice(e.context(), asked)
		require.NoError(e.t, err)
		note := func(reason string) {
			require.NoError(e.t, e.service.FinishNotice(e.context(), asked, message, invitation.Outcome{Failed: reason != "", Reason: reason}))
		}
		note("No such mailbox.")
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), made.UUID)).is(http.StatusOK, "")
		note("")
		e.do("staff", made.UUID, "delete").is(http.StatusOK, "")
		note("")
		events := e.events(made.UUID)
		require.Equal(e.t, []string{
			"created -  Scheduled", "notification_failed mail staff@example.com Scheduled No such mailbox.", "approved -  Scheduled",
			"notified mail staff@example.com Scheduled", "deleted -  Scheduled", "notified mail staff@example.com Scheduled",
		}, deliveryLines(events))
		require.Equal(e.t, []string{"notified pending pending  ", "notified - -  "}, []string{eventLines(events)[3], eventLines(events)[5]})
		require.Equal(e.t, server.InvitationNoticeRequested, *events[1].Notice)
	}, onlyStaff)
}
