package api

import (
	"slices"
	"time"

	"invited/internal/directory"
)

// optionalList returns the values of an optional list.
func optionalList[T any](values *[]T) []T {
	if values == nil {
		return nil
	}
	return *values
}

// isTrue reports whether a client gave true.
func isTrue(value *bool) bool { return value != nil && *value }

// period returns the span between two optional times, which the validator has checked.
func period(from, to *string) directory.Period {
	return directory.Period{From: optionalTime(from), To: optionalTime(to)}
}

// lastTime is the last time whose year has four digits in UTC. SQLite compares times as text.
var lastTime = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)

func optionalTime(text *string) *time.Time {
	if text == nil {
		return nil
	}
	parsed, err := time.Parse(time.RFC3339, *text)
	if err != nil {
		return nil
	}
	if parsed.After(lastTime) {
		parsed = lastTime
	}
	return &parsed
}

// wantsAny reports whether a row of a list has one of some fields: the parameter `field` names it, or names none.
func wantsAny(named []string, fields ...string) bool {
	return len(named) == 0 || slices.ContainsFunc(fields, func(field string) bool { return slices.Contains(named, field) })
}

// neverNull returns a list that JSON has as [] where it is empty.
func neverNull(values []string) []string { return append([]string{}, values...) }
