package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
)

const eventSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func sendEvent(t *testing.T, url string, at time.Time) *delivery.Failure {
	t.Helper()
	err := newClient(t, Config{URL: url, Secret: eventSecret}).SendEvent(t.Context(), "an-invitation_event_7", at,
		Event{Type: "invitation.created", Timestamp: Time(at), Data: EventData{ID: 7, Email: "a@<b>.example"}})
	var f *delivery.Failure
	if !errors.As(err, &f) {
		require.NoError(t, err)
	}
	return f
}

// No response makes an event's failure final, and none tells more than its status.
func TestSendEventClassifiesResponses(t *testing.T) {
	t.Parallel()
	const settings = "; the operator has to check the webhook settings."
	for code, want := range map[int]delivery.Failure{
		302: {Reason: "The webhook redirects elsewhere (302), which is not followed" + settings, Operator: true},
		400: {Reason: "The webhook refused the event (400)."},
		401: {Reason: "The webhook refused the login (401)" + settings, Operator: true, Blocked: true},
		404: {Reason: "The webhook refused the event (404)."},
		410: {Reason: "The webhook takes no events any more (410)" + settings, Operator: true, Blocked: true},
		422: {Reason: "The webhook refused the event (422)."},
		429: {Reason: "The webhook asked to try again later (429).", Throttled: true},
		500: {Reason: "The webhook asked to try again later (500)."},
		502: {Reason: "The webhook asked to try again later (502).", Throttled: true},
		503: {Reason: "The webhook asked to try again later (503)."},
		504: {Reason: "The webhook asked to try again later (504).", Throttled: true},
	} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			elsewhere := newServer(t, respondStatus(http.StatusOK))
			server := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
				w.Header().Set("Location", elsewhere.URL)
				respondStatus(code)(w, r, n)
			})
			f := sendEvent(t, server.hookURL(), time.Now())
			require.Equal(t, &want, f)
			require.NotContains(t, f.Error(), responseText)
			require.Len(t, server.received(), 1)
			require.Empty(t, elsewhere.received())
		})
	}
	server := newServer(t, respondStatus(http.StatusNoContent))
	require.Nil(t, sendEvent(t, server.hookURL(), time.Now()))
}

// Each attempt has the same id and body, and is signed with its own time.
func TestSendEventSigns(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(eventSecret)
	require.NoError(t, err)
	server := newServer(t, respondStatus(http.StatusOK))
	for _, at := range []time.Time{time.Now().Add(-time.Minute), time.Now()} {
		require.Nil(t, sendEvent(t, server.hookURL(), at))
		all := server.received()
		last := all[len(all)-1]
		require.NoError(t, verifier.Verify(last.body, last.header))
		require.Equal(t, "an-invitation_event_7", last.header.Get("webhook-id"))
		require.Equal(t, strconv.FormatInt(at.Unix(), 10), last.header.Get("webhook-timestamp"))
	}
	one := server.first(t)
	require.Error(t, verifier.Verify(append(one.body, ' '), one.header))
}

func TestSendEventReadsRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "90": 90 * time.Second, "0": 0, "-1": 0, "x": 0, "1e9": 0, "99999999": 24 * time.Hour, "99999999999999999999": 0,
		"Mon, 23 Nov 2026 09:30:00 GMT": 0,
	} {
		server := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
			w.Header().Set("Retry-After", value)
			respondStatus(http.StatusServiceUnavailable)(w, r, n)
		})
		require.Equal(t, want, sendEvent(t, server.hookURL(), time.Now()).RetryAfter, value)
	}
}

// Of a response without end no more is read than of any other.
func TestSendEventLimitsTheResponse(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	server := newServer(t, endless(http.StatusInternalServerError, &written))
	require.Equal(t, "The webhook asked to try again later (500).", sendEvent(t, server.hookURL(), time.Now()).Reason)
	require.Less(t, written.Load(), int64(8<<20))
}

// SendEvent posts the example of docs/events.md, and the signature in the example is right.
func TestExampleOfTheDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(page), "```http\nPOST ")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "\n```")
	head, body, _ := strings.Cut(example, "\n\n")
	header := http.Header{}
	for _, line := range strings.Split(head, "\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header.Set(name, value)
	}
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, []byte(body)))

	created := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	event := Event{Type: "invitation.created", Timestamp: Time(created), Data: EventData{
		ID: 42, Type: "invitation.created", Created: Time(created), EventType: "created", ToState: "pending", ExecutionState: "Scheduled",
		InvitationUUID: "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", ScopeUUID: "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a02",
		CustomerUUID: "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a01", UserUUID: "9b2e6d10-4c7f-4f5a-8d33-1e0a7c5b6f02", UserUsername: "olivia",
		UserFullName: "Olivia Owner", Email: "alice@example.com", RoleUUID: "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e04",
		RoleName: "PROJECT.ADMIN", RequestID: "4f9d1c2b7a6e4d0f8b3a5c1e9d7f2a60",
	}}
	sent, err := json.Marshal(event)
	require.NoError(t, err)
	require.Equal(t, string(sent), compact.String())

	_, secret, _ := strings.Cut(string(page), "signed with `")
	secret, _, _ = strings.Cut(secret, "`")
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	at, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	require.NoError(t, err)
	require.Equal(t, created.Add(2*time.Second).Unix(), at)
	signature, err := verifier.Sign(header.Get("webhook-id"), time.Unix(at, 0), compact.Bytes())
	require.NoError(t, err)
	require.Equal(t, signature, header.Get("webhook-signature"))
}
