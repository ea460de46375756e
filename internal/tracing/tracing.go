package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// closeTimeout bounds the sending of the last spans while the process ends.
	closeTimeout = 5 * time.Second
	// A collector that restarts is asked again for retryFor, after firstRetry and then at most lastRetry.
	firstRetry = time.Second
	lastRetry  = 3 * time.Second
	retryFor   = 10 * time.Second
)

// A Tracer begins traces and sends them. A nil Tracer does nothing: traces are off. Any number of goroutines may use a Tracer at
// the same time.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Open returns a Tracer for what the variables of environ say, which has to be the environment of this process: OpenTelemetry's
// library reads some of them itself. It returns nil where they turn traces off. version is that of the program. Open does not
// connect. An error has one line for each bad variable, and no value that may be a secret.
func Open(ctx context.Context, environ []string, version string, logger *slog.Logger) (*Tracer, error) {
	s := readSettings(environ)
	if !s.isOn() {
		return nil, nil
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	// The library's own log repeats the values of variables that it can't read.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(&errorHandler{logger: logger})
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "invited"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptrace.New(ctx, s.client())
	if err != nil {
		return nil, fmt.Errorf("traces can't be sent: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithResource(described), sdk.WithBatcher(&reporting{SpanExporter: exporter, logger: logger}))
	return &Tracer{provider: provider, tracer: provider.Tracer("invited")}, nil
}

// client returns the client of the protocol that the settings name.
func (s settings) client() otlptrace.Client {
	if s.protocol() == "grpc" {
		return otlptracegrpc.NewClient(otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: lastRetry, MaxElapsedTime: retryFor,
		}))
	}
	return otlptracehttp.NewClient(otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: firstRetry, MaxInterval: lastRetry, MaxElapsedTime: retryFor,
	}))
}

// Close sends the spans that have ended, within closeTimeout, and ends the Tracer. What can't be sent is logged.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(fmt.Errorf("the last traces were not sent: %w", err))
	}
}

// reporting is an exporter that logs when spans stop to arrive, and when they arrive again.
type reporting struct {
	sdk.SpanExporter
	logger *slog.Logger
	failed atomic.Bool
}

// ExportSpans returns no error of the exporter: the library would log each.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	switch failedBefore := r.failed.Swap(err != nil); {
	case err != nil && !failedBefore:
		r.logger.WarnContext(ctx, "traces don't reach the collector and are dropped; everything else goes on", "error", err)
	case err == nil && failedBefore:
		r.logger.InfoContext(ctx, "traces reach the collector again")
	}
	return nil
}

// errorHandler logs the first error of OpenTelemetry's library as a warning, and the others for who looks for them.
type errorHandler struct {
	logger *slog.Logger
	warned atomic.Bool
}

// Handle implements otel.ErrorHandler.
func (h *errorHandler) Handle(err error) {
	level := slog.LevelDebug
	if !h.warned.Swap(true) {
		level = slog.LevelWarn
	}
	h.logger.Log(context.Background(), level, "traces are incomplete", "error", err)
}
