package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"invited/internal/invitation"
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID sets the id of every request, in the context and in the response: the X-Request-ID of the client or the
// gateway where it has only harmless characters, else a random uuid. Echo's RequestID middleware takes any header.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !requestIDPattern.MatchString(id) {
			id = uuid.NewString()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		c.SetRequest(c.Request().WithContext(invitation.WithRequestID(c.Request().Context(), id)))
		return next(c)
	}
}

// maxLogged is the length to which a client's text is truncated in the log and in responses, in bytes.
const maxLogged = 200

// linkSecret matches the token, or the invitation, in a link of a mail. Such links lead to this server where
// INVITED_FRONTEND_URL is not set. A reader of the log must not be able to approve, reject or accept with it.
var linkSecret = regexp.MustCompile(`(/(?:invitation(?:_approve|_reject)?|user-group-invitation)/).+`)

// groupSecret matches the uuid of a group invitation, which is the secret of its link: unlike the names of operations, a random
// uuid has a digit, that of its version.
var groupSecret = regexp.MustCompile(`(/user-group-invitations/)[^/]*[0-9][^/]*`)

// loggedPath returns the path of a request for the log: truncated, and without the secret of a link.
func loggedPath(c echo.Context) string {
	return groupSecret.ReplaceAllString(linkSecret.ReplaceAllString(truncate(c.Request().URL.Path), "$1…"), "$1…")
}

// truncate returns the first maxLogged bytes of a text.
func truncate(text string) string {
	if len(text) > maxLogged {
		return strings.ToValidUTF8(text[:maxLogged], "") + "…"
	}
	return text
}

func requestIDOf(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// accessLog logs each request once, after the response, and tells observe. It leaves out the query: filters contain e-mail
// addresses.
func accessLog(logger *slog.Logger, observe func(ctx context.Context, operation string, status int, took time.Duration)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			// Taken before the time limit replaces it: that one is canceled as soon as the handler returns.
			connection := c.Request().Context()
			if err := next(c); err != nil {
				c.Error(err) // writes the response now, so that its status is logged
			}
			took := time.Since(start)
			if observe != nil {
				observe(c.Request().Context(), operationOf(c), c.Response().Status, took)
			}
			level := slog.LevelInfo
			switch {
			case c.Path() == "/healthz" || c.Path() == "/readyz": // readyz itself logs what is wrong
				level = slog.LevelDebug
			case c.Response().Status >= http.StatusInternalServerError && connection.Err() == nil: // the client has not left
				level = slog.LevelError
			}
			attributes := []slog.Attr{
				slog.String("request_id", requestIDOf(c)),
				slog.String("method", c.Request().Method),
				slog.String("path", loggedPath(c)),
				slog.Int("status", c.Response().Status),
				slog.Float64("took_ms", float64(took.Microseconds())/1000),
				slog.Int64("bytes", c.Response().Size),
				slog.String("client", c.RealIP()),
			}
			if user := callerOf(c.Request().Context()); user != nil {
				attributes = append(attributes, slog.String("user", user.Username))
			}
			logger.LogAttrs(c.Request().Context(), level, "request", attributes...)
			return nil
		}
	}
}

const operationKey = "operation"

// nameOperation sets the id of the operation that a request is for.
func nameOperation(id string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set(operationKey, id)
			return next(c)
		}
	}
}

// operationOf returns the id of the operation that a request was for: the route where the contract does not have it, and ""
// where there is no route. A client can make no other values.
func operationOf(c echo.Context) string {
	if id, ok := c.Get(operationKey).(string); ok {
		return id
	}
	return c.Path()
}

// panicStack is the number of bytes of a panic's stack that are logged.
const panicStack = 64 << 10

// recoverPanic turns a panic into an error with its stack, so that it ends one request only.
var recoverPanic = middleware.RecoverWithConfig(middleware.RecoverConfig{
	StackSize:           panicStack,
	DisableStackAll:     true,
	DisableErrorHandler: true,
	LogErrorFunc: func(_ echo.Context, err error, stack []byte) error {
		// Not wrapped: a panic is an internal error, whatever its value is.
		return fmt.Errorf("panic: %s\n%s", err.Error(), stack)
	},
})
