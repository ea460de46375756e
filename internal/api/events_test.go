package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/token"
)

// events are all that happened to an invitation, the oldest first, as staff reads it.
func (w *world) events(id uuid.UUID) []server.InvitationEvent {
	w.t.Helper()
	var all []server.InvitationEvent
	for page := 1; ; page++ {
		var some []server.InvitationEvent
		answer := w.request("GET", fmt.Sprintf("%s?page_size=300&page=%d", at(id.String(), "events"), page), "staff", nil)
		answer.is(http.StatusOK, "").into(&some)
		all = append(all, some...)
		if !strings.Contains(answer.Header.Get("Link"), `rel="next"`) {
			slices.Reverse(all)
			return all
		}
	}
}

// count counts the rows of a table.
func (w *world) count(table string) string {
	w.t.Helper()
	return w.value("SELECT CAST(count(*) AS text) FROM " + table)
}

// told says of each event what happened, from which state to which, by whom, in which request.
func told(events []server.InvitationEvent) []string {
	all := []string{}
	for _, e := range events {
		all = append(all, strings.Join([]string{
			string(*e.EventType), state(e.FromState), state(e.ToState), *e.UserUsername, *e.RequestID,
		}, " "))
	}
	return all
}

func state(of *server.InvitationState) string {
	if of == nil {
		return "-"
	}
	return string(*of)
}

// What an action is called once it has happened, and who does it where it is not the guest.
var happens = map[string][2]string{
	"accept": {"accepted"}, "cancel": {"canceled", "owner"}, "send": {"sent", "owner"}, "delete": {"deleted", "staff"}, "destroy": {"deleted", "owner"},
	"approve": {"approved", "staff"}, "reject": {"rejected", "staff"}, "edit": {"updated", "staff"},
}

// eventsOf are the events of an action that is tried in a state: one where it changes something. Where time has ended an
// invitation and nothing has written so, that is the first thing to happen.
func eventsOf(row stateRow, a action, want allowed, stored invitation.State, guest string, answer response) []string {
	if want.to == "" && !want.gone {
		return []string{}
	}
	request := answer.Header.Get("X-Request-ID")
	all := []string{}
	if string(stored) != string(row.shows) {
		all = append(all, fmt.Sprintf("expired %s %s  %s", stored, row.shows, request))
	}
	to, what, who := string(want.to), happens[a.name][0], happens[a.name][1]
	if want.gone {
		to = "-"
	}
	if who == "" {
		who = guest
	}
	return append(all, fmt.Sprintf("%s %s %s %s %s", what, row.shows, to, who, request))
}

// The first event of an invitation says who made it and what it was.
func TestTheFirstEvent(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for scope, state := range map[string]string{apollo: "requested", artemis: "requested"} {
			r := w.newRequest("POST", base, "owner", draft("Guest@Example.org", admin, scope))
			r.Header.Set("X-Request-ID", "request-of-"+scope)
			made := w.send(r).is(http.StatusCreated, "").shown()
			events := w.events(made.UUID)
			require.Equal(w.t, []string{"created - " + state + " owner request-of-" + scope}, told(events))
			e := events[0]
			require.Equal(w.t, w.userID("owner"), *e.UserUUID)
			require.Equal(w.t, []any{"Olivia Owner", made.Created, "Guest@Example.org", made.Role, "PROJECT.ADMIN", made.ExecutionState, "", ""}, []any{
				*e.UserFullName, *e.Created, *e.Email, *e.RoleUUID, *e.RoleName, *e.ExecutionState, *e.ErrorMessage, *e.Recipient,
			})
			require.Nil(w.t, e.Channel)
			require.Nil(w.t, e.Notice)
		}
		planned := w.create("staff", "guest@example.com", admin, artemis)
		require.Equal(w.t, []string{"created", "-", "project", "staff"}, strings.Fields(told(w.events(planned.UUID))[0])[:4])
	}, onlyStaff)
}

// What the sweep does, nobody did, and no request asked for it.
func TestEventsOfTime(t *testing.T) {
	inEachWorld(t, func(w *world) {
		planned := w.create("sibling", "guest@example.com", admin, artemis)
		since := func() []string { return told(w.events(planned.UUID)[1:]) }
		w.wait(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC))
		w.sweep()
		activated := "activated project pending  "
		require.Equal(w.t, []string{activated}, since())
		w.clock.Advance(lifetime - time.Hour)
		w.sweep()
		reminded := "reminded pending pending  "
		require.Equal(w.t, []string{activated, reminded}, since())
		w.clock.Advance(time.Hour)
		require.Equal(w.t, []string{activated, reminded}, since(), "an event is something that was written")
		w.sweep()
		w.sweep()
		require.Equal(w.t, []string{activated, reminded, "expired pending expired  "}, since())
		require.Equal(w.t, timestampOf(w.clock.Now()), *w.events(planned.UUID)[3].Created)

		// So does who makes room for another, though a request brought it about.
		stale := w.create("owner", "stale@example.com", admin, apollo)
		w.clock.Advance(lifetime)
		r := w.newRequest("POST", base, "manager", draft("stale@example.com", admin, apollo))
		r.Header.Set("X-Request-ID", "another")
		w.send(r).is(http.StatusCreated, "")
		require.Equal(w.t, []string{"expired pending expired  another"}, told(w.events(stale.UUID)[1:]))
	})
}

func timestampOf(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// sent says of each event what was sent where with what result.
func sentWhere(events []server.InvitationEvent) []string {
	all := []string{}
	for _, e := range events {
		channel := "-"
		if e.Channel != nil {
			channel = string(*e.Channel)
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", *e.EventType, channel, *e.Recipient, *e.ExecutionState, *e.ErrorMessage)))
	}
	return all
}

// attempt begins an attempt at the present delivery; what it returns ends it.
func (w *world) attempt(id uuid.UUID) func(reason string) {
	w.t.Helper()
	jobs := w.deliveries(id)
	job := jobs[len(jobs)-1]
	letter, err := w.service.BeginDelivery(w.t.Context(), job)
	require.NoError(w.t, err)
	require.NotNil(w.t, letter)
	return func(reason string) {
		w.t.Helper()
		require.NoError(w.t, w.service.FinishDelivery(w.t.Context(), job, letter, invitation.Outcome{Failed: reason != "", Reason: reason}))
	}
}

// Each new outcome of a delivery is an event; that it is tried, or fails as before, is none.
func TestEventsOfDelivery(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "Guest@Example.org", admin, apollo)
		since := func() []string { return sentWhere(w.events(made.UUID)[1:]) }
		end := w.attempt(made.UUID)
		require.Empty(w.t, since())
		end("No answer.")
		end("No answer.") // noted, and the answer to that was lost
		require.Equal(w.t, []string{"delivery_failed mail Guest@Example.org Erred No answer."}, since())
		for range 3 {
			w.attempt(made.UUID)("No answer.")
			require.Equal(w.t, "Erred", string(w.see(made.UUID).ExecutionState))
		}
		require.Len(w.t, since(), 1)
		w.attempt(made.UUID)("No such mailbox.")
		w.attempt(made.UUID)("No answer.")
		w.attempt(made.UUID)("")
		require.Equal(w.t, []string{
			"delivery_failed mail Guest@Example.org Erred No answer.",
			"delivery_failed mail Guest@Example.org Erred No such mailbox.",
			"delivery_failed mail Guest@Example.org Erred No answer.",
			"delivered mail Guest@Example.org OK",
		}, since())
		for _, each := range told(w.events(made.UUID)[1:]) {
			require.Regexp(w.t, `^deliver\w+ pending pending  $`, each, "nobody did it")
		}

		// Sent anew, it fails anew.
		w.do("owner", made.UUID, "send").is(http.StatusOK, "")
		w.attempt(made.UUID)("No answer.")
		require.Equal(w.t, []string{"sent -  Scheduled", "delivery_failed mail Guest@Example.org Erred No answer."}, since()[4:])
	})
}

// A letter that is on its way arrives, whatever becomes of its invitation meanwhile, and it is known where.
func TestEventsOfALetterThatWasOvertaken(t *testing.T) {
	inEachWorld(t, func(w *world) {
		edited := w.create("owner", "old@example.org", admin, apollo)
		end := w.attempt(edited.UUID)
		w.exec("UPDATE invitations SET email = 'new@example.org', email_folded = 'new@example.org'")
		end("")
		e := w.events(edited.UUID)[1]
		require.Equal(w.t, "delivered mail old@example.org OK", sentWhere([]server.InvitationEvent{e})[0])
		require.Equal(w.t, "new@example.org", *e.Email)

		again := w.create("owner", "again@example.org", admin, apollo)
		end = w.attempt(again.UUID)
		w.do("owner", again.UUID, "send").is(http.StatusOK, "")
		end("No answer.")
		require.Equal(w.t, "Scheduled", string(w.see(again.UUID).ExecutionState), "the row is of the newer delivery")
		require.Equal(w.t, []string{"sent -  Scheduled", "delivery_failed mail again@example.org Erred No answer."},
			sentWhere(w.events(again.UUID)[1:]))

		accepted := w.create("owner", "accepted@example.org", admin, apollo)
		end = w.attempt(accepted.UUID)
		w.do("invitee", accepted.UUID, "accept").is(http.StatusOK, "")
		end("")
		require.Equal(w.t, "delivered accepted accepted  ", told(w.events(accepted.UUID))[2])

		deleted := w.create("owner", "deleted@example.org", admin, apollo)
		end = w.attempt(deleted.UUID)
		w.do("staff", deleted.UUID, "delete").is(http.StatusOK, "")
		end("")
		events := w.events(deleted.UUID)
		require.Equal(w.t, []string{"delivered - -  "}, told(events[2:]))
		require.Equal(w.t, []string{"delivered mail deleted@example.org OK"}, sentWhere(events[2:]))
		require.Equal(w.t, "PROJECT.ADMIN", *events[2].RoleName)
	})
}

// What is not sent at all says why, once, and that nobody got it.
func TestEventsOfWhatIsNotSent(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		w.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
		begin := func(id uuid.UUID) {
			letter, err := w.service.BeginDelivery(t.Context(), invitation.Deliver{Invitation: id})
			require.NoError(w.t, err)
			require.Nil(w.t, letter)
		}
		begin(made.UUID)
		begin(made.UUID)
		require.Equal(w.t, []string{"delivery_failed -  Erred Not sent: the invitation was canceled before it could be delivered."},
			sentWhere(w.events(made.UUID)[2:]))

		cut := w.create("owner", "cut@example.org", admin, apollo)
		w.attempt(cut.UUID)
		w.do("owner", cut.UUID, "cancel").is(http.StatusOK, "")
		begin(cut.UUID)
		require.Equal(w.t, []string{"delivery_failed mail cut@example.org Erred " +
			"The server stopped while it sent the invitation: it may have arrived or not."}, sentWhere(w.events(cut.UUID)[2:]))
	})
}

func TestEventsOfWebhooks(t *testing.T) {
	inEachWorld(t, func(w *world) {
		project, customer := w.create("owner", "a@example.org", admin, apollo), w.create("owner", "b@example.org", reader, acme)
		w.attempt(project.UUID)("")
		w.attempt(customer.UUID)("")
		require.Equal(w.t, []string{"delivered webhook a@example.org OK"}, sentWhere(w.events(project.UUID)[1:]))
		require.Equal(w.t, []string{"delivered mail b@example.org OK"}, sentWhere(w.events(customer.UUID)[1:]))
	}, func(p *invitation.Policy) { p.UseWebhooks = true })
}

// Events outlive the invitation, for staff, and who they name.
func TestEventsOutlive(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(deputies)
		made := w.create("owner", "Invitee@University.example", admin, apollo)
		require.Equal(w.t, 200, w.request("GET", at(made.UUID.String(), "events"), "owner", nil).Status)
		w.do("staff2", made.UUID, "delete").is(http.StatusOK, "")
		w.exec("DELETE FROM users WHERE username IN ('owner', 'staff2')")
		events := w.events(made.UUID)
		require.Len(w.t, events, 2)
		require.Equal(w.t, []string{"owner", "staff2"}, []string{*events[0].UserUsername, *events[1].UserUsername})
		require.NotNil(w.t, events[0].UserUUID)
		require.Equal(w.t, "deleted pending - staff2", strings.Join(strings.Fields(told(events)[1])[:4], " "))
		for _, p := range personas() {
			want := first(!p.known(), 401, first(p.name == "staff", 200, 404))
			if p.name == "owner" {
				want = 401 // who is gone
			}
			require.Equal(w.t, want, w.request("GET", at(made.UUID.String(), "events"), p.name, nil).Status, "%q", p.name)
		}
		// What never was has no events, and is not there.
		w.request("GET", at(acme, "events"), "staff", nil).is(http.StatusNotFound, notFound)
	})
}

// Nobody may manage what belongs to a removed scope, but what happened there stays to be looked into.
func TestEventsInARemovedScope(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		w.rewrite(apolloHead, apolloRemoved)
		w.request("GET", at(made.UUID.String(), "events"), "owner", nil).is(http.StatusNotFound, notFound)
		require.Len(w.t, w.events(made.UUID), 1)
	})
}

// An invitation of before events were kept has none.
func TestNoEvents(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		w.exec("DELETE FROM invitation_events")
		for _, user := range []string{"owner", "staff"} {
			answer := w.request("GET", at(made.UUID.String(), "events"), user, nil).is(http.StatusOK, "[]")
			require.Equal(w.t, "0", answer.Header.Get("X-Result-Count"))
			w.request("GET", at(made.UUID.String(), "events")+"?page=2", user, nil).is(http.StatusNotFound, detail("Invalid page."))
		}
	})
}

func TestPagesOfEvents(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made, other := w.create("owner", "guest@example.org", admin, apollo), w.create("owner", "other@example.org", admin, apollo)
		for range 11 {
			w.do("owner", made.UUID, "send").is(http.StatusOK, "") // all of one moment
			w.do("owner", other.UUID, "send").is(http.StatusOK, "")
		}
		w.clock.Advance(-time.Second)
		w.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
		path := at(made.UUID.String(), "events")
		page := func(query string) ([]server.InvitationEvent, string) {
			var some []server.InvitationEvent
			answer := w.request("GET", path+query, "owner", nil).is(http.StatusOK, "")
			answer.into(&some)
			require.Equal(w.t, "13", answer.Header.Get("X-Result-Count"))
			return some, answer.Header.Get("Link")
		}
		some, links := page("?x=y")
		require.Len(w.t, some, 10)
		require.Equal(w.t, "canceled", string(*some[0].EventType), "the last that was written first, whatever the clock said")
		here := `<https://api.example` + path + `?page=`
		require.Equal(w.t, here+`1&x=y>; rel="first", `+here+`2&x=y>; rel="next", `+here+`2&x=y>; rel="last"`, links)
		rest, links := page("?page=2")
		require.Len(w.t, rest, 3)
		require.Equal(w.t, "created", string(*rest[2].EventType))
		require.Equal(w.t, here+`1>; rel="first", `+here+`1>; rel="prev", `+here+`2>; rel="last"`, links)
		all, _ := page("?page_size=1000")
		require.Equal(w.t, append(some, rest...), all)
		ids := map[string]bool{}
		for _, each := range all {
			ids[*each.RequestID] = true
		}
		require.Len(w.t, ids, 13, "a request each")

		for _, bad := range []string{"?page=3", "?page=0", "?page=x", "?page=1099511627777", "?page=9223372036854775807"} {
			for _, user := range []string{"owner", "staff"} {
				w.request("GET", path+bad, user, nil).is(http.StatusNotFound, detail("Invalid page."))
			}
		}
		for _, bad := range []string{"?page_size=0", "?page_size=x", "?page_size=-1"} {
			w.request("GET", path+bad, "owner", nil).is(http.StatusBadRequest, field("page_size", "A valid integer is required."))
		}
		made = w.create("owner", "another@example.org", admin, apollo)
		path = at(made.UUID.String(), "events")
		w.request("GET", path+"?field=to_state&field=from_state&field=user_username", "owner", nil).
			is(http.StatusOK, `[{"to_state": "pending", "user_username": "owner"}]`)
		w.request("GET", path+"?field=uuid", "owner", nil).is(http.StatusBadRequest,
			field("field", "Select a valid choice. uuid is not one of the available choices."))
		w.request("GET", at("x", "events"), "owner", nil).is(http.StatusNotFound, notFound)
	})
}

// Of any number of requests at once, those that were told that they did it are in the events, and no others.
func TestEventsOfARace(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		var (
			all  sync.WaitGroup
			mu   sync.Mutex
			done []string
		)
		for i := range 12 {
			action, user := []string{"accept", "cancel", "send"}[i%3], []string{"stranger", "owner", "manager"}[i%3]
			all.Go(func() {
				if answer := w.do(user, made.UUID, action); answer.Status == http.StatusOK {
					mu.Lock()
					defer mu.Unlock()
					done = append(done, happens[action][0]+" "+answer.Header.Get("X-Request-ID"))
				}
			})
		}
		all.Wait()
		var seen []string
		for _, e := range w.events(made.UUID)[1:] {
			seen = append(seen, string(*e.EventType)+" "+*e.RequestID)
		}
		require.NotEmpty(w.t, done)
		require.ElementsMatch(w.t, done, seen)
		w.chained(made.UUID)
	})
}

// chained asserts that each event of an invitation begins where the one before it ended, and that the last one says what
// is stored.
func (w *world) chained(id uuid.UUID) {
	w.t.Helper()
	events := w.events(id)
	last, at := "-", ""
	for i, e := range events {
		require.Equal(w.t, last, state(e.FromState), "event %d of %v", i, told(events))
		require.Less(w.t, at, *e.Created+"~", "time runs on")
		last, at = state(e.ToState), *e.Created
	}
	if last == "-" {
		w.request("GET", base+id.String()+"/", "staff", nil).is(http.StatusNotFound, notFound)
		return
	}
	stored, end := w.stored(id), events[len(events)-1]
	require.Equal(w.t, string(stored.StoredState), last)
	require.Equal(w.t, []any{stored.Email, stored.RoleUUID, stored.Role.Name}, []any{*end.Email, *end.RoleUUID, *end.RoleName})
}

// Whatever is done to invitations in whatever order, their events lead to what they are.
func TestEventsLeadToWhatIsStored(t *testing.T) {
	const seed = 20261123
	inEachWorld(t, func(w *world) {
		w.apply(guests(16))
		random := rand.New(rand.NewPCG(seed, 0))
		ids := []uuid.UUID{}
		for i := range 16 {
			user, scope := []string{"owner", "staff"}[i%2], []string{apollo, artemis, apollo, strict}[i/4]
			ids = append(ids, w.create(user, guest(i)+"@acme.example", admin, scope).UUID)
		}
		open := map[uuid.UUID][]func(string){} // attempts that have not ended
		for range 600 {
			i := random.IntN(len(ids))
			id, is := ids[i], w.request("GET", at(ids[i].String()), "staff", nil)
			switch n := random.IntN(100); {
			case n < 45:
				each := actions[random.IntN(len(actions))]
				if each.name == "edit" && i%2 == 0 {
					continue // one that is for another address is not its guest's to accept
				}
				if n < 15 || !slices.Contains([]string{"delete", "destroy"}, each.name) {
					each.do(w, id.String(), guest(i))
				}
			case n < 65 && is.Status == http.StatusOK && len(w.deliveries(id)) > 0:
				jobs := w.deliveries(id)
				job := jobs[len(jobs)-1-min(len(jobs)-1, random.IntN(2))]
				letter, err := w.service.BeginDelivery(t.Context(), job)
				require.NoError(w.t, err)
				if letter != nil {
					open[id] = append(open[id], func(reason string) {
						require.NoError(w.t, w.service.FinishDelivery(t.Context(), job, letter, invitation.Outcome{Failed: reason != "", Reason: reason}))
					})
				}
			case n < 85 && len(open[id]) > 0:
				open[id][0]([]string{"", "", "No answer.", "No such mailbox."}[random.IntN(4)])
				open[id] = open[id][1:]
			case n < 90:
				w.clock.Advance(time.Duration(random.Int64N(int64(lifetime / 8))))
			default:
				w.sweep()
			}
			w.chained(id)
		}
		happened := map[string]int{}
		for _, id := range ids {
			w.chained(id)
			for _, e := range w.events(id) {
				happened[string(*e.EventType)]++
			}
		}
		for _, each := range []string{"accepted", "approved", "canceled", "created", "deleted", "delivered", "expired", "rejected", "sent", "updated"} {
			require.NotZero(w.t, happened[each], "%s never happened: %v", each, happened)
		}
	}, onlyStaff)
}

// Events hold nothing that lets their reader act, nor anything from inside.
func TestEventsTellNoSecrets(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		asked := w.asked(invitation.NoticeRequested)
		require.NotEmpty(w.t, asked)
		letter, err := w.service.BeginNotice(t.Context(), asked[0])
		require.NoError(w.t, err)
		require.NoError(w.t, w.service.FinishNotice(t.Context(), letter, invitation.Outcome{}))
		text := w.sign(token.Approve, w.userID("staff"), made.UUID)
		w.decide("approve", text).is(http.StatusOK, "")
		w.attempt(made.UUID)("")
		w.do("invitee", made.UUID, "accept").is(http.StatusOK, "")
		answer := w.request("GET", at(made.UUID.String(), "events"), "owner", nil).is(http.StatusOK, "")
		w.tells(answer, "")
		require.Equal(w.t, []string{"created", "notified", "approved", "delivered", "accepted"}, func() (types []string) {
			for _, e := range w.events(made.UUID) {
				types = append(types, string(*e.EventType))
			}
			return types
		}())
		for _, secret := range []string{text, "v1.", letter.ApproveLink, "invitation_", "front.example", "owner-key", token.Digest("owner-key"), "1234"} {
			require.NotContains(w.t, answer.Body, secret)
		}
	}, onlyStaff)
}

// What is noted of a notice, whatever became of its invitation.
func TestEventsOfNotices(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		letter, err := w.service.BeginNotice(t.Context(), w.asked(invitation.NoticeRequested)[0])
		require.NoError(w.t, err)
		note := func(reason string) {
			require.NoError(w.t, w.service.FinishNotice(t.Context(), letter, invitation.Outcome{Failed: reason != "", Reason: reason}))
		}
		note("No such mailbox.")
		w.decide("approve", w.sign(token.Approve, w.userID("staff"), made.UUID)).is(http.StatusOK, "")
		note("")
		w.do("staff", made.UUID, "delete").is(http.StatusOK, "")
		note("")
		events := w.events(made.UUID)
		require.Equal(w.t, []string{
			"created -  Scheduled", "notification_failed mail staff@example.com Scheduled No such mailbox.", "approved -  Scheduled",
			"notified mail staff@example.com Scheduled", "deleted -  Scheduled", "notified mail staff@example.com Scheduled",
		}, sentWhere(events))
		require.Equal(w.t, []string{"notified pending pending  ", "notified - -  "}, []string{told(events)[3], told(events)[5]})
		require.Equal(w.t, server.InvitationNoticeRequested, *events[1].Notice)
	}, onlyStaff)
}
