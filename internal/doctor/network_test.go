package doctor_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/doctor"
	"invited/internal/systemtest/harness"
)

func levels(found []doctor.Finding) (all []doctor.Level) {
	for _, f := range found {
		all = append(all, f.Level)
	}
	return all
}

func TestCheckSender(t *testing.T) {
	t.Parallel()
	address := harness.DNSZone{
		TXT: map[string][]string{
			"good.example":               {"v=spf1 mx -all"},
			"_dmarc.good.example":        {"v=DMARC1; p=reject"},
			"s1._domainkey.good.example": {"v=DKIM1; p=MIIB"},
			"mail.below.example":         {"v=spf1 mx -all"},
			"_dmarc.below.example":       {"v=DMARC1; p=none; sp=quarantine"},
			"s1._domainkey.bare.example": {"v=DKIM1; p="},
		},
		MX: map[string][]string{"good.example": {"mx.good.example."}, "mail.below.example": {"."}},
		A:  map[string]bool{"bare.example": true},
	}.Serve(t)
	resolver, err := doctor.NewResolver(address)
	require.NoError(t, err)
	for domain, want := range map[string][]doctor.Level{ // SPF, DKIM, DMARC, MX
		"good.example":       {doctor.OK, doctor.OK, doctor.OK, doctor.OK},
		"mail.below.example": {doctor.OK, doctor.Wrong, doctor.OK, doctor.Wrong},
		"bare.example":       {doctor.Wrong, doctor.Wrong, doctor.Wrong, doctor.Wrong},
		"unknown.example":    {doctor.Wrong},
	} {
		found := doctor.CheckSender(t.Context(), resolver, domain, "s1")
		require.Equal(t, want, levels(found), "%s: %v", domain, found)
	}
	found := doctor.CheckSender(t.Context(), resolver, "good.example", "")
	requireFinding(t, found[1], doctor.Note, "--dkim-selector")

	// Nobody answers: nothing is known, which is no fault of the domain.
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	silent, err := doctor.NewResolver(conn.LocalAddr().String())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for _, f := range doctor.CheckSender(ctx, silent, "good.example", "s1") {
		requireFinding(t, f, doctor.Note, "could not be asked for")
	}
	_, err = doctor.NewResolver("192.0.2.53")
	require.ErrorContains(t, err, "HOST:PORT")
}

func TestCheckPublicURL(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string, echo bool) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if echo {
				w.Header().Set("X-Request-ID", r.Header.Get("X-Request-ID"))
			}
			if status == http.StatusFound {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	for _, test := range []struct {
		handler http.Handler
		levels  []doctor.Level
		words   string
	}{
		{answer(200, `{"status": "ok"}`, true), []doctor.Level{doctor.OK}, "/base/healthz answers"},
		{answer(200, `{"status": "ok"}`, false), []doctor.Level{doctor.OK, doctor.Note}, "X-Request-ID"},
		{answer(302, "", true), []doctor.Level{doctor.Wrong}, "redirects elsewhere"},
		{answer(404, `{"status": "ok"}`, true), []doctor.Level{doctor.Wrong}, "answers 404"},
		{answer(200, "<html>Welcome</html>", true), []doctor.Level{doctor.Wrong}, "not as this program does"},
	} {
		server := httptest.NewServer(test.handler)
		base, err := url.Parse(server.URL + "/base/")
		require.NoError(t, err)
		found := doctor.CheckPublicURL(t.Context(), base, time.Now())
		require.Equal(t, test.levels, levels(found), "%v", found)
		require.Contains(t, found[len(found)-1].Message, test.words)
		server.Close()
		require.Equal(t, []doctor.Level{doctor.Wrong}, levels(doctor.CheckPublicURL(t.Context(), base, time.Now())))
	}
}

// The address of a webhook may hold a key. Nothing but the connection is tried.
func TestCheckEndpoint(t *testing.T) {
	t.Parallel()
	requests := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests++ }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	defer server.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	defer secure.Close()
	for address, want := range map[string]struct {
		level doctor.Level
		words string
	}{
		server.URL + "/hook?key=pa55word":      {doctor.Note, "in the clear"},
		secure.URL + "/hook?key=pa55word":      {doctor.Wrong, "no secure connection"}, // nobody trusts a test's certificate
		"http://127.0.0.1:1/hook?key=pa55word": {doctor.Wrong, "connection refused"},
		"http://pa55word@127.0.0.1:1/hook":     {doctor.Wrong, "connection refused"},
		"pa55word":                             {doctor.Wrong, "not a URL"},
	} {
		found := doctor.CheckEndpoint(t.Context(), "INVITED_EVENTS_WEBHOOK_URL", address, time.Now())
		require.Len(t, found, 1)
		requireFinding(t, found[0], want.level, want.words)
		require.NotContains(t, found[0].Message+found[0].Advice, "pa55word")
	}
	require.Zero(t, requests)
}

func TestCheckServer(t *testing.T) {
	t.Parallel()
	body := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	base, err := url.Parse(server.URL + "/")
	require.NoError(t, err)
	for _, test := range []struct {
		body, words string
		levels      []doctor.Level
	}{
		{`{"status": "ok", "checks": {"database": "ok"}}`, "is ready", []doctor.Level{doctor.OK}},
		{`{"status": "degraded", "checks": {"mail": "no login", "clock": "off"}}`, "clock: off", []doctor.Level{doctor.Wrong, doctor.Wrong}},
		{`{"status": "unavailable"}`, "it is unavailable", []doctor.Level{doctor.Wrong}},
		{`Welcome`, "Another program", []doctor.Level{doctor.Wrong}},
	} {
		body = test.body
		found := doctor.CheckServer(t.Context(), base)
		require.Equal(t, test.levels, levels(found))
		require.Contains(t, found[0].Message, test.words)
	}
	server.Close()
	requireFinding(t, doctor.CheckServer(t.Context(), base)[0], doctor.Note, "No server answers")
}

func TestRunKeepsTheOrderAndTheLimit(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	one := []doctor.Finding{{Level: doctor.OK, Message: "fine"}}
	found := doctor.Run(t.Context(), []doctor.Check{
		{Name: "stuck", Limit: time.Millisecond, Run: func(context.Context) []doctor.Finding { <-release; return nil }},
		{Name: "good", Run: func(context.Context) []doctor.Finding { return one }},
	})
	require.Len(t, found, 2)
	require.Equal(t, "stuck", found[0].Check)
	requireFinding(t, found[0], doctor.Wrong, "did not end within 1ms")
	require.Equal(t, doctor.Finding{Check: "good", Level: doctor.OK, Message: "fine"}, found[1])
}
