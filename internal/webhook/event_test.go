package webhook

import (
	"errors"
	"net/http"
	"strconv"
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
	err := newClient(t, Config{URL: url, Secret: eventSecret}).SendEvent(t.Context(), "an-invitation.event.7", at,
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
		require.Equal(t, "an-invitation.event.7", last.header.Get("webhook-id"))
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
