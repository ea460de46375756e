package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
)

// healthz answers 200 as long as the process serves requests.
func healthz(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// Trouble is the error of a readiness check that leaves the server in service: the server answers requests, but the
// operator has something to fix. GET /readyz shows its text to everybody.
type Trouble string

func (t Trouble) Error() string { return string(t) }

// readyz answers 200 where the server can do its work, else 503, with the result of each check by name. It logs the
// error of a failed check and shows its text only where the error is a Trouble.
func readyz(check func(context.Context) map[string]error, logger *slog.Logger) echo.HandlerFunc {
	return func(c echo.Context) error {
		code, status, checks := http.StatusOK, "ok", map[string]string{}
		for name, err := range check(c.Request().Context()) {
			checks[name] = "ok"
			var trouble Trouble
			switch {
			case errors.As(err, &trouble):
				checks[name] = trouble.Error()
				if code == http.StatusOK {
					status = "degraded"
				}
			case err != nil:
				code, status, checks[name] = http.StatusServiceUnavailable, "unavailable", "failed"
				logger.WarnContext(c.Request().Context(), "not ready",
					"request_id", requestIDOf(c), "check", name, "error", err)
			}
		}
		return c.JSON(code, map[string]any{"status": status, "checks": checks})
	}
}
