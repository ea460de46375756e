package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/config"
	"invited/internal/invitation"
)

// Whoever has an invitation's uuid can accept it: no line of the log has it, whichever way it comes in. The request's id
// stays whole.
func TestLogMasksUUIDs(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11")
	plain := strings.ReplaceAll(id.String(), "-", "")
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		logger := newLogger(config.Config{LogFormat: format}, &out)
		logger.With("with", id).WithGroup("group").Error("failed", "about", "about "+id.String(),
			"path", "/api/user-invitations/"+id.String()+"/accept/", "upper", strings.ToUpper(plain),
			"error", fmt.Errorf("deciding: %w", errors.New("row "+plain)),
			"args", invitation.Deliver{Invitation: id, Delivery: 3}, "encoded", `{"invitation":"`+id.String()+`"}`,
			slog.Group("more", "pointer", &id, "ids", []uuid.UUID{id, id}), "number", 7, "level", slog.LevelWarn, "nothing", nil)
		text := strings.ToLower(out.String())
		require.NotContains(t, text, id.String()[9:], format)
		require.NotContains(t, text, plain[8:], format)
		require.Equal(t, 10, strings.Count(text, "0f5a9f2e…"), text)
		require.Contains(t, text, "delivery")
		require.Contains(t, text, "error")

		out.Reset()
		logger.Info("request", "request_id", id.String(), "status", 200)
		require.Contains(t, out.String(), id.String())
		require.Contains(t, out.String(), "INFO")
	}
}
