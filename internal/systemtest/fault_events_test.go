package systemtest

import (
	"encoding/json"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// takenEvents returns the types of the events that the webhook took, in their order, each once, and how many requests
// it took.
func takenEvents(t testing.TB, hook *harness.WebhookRecorder) (types []string, requests int) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(harness.WebhookSecret)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, each := range hook.Requests() {
		require.NoError(t, verifier.Verify([]byte(each.Body), each.Header))
		var payload struct{ Type string }
		require.NoError(t, json.Unmarshal([]byte(each.Body), &payload))
		if requests++; !seen[each.ID] {
			types = append(types, payload.Type)
		}
		seen[each.ID] = true
	}
	return types, requests
}

// The process is killed after the webhook has taken an event and before that is saved. Another process sends the event
// again, with the same webhook-id, and then those behind it.
func TestFaultKilledBetweenEventAndRecord(t *testing.T) {
	onEachFault(t, "kill -9 between the yes of the webhook of events and its recording", func(f *faultCase) {
		hook := harness.NewWebhookRecorder(f.t)
		f.env.UseEventsWebhook(hook)
		p := withKiller(f.env, "arg:sent").Serve()
		_, err := p.TryDo("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("ina@university.example"))
		_ = err // the process may die before it answers
		p.WaitUntil("it dies", p.HasExited)
		types, requests := takenEvents(f.t, hook)
		require.Equal(f.t, []string{"invitation.created"}, types)
		require.Equal(f.t, 1, requests)
		f.markHealed()
		p = f.env.Serve()
		f.waitUntil(rescueLimit, "the other event arrives", func() bool { types, _ = takenEvents(f.t, hook); return len(types) == 2 })
		require.Equal(f.t, []string{"invitation.created", "invitation.sent"}, types)
		_, requests = takenEvents(f.t, hook)
		require.Equal(f.t, 3, requests, "one of them twice")

		// The webhook has what the feed has.
		sent := p.Do("GET", "/api/events/?page_size=300", "sam", "").Is(200)
		var feed []map[string]any
		require.NoError(f.t, json.Unmarshal([]byte(sent.Body), &feed))
		require.Len(f.t, feed, 2)
		requested := hook.Requests()
		for i, each := range []harness.WebhookRequest{requested[0], requested[2]} {
			var payload struct {
				Type, Timestamp string
				Data            map[string]any
			}
			require.NoError(f.t, json.Unmarshal([]byte(each.Body), &payload))
			require.Equal(f.t, feed[i], payload.Data)
			require.Equal(f.t, []any{feed[i]["type"], feed[i]["created"]}, []any{payload.Type, payload.Timestamp})
		}

		// The operator has both sent again.
		require.Equal(f.t, "2 events of 1 invitation would be sent again\n",
			f.env.Run("", "events", "redeliver", "--since", "1h", "--dry-run").OK())
		require.Equal(f.t, "2 events of 1 invitation will be sent again by a server with workers and INVITED_EVENTS_WEBHOOK_URL\n",
			f.env.Run("", "events", "redeliver", "--since", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)).OK())
		f.waitUntil(quickLimit, "both arrive again", func() bool { _, requests = takenEvents(f.t, hook); return requests == 5 })
		again := hook.Requests()[3:]
		require.Equal(f.t, []string{requested[0].ID, requested[2].ID}, []string{again[0].ID, again[1].ID})
		status, checks := p.Readiness()
		require.Equal(f.t, []string{"ok", "ok"}, []string{status, checks["events_webhook"]})
		f.assertNotLeaked(p, harness.WebhookAnswer)
		p.Stop()
	})
}
