package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogFilter(t *testing.T) {
	t.Parallel()
	for cause, level := range map[error]string{
		errors.New("no such table: river_job"):                         "ERROR",
		errors.New("error cleaning jobs: sqlite3: database is locked"): "WARN",
		fmt.Errorf("error cleaning jobs: %w", context.Canceled):        "",
	} {
		var out bytes.Buffer
		slog.New(logFilter{slog.NewTextHandler(&out, nil)}).Error("maintenance", "error", cause)
		if level == "" {
			require.Empty(t, out.String())
		} else {
			require.Contains(t, out.String(), "level="+level)
		}
	}
	var out bytes.Buffer
	slog.New(logFilter{slog.NewTextHandler(&out, nil)}).Info("leader elected")
	require.Empty(t, out.String())
}
