// Package tracing sends traces by OpenTelemetry's protocol (OTLP): how long a request took, and each part of it, across
// processes. It owns which variables turn traces on, and how the context of a trace passes in headers and in jobs. Whoever has a
// part to show starts a span; what the part does is none of this package's business.
//
// A span has no address, no name of a person, no text of an error and no value of a statement. The log has the text of an error,
// with the id of the trace.
package tracing
