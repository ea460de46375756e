package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"invited/gen/server"
	"invited/internal/fault"
)

// retryAfter is how many seconds a client is asked to wait where the database is out of reach.
const retryAfter = 5

// errorWriter is the one place where an error becomes a response. Internal text goes to the log with the
// request's id, never to the client.
type errorWriter struct {
	logger  *slog.Logger
	allowed map[string][]string // methods by path
}

func (w errorWriter) write(err error, c echo.Context) {
	if c.Response().Committed { // echo may call this twice, and a response can't be taken back
		return
	}
	status, body := shape(err, c)
	if status >= http.StatusInternalServerError {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) { // the client went away
			level = slog.LevelInfo
		}
		w.logger.Log(c.Request().Context(), level, "request failed", "request_id", requestIDOf(c),
			"method", c.Request().Method, "path", loggedPath(c), "error", err)
	}
	switch status {
	case http.StatusUnauthorized:
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Token")
	case http.StatusMethodNotAllowed:
		if methods, known := w.allowed[c.Path()]; known { // else echo has said
			c.Response().Header().Set(echo.HeaderAllow, strings.Join(methods, ", "))
		}
	case http.StatusServiceUnavailable:
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	if err := c.JSON(status, body); err != nil {
		w.logger.InfoContext(c.Request().Context(), "writing an error", "request_id", requestIDOf(c), "error", err)
	}
}

// shape is the status and the body that the contract has for an error.
func shape(err error, c echo.Context) (int, any) {
	var refusal *fault.Error
	if errors.As(err, &refusal) {
		switch refusal.Kind {
		case fault.KindInvalid:
			return http.StatusBadRequest, server.FieldErrors(refusal.Fields)
		case fault.KindRejected:
			return http.StatusBadRequest, server.RuleErrors{refusal.Message}
		case fault.KindUnauthenticated:
			return http.StatusUnauthorized, server.Detail{Detail: refusal.Message}
		case fault.KindForbidden:
			return http.StatusForbidden, server.Detail{Detail: refusal.Message}
		case fault.KindNotFound:
			return http.StatusNotFound, server.Detail{Detail: refusal.Message}
		case fault.KindUnavailable:
			return http.StatusServiceUnavailable, server.Detail{Detail: refusal.Message}
		}
	}
	if errors.Is(err, context.Canceled) { // nobody is there to read it
		return http.StatusServiceUnavailable, server.Detail{Detail: fault.Unavailable(nil).Message}
	}
	var protocol *echo.HTTPError
	if errors.As(err, &protocol) {
		switch protocol.Code {
		case http.StatusBadRequest: // what the generated code could not bind, though it was valid
			return protocol.Code, server.FieldErrors{fault.NonField: {"The request can't be read."}}
		case http.StatusNotFound:
			return protocol.Code, server.Detail{Detail: fault.NotFound().Message}
		case http.StatusMethodNotAllowed:
			return protocol.Code, server.Detail{Detail: fmt.Sprintf("Method %q not allowed.", cut(c.Request().Method))}
		case http.StatusNotAcceptable:
			return protocol.Code, server.Detail{Detail: "Could not satisfy the request Accept header."}
		case http.StatusRequestEntityTooLarge:
			return protocol.Code, server.Detail{Detail: "Request body is larger than 1 MiB."}
		case http.StatusUnsupportedMediaType:
			media := cut(c.Request().Header.Get(echo.HeaderContentType))
			return protocol.Code, server.Detail{Detail: fmt.Sprintf("Unsupported media type %q in request.", media)}
		}
	}
	return http.StatusInternalServerError, server.Detail{Detail: "Internal server error."}
}
