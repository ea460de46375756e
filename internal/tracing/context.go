package tracing

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceContext reads and writes the headers of W3C Trace Context. Baggage is not passed on: it may be anything, from anybody.
var traceContext propagation.TraceContext

// maxTraceState is the length of the longest tracestate that is passed on, in bytes: what W3C Trace Context asks for at least.
const maxTraceState = 512

// extract returns ctx with the trace that a carrier names, where it names one.
func extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	ctx = traceContext.Extract(ctx, carrier)
	if found := trace.SpanContextFromContext(ctx); len(found.TraceState().String()) > maxTraceState {
		ctx = trace.ContextWithRemoteSpanContext(ctx, found.WithTraceState(trace.TraceState{}))
	}
	return ctx
}

// methods are the methods of HTTP by which spans are named: a client can send any other.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// Handler returns a handler that begins a span for each request, in the trace that the request's traceparent names, except for
// the probes of a load balancer. The span has no path: paths hold the secrets of links.
func (t *Tracer) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		method := r.Method
		if !slices.Contains(methods, method) {
			method = "_OTHER"
		}
		ctx, span := t.tracer.Start(extract(r.Context(), propagation.HeaderCarrier(r.Header)), method,
			trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", method)))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Answered names the span of a request whose response is written. operation is "" where there is no such path.
func Answered(ctx context.Context, operation, requestID string, status int) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if operation != "" {
		span.SetName(operation)
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.String("invited.request_id", requestID))
	if status >= http.StatusInternalServerError {
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
}

// Inject adds the trace of ctx to the header of a request to another server, where ctx has one.
func Inject(ctx context.Context, header http.Header) {
	traceContext.Inject(ctx, propagation.HeaderCarrier(header))
}

// Metadata returns a JSON object that takes the trace of ctx to the process that does a job; nil where ctx has none.
func Metadata(ctx context.Context) []byte {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	carrier := propagation.MapCarrier{}
	traceContext.Inject(ctx, carrier)
	encoded, err := json.Marshal(carrier)
	if err != nil { // a map of texts always encodes
		return nil
	}
	return encoded
}

// OfMetadata returns ctx with the trace that Metadata has taken to a job. Other members of the metadata are ignored.
func OfMetadata(ctx context.Context, metadata []byte) context.Context {
	var carrier struct {
		Parent string `json:"traceparent"`
		State  string `json:"tracestate"`
	}
	if json.Unmarshal(metadata, &carrier) != nil || carrier.Parent == "" {
		return ctx
	}
	return extract(ctx, propagation.MapCarrier{"traceparent": carrier.Parent, "tracestate": carrier.State})
}

// StartJob begins the span of an attempt at a job, in the trace of its metadata, or in one of its own where it has none. attempt
// is 1 for the first.
func (t *Tracer) StartJob(ctx context.Context, kind, queue string, attempt int, metadata []byte) (context.Context, Span) {
	ctx = OfMetadata(ctx, metadata)
	if t == nil {
		return ctx, Span{trace.SpanFromContext(context.Background())}
	}
	ctx, span := t.tracer.Start(ctx, "job "+kind, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("messaging.system", "river"), attribute.String("messaging.destination.name", queue),
		attribute.String("messaging.operation.type", "process"), attribute.Int("invited.job.attempt", attempt)))
	return ctx, Span{span}
}

// LogHandler returns a handler that adds the id of the trace of its context to each record, as trace_id.
func (t *Tracer) LogHandler(next slog.Handler) slog.Handler {
	if t == nil {
		return next
	}
	return logHandler{next}
}

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if found := trace.SpanContextFromContext(ctx); found.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", found.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
