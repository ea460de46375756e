package tracing

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// settings are the variables of OpenTelemetry that are set, by name.
type settings map[string]string

const prefix = "OTEL_"

func readSettings(environ []string) settings {
	s := settings{}
	for _, variable := range environ {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, prefix) && strings.TrimSpace(value) != "" {
			s[name] = strings.TrimSpace(value)
		}
	}
	return s
}

// of returns the value of a variable for traces, or else that for everything that is sent.
func (s settings) of(name string) (variable, value string) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if s[variable] != "" {
			return variable, s[variable]
		}
	}
	return "OTEL_EXPORTER_OTLP_" + name, ""
}

// isOn reports whether traces are on: an exporter or an endpoint is named. OpenTelemetry's own default is an endpoint on this
// machine; a server that nobody asked for traces sends none.
func (s settings) isOn() bool {
	_, endpoint := s.of("ENDPOINT")
	exporter := s["OTEL_TRACES_EXPORTER"]
	return !strings.EqualFold(s["OTEL_SDK_DISABLED"], "true") && exporter != "none" && (exporter != "" || endpoint != "")
}

func (s settings) protocol() string {
	if _, protocol := s.of("PROTOCOL"); protocol != "" {
		return protocol
	}
	return "http/protobuf"
}

// samplers are the values of OTEL_TRACES_SAMPLER that OpenTelemetry's library knows.
var samplers = []string{
	"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
}

// check returns an error with one line for each variable that the library would ignore or misread.
func (s settings) check() error {
	var problems []error
	bad := func(variable, format string, args ...any) {
		problems = append(problems, fmt.Errorf(variable+": "+format, args...))
	}
	if exporter := s["OTEL_TRACES_EXPORTER"]; exporter != "" && exporter != "otlp" {
		bad("OTEL_TRACES_EXPORTER", "%q is not otlp or none", exporter)
	}
	if variable, _ := s.of("PROTOCOL"); !slices.Contains([]string{"grpc", "http/protobuf"}, s.protocol()) {
		bad(variable, "%q is not http/protobuf or grpc", s.protocol())
	}
	if variable, endpoint := s.of("ENDPOINT"); endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			bad(variable, "is not a URL such as http://127.0.0.1:4318; a password belongs into OTEL_EXPORTER_OTLP_HEADERS")
		}
	}
	if variable, headers := s.of("HEADERS"); headers != "" {
		for header := range strings.SplitSeq(headers, ",") {
			name, _, found := strings.Cut(header, "=")
			if _, err := url.PathUnescape(header); !found || strings.TrimSpace(name) == "" || err != nil {
				bad(variable, "is not a list such as name=value,name=value, with special characters percent-encoded")
				break
			}
		}
	}
	sampler := strings.ToLower(s["OTEL_TRACES_SAMPLER"])
	if sampler != "" && !slices.Contains(samplers, sampler) {
		bad("OTEL_TRACES_SAMPLER", "%q is not %s", sampler, strings.Join(samplers, ", "))
	}
	if share := s["OTEL_TRACES_SAMPLER_ARG"]; share != "" && strings.HasSuffix(sampler, "traceidratio") {
		if parsed, err := strconv.ParseFloat(share, 64); err != nil || !(parsed >= 0 && parsed <= 1) {
			bad("OTEL_TRACES_SAMPLER_ARG", "%q is not a number from 0 to 1", share)
		}
	}
	return errors.Join(problems...)
}

// A Setting is a variable of OpenTelemetry that is set.
type Setting struct{ Name, Value string }

// Settings returns the variables of OpenTelemetry in an environment by name, with "[redacted]" in place of what may be a secret.
// The error is that of Open.
func Settings(environ []string) (all []Setting, err error) {
	s := readSettings(environ)
	if s.isOn() {
		if err := s.check(); err != nil {
			return nil, err
		}
	}
	for name, value := range s {
		if strings.HasSuffix(name, "_HEADERS") {
			value = "[redacted]"
		}
		all = append(all, Setting{name, value})
	}
	slices.SortFunc(all, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
