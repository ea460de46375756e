package api

import (
	"context"

	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/signin"
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

// authenticate puts the caller of a request into the request's context. It refuses a request whose caller is unknown.
func authenticate(callers *signin.Chain) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			found, err := callers.Authenticate(c.Request())
			if err != nil {
				return err
			}
			c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), callerKey{}, &found.Actor)))
			return next(c)
		}
	}
}
