package app_test

import (
	"context"
	"encoding/hex"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// span is a span as the collector received it.
type span struct {
	*tracepb.Span
	resource map[string]string
}

func (s span) trace() string  { return hex.EncodeToString(s.TraceId) }
func (s span) id() string     { return hex.EncodeToString(s.SpanId) }
func (s span) parent() string { return hex.EncodeToString(s.ParentSpanId) }

func (s span) attributes() map[string]string {
	found := map[string]string{}
	for _, each := range s.Attributes {
		found[each.Key] = each.Value.GetStringValue()
		if n := each.Value.GetIntValue(); n != 0 {
			found[each.Key] = strconv.FormatInt(n, 10)
		}
	}
	return found
}

// traceCollector receives traces by OTLP, over HTTP and over gRPC.
type traceCollector struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []span
	auth  []string // the header authorization of each request
}

// Export implements collector.TraceServiceServer.
func (c *traceCollector) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		attributes := map[string]string{}
		for _, each := range resource.Resource.Attributes {
			attributes[each.Key] = each.Value.GetStringValue()
		}
		for _, scope := range resource.ScopeSpans {
			for _, each := range scope.Spans {
				c.spans = append(c.spans, span{each, attributes})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP is Export over HTTP.
func (c *traceCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "no OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.auth = append(c.auth, r.Header.Get("Authorization"))
	c.mu.Unlock()
	response, _ := c.Export(r.Context(), &request)
	encoded, _ := proto.Marshal(response)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(encoded)
}

// of returns the spans of a trace so far.
func (c *traceCollector) of(trace string) (found []span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, each := range c.spans {
		if each.trace() == trace {
			found = append(found, each)
		}
	}
	return found
}

// has reports whether a trace has spans of all these names.
func (c *traceCollector) has(trace string, names ...string) func() bool {
	return func() bool {
		found := map[string]bool{}
		for _, each := range c.of(trace) {
			found[each.Name] = true
		}
		return !slices.ContainsFunc(names, func(name string) bool { return !found[name] })
	}
}

// named returns the one span of a name with a parent.
func named(t *testing.T, spans []span, name, parent string) span {
	t.Helper()
	var found []span
	for _, each := range spans {
		if each.Name == name && each.parent() == parent {
			found = append(found, each)
		}
	}
	require.Len(t, found, 1, "spans %s of %s", name, parent)
	return found[0]
}

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
	traceparent  = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// sendSoon makes a server send its spans soon after they end.
const sendSoon = "OTEL_BSP_SCHEDULE_DELAY=20"

func TestTraces(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		received := &traceCollector{}
		server := httptest.NewServer(received)
		t.Cleanup(server.Close)
		smtp := harness.NewSMTPRecorder(t)
		env := setup(t, e.Fresh(t)).Apply().Set("INVITED_SMTP_URL="+smtp.URL, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL,
			"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20of-the-collector", sendSoon, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
		p := env.Serve()
		created := p.Do("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("traced@university.example"),
			"Traceparent", traceparent, "X-Request-ID", "request-of-the-trace").Is(201).Invitation()
		p.WaitDelivered(created.UUID)
		p.WaitUntil("the job's spans arrive", received.has(callersTrace,
			"user_invitations_create", "INSERT invitations", "job deliver_invitation", "SMTP", "SMTP connect", "SMTP transaction"))
		spans := received.of(callersTrace)

		request := named(t, spans, "user_invitations_create", callersSpan)
		assert.Equal(t, tracepb.Span_SPAN_KIND_SERVER, request.Kind)
		assert.Equal(t, "request-of-the-trace", request.attributes()["invited.request_id"])
		assert.Equal(t, "POST", request.attributes()["http.request.method"])
		assert.Equal(t, "201", request.attributes()["http.response.status_code"])
		assert.Equal(t, "invited", request.resource["service.name"])
		assert.Equal(t, "test", request.resource["deployment.environment.name"])

		insert := named(t, spans, "INSERT invitations", request.id())
		assert.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, insert.Kind)
		system := map[bool]string{true: "sqlite", false: "postgresql"}[env.OnSQLite()]
		assert.Equal(t, system, insert.attributes()["db.system.name"])
		assert.Equal(t, "INSERT", insert.attributes()["db.operation.name"])
		assert.Equal(t, "invitations", insert.attributes()["db.collection.name"])
		assert.GreaterOrEqual(t, insert.StartTimeUnixNano, request.StartTimeUnixNano)
		assert.LessOrEqual(t, insert.EndTimeUnixNano, request.EndTimeUnixNano)
		named(t, spans, "INSERT river_job", request.id())
		named(t, spans, "COMMIT", request.id())

		job := named(t, spans, "job deliver_invitation", request.id())
		assert.Equal(t, tracepb.Span_SPAN_KIND_CONSUMER, job.Kind)
		assert.True(t, slices.ContainsFunc(spans, func(s span) bool { return s.Name == "UPDATE invitations" && s.parent() == job.id() }))
		mail := named(t, spans, "SMTP", job.id())
		assert.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, mail.Kind)
		assert.Equal(t, "127.0.0.1", mail.attributes()["server.address"])
		named(t, spans, "SMTP connect", mail.id())
		named(t, spans, "SMTP transaction", mail.id())

		p.Do("GET", "/sign-in/", "", "", "Traceparent", "00-11112222333344445555666677778888-"+callersSpan+"-01").Is(200)
		p.Do("GET", "/healthz", "", "", "Traceparent", "00-99992222333344445555666677778888-"+callersSpan+"-01").Is(200)
		p.Do("GET", "/invitation/"+created.UUID+"/", "", "").Is(200)
		p.Stop() // sends what is left
		assert.True(t, received.has("11112222333344445555666677778888", "GET /sign-in/")())
		assert.Empty(t, received.of("99992222333344445555666677778888"), "a probe")
		log := p.Stderr.String()
		assert.Regexp(t, `msg=request request_id=request-of-the-trace .*trace_id=`+callersTrace, log)

		received.mu.Lock()
		defer received.mu.Unlock()
		assert.Equal(t, []string{"Bearer of-the-collector"}, slices.Compact(received.auth))
		for _, each := range received.spans {
			text := prototext.Format(each.Span)
			for _, private := range []string{"traced@", "university.example", created.UUID, "olivia", "Apollo"} {
				assert.NotContains(t, text, private)
			}
		}
	})
}

// Statements that fail are named by the engine's code, and requests that fail by their status.
func TestTraceOfAFailure(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		received := &traceCollector{}
		server := httptest.NewServer(received)
		t.Cleanup(server.Close)
		env := setup(t, e.Fresh(t)).Apply().Set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+server.URL+"/v1/traces", sendSoon, "INVITED_WORKERS=false")
		p := env.Serve()
		_, err := env.DB().ExecContext(t.Context(), "ALTER TABLE river_job RENAME TO no_river_job")
		require.NoError(t, err)
		p.Do("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("failed@university.example"), "Traceparent", traceparent).Is(500)
		p.Stop()
		spans := received.of(callersTrace)
		request := named(t, spans, "user_invitations_create", callersSpan)
		assert.Equal(t, tracepb.Status_STATUS_CODE_ERROR, request.Status.Code)
		assert.Equal(t, "500", request.attributes()["error.type"])
		failed := named(t, spans, "INSERT river_job", request.id())
		assert.Equal(t, tracepb.Status_STATUS_CODE_ERROR, failed.Status.Code)
		if !env.OnSQLite() {
			assert.Equal(t, "42P01", failed.attributes()["error.type"])
		}
		named(t, spans, "ROLLBACK", request.id())
	})
}

// The trace goes on to the webhooks, and arrives over gRPC too.
func TestTracesReachWebhooks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		received := &traceCollector{}
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		server := grpc.NewServer()
		collector.RegisterTraceServiceServer(server, received)
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		hook, events := harness.NewWebhookRecorder(t), harness.NewWebhookRecorder(t)
		p := setup(t, e.Fresh(t)).Apply().UseWebhook(hook).UseEventsWebhook(events).Set(
			"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+listener.Addr().String(), sendSoon).Serve()
		p.Do("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("hooked@university.example"), "Traceparent", traceparent,
			"X-Request-ID", "request-of-the-event").Is(201)
		p.WaitUntil("the webhooks are called", func() bool { return len(hook.Requests()) > 0 && len(events.Requests()) > 0 })
		p.Stop()

		post := hook.Requests()[0].Header.Get("Traceparent")
		sent := named(t, received.of(callersTrace), "POST", named(t, received.of(callersTrace), "job deliver_invitation",
			named(t, received.of(callersTrace), "user_invitations_create", callersSpan).id()).id())
		assert.Equal(t, "00-"+callersTrace+"-"+sent.id()+"-01", post)

		// A job of events is of several requests, and has a trace of its own.
		parts := strings.Split(events.Requests()[0].Header.Get("Traceparent"), "-")
		require.Len(t, parts, 4)
		assert.NotEqual(t, callersTrace, parts[1])
		assert.True(t, received.has(parts[1], "job deliver_events", "send event", "POST")())
		for _, each := range received.of(parts[1]) {
			if each.Name == "send event" {
				assert.Equal(t, "request-of-the-event", each.attributes()["invited.request_id"])
				break
			}
		}
	})
}

// Without a collector the server works, and says once what is missing.
func TestTracesWithoutCollector(t *testing.T) {
	t.Parallel()
	address := harness.FreeAddress(t)
	p := setup(t, storetest.Engines[0].Fresh(t)).Apply().Set(
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+address, sendSoon, "OTEL_BSP_EXPORT_TIMEOUT=100").Serve()
	const warning = "traces don't reach the collector"
	p.WaitDelivered(p.Create("first@university.example").UUID)
	p.WaitLog(warning)
	p.WaitDelivered(p.Create("second@university.example").UUID)

	received := &traceCollector{}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	server := &http.Server{Handler: received, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	p.Create("third@university.example")
	p.WaitLog("traces reach the collector again")
	assert.Equal(t, 1, strings.Count(p.Stderr.String(), warning))
	p.Stop()
}

// Nothing is traced unless somebody asks for it.
func TestTracesAreOff(t *testing.T) {
	t.Parallel()
	for name, variables := range map[string][]string{
		"nothing is set": nil,
		"none":           {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
		"disabled":       {"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hook := harness.NewWebhookRecorder(t)
			env := setup(t, storetest.Engines[0].Fresh(t)).Apply().UseWebhook(hook).Set(variables...)
			p := env.Serve()
			p.Do("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("off@university.example"), "Traceparent", traceparent).Is(201)
			p.WaitUntil("the webhook is called", func() bool { return len(hook.Requests()) > 0 })
			assert.Empty(t, hook.Requests()[0].Header.Get("Traceparent"))
			p.Stop()
			assert.NotContains(t, p.Stderr.String(), "trace")
			var count int
			require.NoError(t, env.DB().QueryRowContext(t.Context(),
				"SELECT count(*) FROM river_job WHERE kind = 'deliver_invitation' AND CAST(metadata AS text) LIKE '%traceparent%'").Scan(&count))
			assert.Zero(t, count)
		})
	}
}

func TestBadVariablesOfTraces(t *testing.T) {
	t.Parallel()
	env := setup(t, "").Set("OTEL_TRACES_EXPORTER=otlp")
	for variable, words := range map[string]string{
		"OTEL_TRACES_EXPORTER=zipkin":                             `"zipkin" is not otlp or none`,
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/json":                   `"http/json" is not http/protobuf or grpc`,
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318":              "http://127.0.0.1:4318",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://a:secret@host": "OTEL_EXPORTER_OTLP_HEADERS",
		"OTEL_EXPORTER_OTLP_HEADERS=secret":                       "name=value",
		"OTEL_TRACES_SAMPLER=some":                                `"some" is not always_on`,
	} {
		result := env.With(variable).Run("", "serve")
		result.Fails(strings.Split(variable, "=")[0], words)
		assert.NotContains(t, result.Stderr, "secret")
		env.With(variable).Run("", "config").Fails(words)
	}
	env.With("OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2").Run("", "serve").Fails("OTEL_TRACES_SAMPLER_ARG", "from 0 to 1")

	shown := env.With("OTEL_EXPORTER_OTLP_HEADERS=authorization=secret", "OTEL_SERVICE_NAME=doors").Run("", "config").OK()
	lines := map[string]string{}
	for line := range strings.Lines(shown) {
		if fields := strings.Fields(line); len(fields) == 3 {
			lines[fields[0]] = fields[1]
		}
	}
	maps.DeleteFunc(lines, func(name, _ string) bool { return !strings.HasPrefix(name, "OTEL_") })
	assert.Equal(t, map[string]string{
		"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SERVICE_NAME": "doors", "OTEL_EXPORTER_OTLP_HEADERS": "[redacted]",
	}, lines)
}
