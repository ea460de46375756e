package api

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/fault"
	"invited/internal/invitation"
)

// A cursor that is read is the only text of its position, whose time every database can hold.
func FuzzParseCursor(f *testing.F) {
	f.Add(formatCursor(invitation.Position{FirstCreated: time.Date(2026, 11, 23, 9, 30, 0, 1000, time.UTC), UUID: uuid.New()}))
	for _, seed := range []string{"", cursorStart, "AQ", "////////////", formatCursor(invitation.Position{})} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseCursor(text)
		if err != nil {
			require.True(t, fault.Is(err, fault.KindInvalid))
			require.Zero(t, found)
			return
		}
		require.NotEqual(t, cursorStart, text) // the text of no position
		require.Equal(t, text, formatCursor(found))
		require.Equal(t, found.FirstCreated, found.FirstCreated.Truncate(time.Microsecond))
		require.GreaterOrEqual(t, found.FirstCreated.Year(), 1)
		require.LessOrEqual(t, found.FirstCreated.Year(), 9999)
	})
}

// A list has a tag where the tag stands in it by itself, and any list is read.
func FuzzHasTag(f *testing.F) {
	const tag = `"u4BLfNz1G7kQ0sDqYxM9cVtR"`
	for _, seed := range []string{"", "*", tag, `W/"a", ` + tag, `"a,` + tag, `"a"` + tag, "W/", `"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if hasTag(list, tag) {
			require.True(t, strings.Contains(list, tag) || strings.Trim(list, " \t") == "*")
		}
		require.True(t, hasTag(tag+", "+list, tag))
	})
}
