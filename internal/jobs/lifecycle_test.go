package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/lifecycle"
	"invited/internal/webhook"
)

var eventsKind = lifecycle.Deliver{}.Kind()

const eventsSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// postedEvent is a request to the webhook of events.
type postedEvent struct {
	id     string // webhook-id
	status int    // of the response
	webhook.Event
}

// eventRecorder is the webhook of events. It verifies each request by the library of the scheme.
type eventRecorder struct {
	*httptest.Server
	mu      sync.Mutex
	respond func(e postedEvent) int // status; nil: 204
	posted  []postedEvent
}

func newEventRecorder(t *testing.T) *eventRecorder {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(eventsSecret)
	require.NoError(t, err)
	r := &eventRecorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err == nil {
			err = verifier.Verify(body, request.Header)
		}
		e := postedEvent{id: request.Header.Get("webhook-id"), status: http.StatusNoContent}
		var payload struct {
			Type string            `json:"type"`
			Data webhook.EventData `json:"-"`
			Raw  json.RawMessage   `json:"data"`
		}
		if err == nil {
			err = json.Unmarshal(body, &payload)
		}
		var data struct {
			ID             int64  `json:"id"`
			InvitationUUID string `json:"invitation_uuid"`
			Email          string `json:"email"`
		}
		if err == nil {
			err = json.Unmarshal(payload.Raw, &data)
		}
		if err != nil {
			t.Errorf("a request that can't be verified: %v", err)
		}
		e.Type, e.Data.ID, e.Data.InvitationUUID, e.Data.Email = payload.Type, data.ID, data.InvitationUUID, data.Email
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.respond != nil {
			e.status = r.respond(e)
		}
		r.posted = append(r.posted, e)
		w.WriteHeader(e.status)
	}))
	t.Cleanup(r.Close)
	return r
}

// set changes how the webhook responds.
func (r *eventRecorder) set(respond func(postedEvent) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.respond = respond
}

// requests returns the requests until now.
func (r *eventRecorder) requests() []postedEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posted)
}

// taken returns the types that the webhook took of an invitation; nil: of all invitations, as type and webhook-id.
func (r *eventRecorder) taken(id *uuid.UUID) (types []string) {
	for _, each := range r.requests() {
		switch {
		case each.status >= 300:
		case id == nil:
			types = append(types, each.Type+" "+each.id)
		case each.Data.InvitationUUID == id.String():
			types = append(types, each.Type)
		}
	}
	return types
}

// lifecycle returns the use cases of events.
func (env *testEnv) lifecycle() *lifecycle.Service {
	return &lifecycle.Service{Store: env.db.Lifecycle()}
}

// sendEventsTo makes workers send events to a webhook.
func (env *testEnv) sendEventsTo(address string) func(*jobs.Config) {
	env.t.Helper()
	client, err := webhook.New(webhook.Config{URL: address, Secret: eventsSecret})
	require.NoError(env.t, err)
	return func(c *jobs.Config) { c.EventsWebhook = client }
}

// retryEvents makes the jobs that wait for another try available.
func (env *testEnv) retryEvents() {
	env.t.Helper()
	for _, job := range env.jobs(eventsKind) {
		if job.State == rivertype.JobStateScheduled || job.State == rivertype.JobStateRetryable {
			_, err := env.riverClient().JobRetry(env.t.Context(), job.ID)
			require.NoError(env.t, err)
		}
	}
}

// deliveries returns the number of deliveries of events in each state.
func (env *testEnv) deliveries() map[string]int {
	env.t.Helper()
	rows, err := env.db.QueuePool().QueryContext(env.t.Context(), "SELECT state, count(*) FROM event_deliveries GROUP BY state")
	require.NoError(env.t, err)
	defer func() { require.NoError(env.t, rows.Close()) }()
	found := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		require.NoError(env.t, rows.Scan(&state, &n))
		found[state] = n
	}
	require.NoError(env.t, rows.Err())
	return found
}

// waitForPositions waits until all events have their positions in the feed.
func (env *testEnv) waitForPositions() {
	env.t.Helper()
	env.waitFor("the positions of all events", func() bool {
		waiting, err := env.db.Lifecycle().HasUnpositioned(context.Background())
		return err == nil && !waiting
	})
}

// A webhook that was down for an hour gets every event afterwards, those of each invitation in their order, and none
// twice.
func TestWebhookOfEventsIsDownForAnHour(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		hook := newEventRecorder(t)
		hook.set(func(postedEvent) int { return http.StatusServiceUnavailable })
		env.startWorkers(env.sendEventsTo(hook.URL))
		const n = 12
		olivia, sam := env.user("olivia"), env.user("sam")
		want := map[uuid.UUID][]string{}
		for i := range n {
			id := env.invite(fmt.Sprintf("guest%d@university.example", i))
			want[id] = []string{"invitation.created", "invitation.sent"}
		}
		for id := range want {
			env.waitForState(id, invitation.OK)
		}
		env.waitFor("a failure of each invitation", func() bool {
			failed := map[string]bool{}
			for _, each := range hook.requests() {
				failed[each.Data.InvitationUUID] = true
			}
			return len(failed) == n
		})
		i := 0
		for id := range want { // what happens meanwhile
			switch i++; i % 3 {
			case 0:
				require.NoError(t, env.service.Cancel(t.Context(), olivia, id))
				require.NoError(t, env.service.Delete(t.Context(), sam, id))
				want[id] = append(want[id], "invitation.canceled", "invitation.deleted")
			case 1:
				require.NoError(t, env.service.Cancel(t.Context(), olivia, id))
				want[id] = append(want[id], "invitation.canceled")
			}
		}
		env.waitForPositions()
		env.clock.Advance(time.Hour)
		env.retryEvents()
		env.waitUntilIdle(eventsKind)
		require.Empty(t, hook.taken(nil))
		hook.set(nil)
		env.waitFor("all events", func() bool {
			env.retryEvents()
			return env.deliveries()["pending"] == 0
		})
		env.waitUntilIdle(eventsKind)
		total := 0
		for id, types := range want {
			require.Equal(t, types, hook.taken(&id))
			total += len(types)
		}
		all := hook.taken(nil)
		require.Len(t, all, total)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(all))), total, "none twice")
		require.Equal(t, map[string]int{"sent": total}, env.deliveries())
		ids := map[string]int64{}
		for _, each := range hook.requests() {
			if earlier, known := ids[each.id]; known {
				require.Equal(t, earlier, each.Data.ID, "one webhook-id for each event")
			}
			ids[each.id] = each.Data.ID
		}
	})
}

// Events whose job was deleted go out after the next start.
func TestEventsWhoseJobIsGone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		id := env.invite("ina@university.example")
		_, err := env.lifecycle().AssignPositions(t.Context(), true)
		require.NoError(t, err)
		env.exec("DELETE FROM river_job WHERE kind = '" + eventsKind + "'")
		hook := newEventRecorder(t)
		env.startWorkers(env.sendEventsTo(hook.URL))
		env.waitFor("the events", func() bool { return len(hook.taken(&id)) == 2 })
	})
}

// An event that the webhook refuses holds up no other invitation. It is given up after three days; then those behind it
// go out, and the operator can send it again.
func TestRefusedEventIsGivenUp(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		hook := newEventRecorder(t)
		w := env.startWorkers(env.sendEventsTo(hook.URL))
		broken := env.invite("broken@university.example")
		hook.set(func(e postedEvent) int {
			if e.Data.InvitationUUID == broken.String() && e.Type == "invitation.sent" {
				return http.StatusUnprocessableEntity
			}
			return http.StatusOK
		})
		tried := func() (n int) {
			for _, each := range hook.requests() {
				if each.status == http.StatusUnprocessableEntity {
					n++
				}
			}
			return n
		}
		env.waitFor("the refusal", func() bool { return tried() > 0 })
		require.NoError(t, env.service.Cancel(t.Context(), env.user("olivia"), broken))
		other := env.invite("other@university.example")
		env.waitFor("the events of another invitation", func() bool { return len(hook.taken(&other)) == 2 })
		env.waitForPositions()
		env.clock.Advance(lifecycle.GiveUpAfter - time.Minute)
		before := tried()
		env.waitFor("another try", func() bool { env.retryEvents(); return tried() > before })
		env.waitUntilIdle(eventsKind)
		require.Equal(t, []string{"invitation.created"}, hook.taken(&broken), "those behind it wait")
		require.Zero(t, env.deliveries()["given_up"])
		require.Empty(t, w.Troubles()["events_webhook"])

		env.clock.Advance(time.Minute)
		env.waitFor("the event behind it", func() bool { env.retryEvents(); return len(hook.taken(&broken)) == 2 })
		env.waitUntilIdle(eventsKind)
		require.Equal(t, []string{"invitation.created", "invitation.canceled"}, hook.taken(&broken))
		require.Equal(t, 1, env.deliveries()["given_up"])
		require.Contains(t, w.Troubles()["events_webhook"], "invited events redeliver")
		require.Contains(t, env.log.String(), "an event was given up")

		hook.set(nil)
		_, _, err := env.lifecycle().Redeliver(t.Context(), lifecycle.Redelivery{Since: env.clock.Now().Add(-time.Minute), Invitation: &broken}, false)
		require.NoError(t, err)
		env.waitFor("both events again", func() bool { return env.deliveries()["pending"] == 0 })
		env.waitUntilIdle(eventsKind)
		all := hook.taken(&broken)
		require.Equal(t, []string{"invitation.sent", "invitation.canceled"}, all[2:], "in order")
		ids := map[string]string{}
		for _, each := range hook.requests() {
			if each.Data.InvitationUUID == broken.String() {
				require.Contains(t, []string{"", each.id}, ids[each.Type], "one webhook-id for each event")
				ids[each.Type] = each.id
			}
		}
	})
}

// A webhook that wants no more events stops them until the operator changes something; no event is lost.
func TestWebhookOfEventsIsGone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		hook := newEventRecorder(t)
		hook.set(func(postedEvent) int { return http.StatusGone })
		w := env.startWorkers(env.sendEventsTo(hook.URL))
		for i := range 5 {
			env.waitForState(env.invite(fmt.Sprintf("guest%d@university.example", i)), invitation.OK)
		}
		env.waitForPositions()
		env.waitFor("a refusal", func() bool { return len(hook.requests()) > 0 })
		env.waitUntilIdle(eventsKind)
		require.LessOrEqual(t, len(hook.requests()), 5, "those that were under way; the circuit is open for the others")
		require.Contains(t, w.Troubles()["events_webhook"], "takes no events any more (410)")
		require.Empty(t, w.Troubles()["mail"])
		env.stopWorkers(w, maxWait)
		hook.set(nil)
		env.startWorkers(env.sendEventsTo(hook.URL))
		env.waitFor("all events", func() bool { env.retryEvents(); return env.deliveries()["sent"] == 10 })
	})
}

// Without a webhook there is a feed, and no job.
func TestEventsWithoutAWebhook(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		env.waitForState(env.invite("ina@university.example"), invitation.OK)
		env.waitForPositions()
		found, err := env.db.Lifecycle().ListFeed(t.Context(), uuid.Nil, lifecycle.Query{Limit: 10})
		require.NoError(t, err)
		require.Len(t, found, 2)
		require.Empty(t, env.jobs(eventsKind))
		require.Empty(t, env.deliveries())
	})
}
