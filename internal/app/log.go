package app

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"regexp"

	"invited/internal/config"
)

// newLogger returns the logger of the process.
func newLogger(c config.Config, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel, ReplaceAttr: maskUUIDs}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

var anyUUID = regexp.MustCompile(`(?i)([0-9a-f]{8})-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}`)

// anyApprovalToken matches what package token signs, wherever in a text it stands.
var anyApprovalToken = regexp.MustCompile(`v1\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}`)

// maskUUIDs leaves the first eight digits of each uuid in an attribute. Whoever has the uuid or the link of an invitation
// can accept it, and a reader of the log must not be able to. The ids of a request and of a trace admit nobody, may look like a
// uuid, and stay.
func maskUUIDs(_ []string, a slog.Attr) slog.Attr {
	mask := func(text string) string {
		return anyApprovalToken.ReplaceAllString(anyUUID.ReplaceAllString(text, "$1…"), "v1.…")
	}
	if a.Value.Kind() == slog.KindString && a.Key != "request_id" && a.Key != "trace_id" {
		a.Value = slog.StringValue(mask(a.Value.String()))
	}
	if a.Value.Kind() == slog.KindAny {
		switch value := a.Value.Any().(type) {
		case nil:
		case error:
			a.Value = slog.StringValue(mask(value.Error()))
		case fmt.Stringer:
			a.Value = slog.StringValue(mask(value.String()))
		default:
			encoded, err := json.Marshal(value)
			if err != nil {
				return slog.String(a.Key, "can't be logged: "+err.Error())
			}
			a.Value = slog.AnyValue(json.RawMessage(mask(string(encoded))))
		}
	}
	return a
}
