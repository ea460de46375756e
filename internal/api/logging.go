package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"invited/internal/invitation"
)

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID gives every request an id, in its response too: the client's or the gateway's where it sent a
// harmless one, else a random one.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !requestIDForm.MatchString(id) {
			id = uuid.NewString()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		c.SetRequest(c.Request().WithContext(invitation.WithRequestID(c.Request().Context(), id)))
		return next(c)
	}
}

// maxLogged is how much of what a client sent is logged or said back, in bytes.
const maxLogged = 200

// decision finds the token in a link of a mail to staff. Where nobody set INVITED_FRONTEND_URL such links lead here,
// and whoever reads the log must not be able to decide.
var decision = regexp.MustCompile(`(/invitation_(?:approve|reject)/).+`)

// loggedPath is the path of a request as it is logged.
func loggedPath(c echo.Context) string {
	return decision.ReplaceAllString(cut(c.Request().URL.Path), "$1…")
}

// cut is the beginning of a text that may be long.
func cut(text string) string {
	if len(text) > maxLogged {
		return strings.ToValidUTF8(text[:maxLogged], "") + "…"
	}
	return text
}

func requestIDOf(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// access logs each request once, when it is answered. Queries are left out: filters hold people's addresses.
func access(logger *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			if err := next(c); err != nil {
				c.Error(err) // written now, so that its status is logged
			}
			level := slog.LevelInfo
			switch {
			case c.Response().Status >= http.StatusInternalServerError && c.Request().Context().Err() == nil:
				level = slog.LevelError
			case c.Path() == "/healthz" || c.Path() == "/readyz":
				level = slog.LevelDebug
			}
			attributes := []slog.Attr{
				slog.String("request_id", requestIDOf(c)),
				slog.String("method", c.Request().Method),
				slog.String("path", loggedPath(c)),
				slog.Int("status", c.Response().Status),
				slog.Duration("took", time.Since(start)),
				slog.Int64("bytes", c.Response().Size),
				slog.String("client", c.RealIP()),
			}
			if who := callerOf(c.Request().Context()); who != nil && who.Confirmed() {
				attributes = append(attributes, slog.String("user", who.User.Username))
			}
			logger.LogAttrs(c.Request().Context(), level, "request", attributes...)
			return nil
		}
	}
}

// recovered makes an error of a panic, for the log with its stack, so that one request takes down only itself.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
					panic(p)
				}
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}
