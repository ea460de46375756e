package api

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
)

// alive answers as long as the process does.
func alive(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 where the server can do its work, else 503, and names each thing that it needs. What is wrong
// with one is for the log.
func ready(check func(context.Context) map[string]error, logger *slog.Logger) echo.HandlerFunc {
	return func(c echo.Context) error {
		status, checks := http.StatusOK, map[string]string{}
		for name, err := range check(c.Request().Context()) {
			checks[name] = "ok"
			if err != nil {
				status, checks[name] = http.StatusServiceUnavailable, "failed"
				logger.WarnContext(c.Request().Context(), "not ready",
					"request_id", requestIDOf(c), "check", name, "error", err)
			}
		}
		outcome := "ok"
		if status != http.StatusOK {
			outcome = "unavailable"
		}
		return c.JSON(status, map[string]any{"status": outcome, "checks": checks})
	}
}
