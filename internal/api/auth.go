package api

import (
	"context"
	"strings"

	"github.com/labstack/echo/v4"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/fault"
)

type callerKey struct{}

// callerOf is whom a request comes from; nil: its operation is for anybody.
func callerOf(ctx context.Context) *directory.Caller {
	found, _ := ctx.Value(callerKey{}).(*directory.Caller)
	return found
}

// authenticate finds out who calls, and puts them into the request's context. Who that is may turn out only once the
// database is asked for something: see confirmed.
func authenticate(keys directory.Keys) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			key, err := apiKey(c.Request().Header.Values(echo.HeaderAuthorization))
			if err != nil {
				return err
			}
			ctx, who, err := directory.Authenticate(c.Request().Context(), keys, key)
			if err != nil {
				return err
			}
			c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callerKey{}, who)))
			if err := next(c); err != nil {
				// Refused before an operation was reached, by what does not go by who they are.
				if _, wrong := who.Confirm(ctx); wrong != nil {
					return wrong
				}
				return err
			}
			return nil
		}
	}
}

// confirmed has an operation done anew where it was done for another than who calls, before a word of it is told.
func confirmed(next server.StrictHandlerFunc, _ string) server.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		response, err := next(c, request)
		ctx := c.Request().Context()
		who := callerOf(ctx)
		if who == nil { // an operation for anybody
			return response, err
		}
		same, wrong := who.Confirm(ctx)
		switch {
		case wrong != nil:
			return nil, wrong
		case !same:
			return next(c, request)
		default:
			return response, err
		}
	}
}

// maxKey is the longest API key that is looked up, in bytes.
const maxKey = 512

// apiKey is the key in `Authorization: Token <key>` or `Bearer <key>`. Another scheme is as good as none, as in
// Django REST framework.
func apiKey(headers []string) (string, error) {
	if len(headers) == 0 {
		return "", fault.Unauthorized("Authentication credentials were not provided.")
	}
	scheme, key, _ := strings.Cut(strings.TrimSpace(headers[0]), " ")
	if !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return "", fault.Unauthorized("Authentication credentials were not provided.")
	}
	key = strings.TrimSpace(key)
	if len(headers) > 1 || key == "" || len(key) > maxKey || strings.ContainsAny(key, " \t") {
		return "", fault.Unauthorized("Invalid token.")
	}
	return key, nil
}
