package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
)

type callerKey struct{}

// callerOf returns the caller of a request; nil where the request was not authenticated.
func callerOf(ctx context.Context) *directory.Actor {
	found, _ := ctx.Value(callerKey{}).(*directory.Actor)
	return found
}

// caller returns the caller of an operation that requires authentication.
func caller(ctx context.Context) directory.Actor {
	found := callerOf(ctx)
	if found == nil {
		panic("api: an operation that requires authentication was reached without it")
	}
	return *found
}

// authenticate puts the owner of the request's API key into the request's context. It refuses a request without a valid
// key.
func authenticate(a directory.Authenticator, uses *directory.TokenUses, unknownKeys *throttle, now func() time.Time) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			key, err := apiKey(c.Request().Header.Values(echo.HeaderAuthorization))
			if err != nil {
				return err
			}
			address := c.RealIP()
			if wait := unknownKeys.wait(address, key, now()); wait > 0 {
				return fault.Throttled(wait)
			}
			ctx := c.Request().Context()
			actor, err := directory.Authenticate(ctx, a, key)
			if errors.Is(err, directory.ErrUnknownKey) {
				unknownKeys.fail(address, key, now())
			}
			if err != nil {
				return err
			}
			unknownKeys.succeed(address, key)
			uses.Add(key)
			c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callerKey{}, &actor)))
			return next(c)
		}
	}
}

// maxKey is the length of the longest API key that is looked up, in bytes.
const maxKey = 512

// apiKey returns the key of `Authorization: Token <key>` or `Bearer <key>`. A header with another scheme counts as
// missing, as in Django REST framework.
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
