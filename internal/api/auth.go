package api

import (
	"context"
	"strings"

	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
)

type callerKey struct{}

// callerOf is the user that a request was authenticated as.
func callerOf(ctx context.Context) (directory.User, bool) {
	user, ok := ctx.Value(callerKey{}).(directory.User)
	return user, ok
}

// authenticate finds out who calls, and puts the user into the request's context.
func authenticate(keys directory.Keys) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			key, err := apiKey(c.Request().Header.Values(echo.HeaderAuthorization))
			if err != nil {
				return err
			}
			ctx := c.Request().Context()
			user, err := directory.Authenticate(ctx, keys, key)
			if err != nil {
				return err
			}
			c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callerKey{}, user)))
			return next(c)
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
