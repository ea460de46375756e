package tracing

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

func remote(t *testing.T, state string) context.Context {
	t.Helper()
	return extract(t.Context(), propagation.MapCarrier{"traceparent": "00-" + traceID + "-" + spanID + "-01", "tracestate": state})
}

// The trace of a request goes on in its job, beside whatever else the job's metadata has.
func TestMetadata(t *testing.T) {
	t.Parallel()
	require.Nil(t, Metadata(t.Context()))
	metadata := Metadata(remote(t, "vendor=value"))
	require.JSONEq(t, `{"traceparent": "00-`+traceID+`-`+spanID+`-01", "tracestate": "vendor=value"}`, string(metadata))
	found := trace.SpanContextFromContext(OfMetadata(t.Context(), []byte(strings.Replace(string(metadata), "{", `{"snoozes": 3, `, 1))))
	require.Equal(t, traceID, found.TraceID().String())
	require.Equal(t, spanID, found.SpanID().String())
	require.Equal(t, "vendor=value", found.TraceState().String())
	require.True(t, found.IsSampled())
	for _, none := range []string{"", "{}", "nonsense", `{"traceparent": 1}`, `{"traceparent": "00-0-0-01"}`} {
		require.False(t, trace.SpanContextFromContext(OfMetadata(t.Context(), []byte(none))).IsValid(), none)
	}
}

// A caller can't make the server store and pass on as much as it likes.
func TestLongTraceStateIsDropped(t *testing.T) {
	t.Parallel()
	kept := "vendor=" + strings.Repeat("v", 256)
	require.Equal(t, kept, trace.SpanContextFromContext(remote(t, kept)).TraceState().String())
	found := trace.SpanContextFromContext(remote(t, kept+",other="+strings.Repeat("v", 256)))
	require.Equal(t, traceID, found.TraceID().String())
	require.Empty(t, found.TraceState().String())
}

// Without a Tracer, nothing is begun, and the trace of somebody else is not taken for one of ours.
func TestNoTracer(t *testing.T) {
	t.Parallel()
	var none *Tracer
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.False(t, trace.SpanContextFromContext(r.Context()).IsValid())
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Traceparent", "00-"+traceID+"-"+spanID+"-01")
	none.Handler(handler).ServeHTTP(httptest.NewRecorder(), r)

	for _, ctx := range []context.Context{t.Context(), remote(t, "")} {
		same, span := Call(ctx, "nothing", "name", "value")
		require.Equal(t, ctx, same)
		span.Set("name", "value")
		span.End("failed")
	}
	_, span := none.StartJob(t.Context(), "kind", "queue", 1, nil)
	span.End("")
	none.Close()
}

// A client can't name spans.
func TestMethodsOfSpans(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
	tracer := &Tracer{provider: provider, tracer: provider.Tracer("test")}
	for _, method := range []string{"GET", "BREW-COFFEE"} {
		tracer.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/invitation/secret/", nil))
	}
	ended := recorder.Ended()
	require.Len(t, ended, 2)
	require.Equal(t, "GET", ended[0].Name())
	require.Equal(t, "_OTHER", ended[1].Name())
	require.Len(t, ended[0].Attributes(), 1, "the path is none of them")
}

// BenchmarkOff measures a part of a request where traces are off.
func BenchmarkOff(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, span := Call(b.Context(), "SMTP", "server.address", "127.0.0.1")
		span.End("")
	}
}

// BenchmarkRecord measures the span of a statement, for which the request waits.
func BenchmarkRecord(b *testing.B) {
	provider := sdk.NewTracerProvider(sdk.WithBatcher(tracetest.NewNoopExporter()))
	ctx, span := provider.Tracer("test").Start(b.Context(), "request")
	defer span.End()
	b.ReportAllocs()
	for b.Loop() {
		Record(ctx, "SELECT invitations", time.Now(), time.Millisecond, "", "db.system.name", "postgresql",
			"db.operation.name", "SELECT", "db.collection.name", "invitations", "db.client.connection.pool.name", "requests")
	}
}
