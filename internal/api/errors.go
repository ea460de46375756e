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

// retryAfter is the Retry-After header of a 503, in seconds.
const retryAfter = 5

const msgInternal = "Internal server error."

// statusOf has the HTTP status of each kind of fault.
var statusOf = map[fault.Kind]int{
	fault.KindInvalid:         http.StatusBadRequest,
	fault.KindRejected:        http.StatusBadRequest,
	fault.KindUnauthenticated: http.StatusUnauthorized,
	fault.KindForbidden:       http.StatusForbidden,
	fault.KindNotFound:        http.StatusNotFound,
	fault.KindConflict:        http.StatusConflict,
	fault.KindContradiction:   http.StatusUnprocessableEntity,
	fault.KindUnavailable:     http.StatusServiceUnavailable,
	fault.KindThrottled:       http.StatusTooManyRequests,
}

// errorWriter writes the response of every error. It logs internal errors with the request's id and shows the client
// nothing of them.
type errorWriter struct {
	logger  *slog.Logger
	allowed map[string][]string // methods by path
}

func (w errorWriter) write(err error, c echo.Context) {
	if c.Response().Committed { // echo may call its error handler twice, and a response can't be taken back
		return
	}
	status, body := errorResponse(err, c)
	if status >= http.StatusInternalServerError {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) { // the client left
			level = slog.LevelInfo
		}
		w.logger.Log(c.Request().Context(), level, "request failed", "request_id", requestIDOf(c),
			"method", c.Request().Method, "path", loggedPath(c), "error", err)
	}
	switch status {
	case http.StatusUnauthorized:
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Token")
	case http.StatusMethodNotAllowed:
		if allowed, known := w.allowed[c.Path()]; known { // echo sets the header for other paths
			c.Response().Header().Set(echo.HeaderAllow, strings.Join(allowed, ", "))
		}
	case http.StatusTooManyRequests:
		if f, ok := errors.AsType[*fault.Error](err); ok {
			c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(f.Wait.Seconds())))
		}
	case http.StatusServiceUnavailable:
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	if err := c.JSON(status, body); err != nil {
		w.logger.InfoContext(c.Request().Context(), "an error response could not be written",
			"request_id", requestIDOf(c), "error", err)
	}
}

// errorResponse returns the status and the body of an error, as the contract describes them.
func errorResponse(err error, c echo.Context) (status int, body any) {
	var f *fault.Error
	if errors.As(err, &f) && statusOf[f.Kind] != 0 {
		switch f.Kind {
		case fault.KindInvalid:
			return statusOf[f.Kind], server.FieldErrors(f.Fields)
		case fault.KindRejected:
			return statusOf[f.Kind], server.RuleErrors{f.Message}
		default:
			return statusOf[f.Kind], server.Detail{Detail: f.Message}
		}
	}
	if errors.Is(err, context.Canceled) { // the client left, and reads no response
		return http.StatusServiceUnavailable, server.Detail{Detail: fault.Unavailable(nil).Message}
	}
	if slash, ok := errors.AsType[missingSlash](err); ok {
		return http.StatusNotFound, slash.detail()
	}
	var protocol *echo.HTTPError
	if errors.As(err, &protocol) {
		switch protocol.Code {
		case http.StatusBadRequest: // the generated code could not bind a request that the validator accepted
			return protocol.Code, server.FieldErrors{fault.NonField: {"The request can't be read."}}
		case http.StatusNotFound:
			return protocol.Code, server.Detail{Detail: fault.NotFound().Message}
		case http.StatusMethodNotAllowed:
			return protocol.Code, server.Detail{Detail: fmt.Sprintf("Method %q not allowed.", truncate(c.Request().Method))}
		case http.StatusNotAcceptable:
			return protocol.Code, server.Detail{Detail: "Could not satisfy the request Accept header."}
		case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
			return protocol.Code, server.Detail{Detail: fmt.Sprint(protocol.Message)}
		case http.StatusUnsupportedMediaType:
			if text, ok := protocol.Message.(string); ok && text != http.StatusText(protocol.Code) {
				return protocol.Code, server.Detail{Detail: text}
			}
			media := truncate(c.Request().Header.Get(echo.HeaderContentType))
			return protocol.Code, server.Detail{Detail: fmt.Sprintf("Unsupported media type %q in request.", media)}
		}
	}
	return http.StatusInternalServerError, server.Detail{Detail: msgInternal}
}
