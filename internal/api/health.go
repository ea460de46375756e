package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
)

// alive answers as long as the process does.
func alive(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// Trouble is an error of a check that takes nothing out of service: the server answers, but the operator has something
// to mend. Its words are shown to whoever asks.
type Trouble string

func (t Trouble) Error() string { return string(t) }

// ready answers 200 where the server can do its work, else 503, and names each thing that it needs. What is wrong
// with one is for the log, but for a Trouble.
func ready(check func(context.Context) map[string]error, logger *slog.Logger) echo.HandlerFunc {
	return func(c echo.Context) error {
		status, outcome, checks := http.StatusOK, "ok", map[string]string{}
		for name, err := range check(c.Request().Context()) {
			checks[name] = "ok"
			var trouble Trouble
			switch {
			case errors.As(err, &trouble):
				checks[name] = trouble.Error()
				if status == http.StatusOK {
					outcome = "degraded"
				}
			case err != nil:
				status, outcome, checks[name] = http.StatusServiceUnavailable, "unavailable", "failed"
				logger.WarnContext(c.Request().Context(), "not ready",
					"request_id", requestIDOf(c), "check", name, "error", err)
			}
		}
		return c.JSON(status, map[string]any{"status": outcome, "checks": checks})
	}
}
