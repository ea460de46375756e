package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// A Span is a part of a trace that is going on.
type Span struct{ span trace.Span }

// Start begins a part of the trace of ctx. Without a trace it costs nothing. attributes are names and values in turns. The names
// of spans and attributes are those of OpenTelemetry's conventions where they have one.
func Start(ctx context.Context, name string, attributes ...string) (context.Context, Span) {
	return start(ctx, trace.SpanKindInternal, name, attributes)
}

// Call is Start for a part in which this process asks another one for something.
func Call(ctx context.Context, name string, attributes ...string) (context.Context, Span) {
	return start(ctx, trace.SpanKindClient, name, attributes)
}

func start(ctx context.Context, kind trace.SpanKind, name string, attributes []string) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{parent}
	}
	// The parent's provider, and not one of the process: traces are on where somebody began one.
	ctx, span := tracerOf(parent).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(pairs(attributes)...))
	return ctx, Span{span}
}

func tracerOf(parent trace.Span) trace.Tracer { return parent.TracerProvider().Tracer("invited") }

// Set adds attributes.
func (s Span) Set(attributes ...string) {
	if s.span.IsRecording() {
		s.span.SetAttributes(pairs(attributes)...)
	}
}

// End ends the span. failure says in a word in which way the part failed; "": it did not.
func (s Span) End(failure string) {
	if !s.span.IsRecording() {
		return
	}
	setFailure(s.span, failure)
	s.span.End()
}

// Record adds a part that is over, in which this process asked another one, to the trace of ctx. Without a trace, and where
// nobody reads the trace, it costs nothing.
func Record(ctx context.Context, name string, began time.Time, took time.Duration, failure string, attributes ...string) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return
	}
	_, span := tracerOf(parent).Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(began),
		trace.WithAttributes(pairs(attributes)...))
	setFailure(span, failure)
	span.End(trace.WithTimestamp(began.Add(took)))
}

// IsRecording reports whether the trace of ctx is one that somebody reads.
func IsRecording(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

func setFailure(span trace.Span, failure string) {
	if failure != "" {
		span.SetAttributes(attribute.String("error.type", failure))
		span.SetStatus(codes.Error, "")
	}
}

// pairs returns attributes of names and values in turns, without those whose value is empty.
func pairs(texts []string) []attribute.KeyValue {
	found := make([]attribute.KeyValue, 0, len(texts)/2)
	for i := 0; i+1 < len(texts); i += 2 {
		if texts[i+1] != "" {
			found = append(found, attribute.String(texts[i], texts[i+1]))
		}
	}
	return found
}
