package api

import (
	"context"

	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
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

// callerOrNobody returns the caller of an operation that needs no authentication, and the zero Actor where nobody is known.
func callerOrNobody(ctx context.Context) directory.Actor {
	if found := callerOf(ctx); found != nil {
		return *found
	}
	return directory.Actor{}
}

type clientKey struct{}

// clientOf returns the network address that an authenticated request came from.
func clientOf(ctx context.Context) string {
	address, _ := ctx.Value(clientKey{}).(string)
	return address
}

// authenticate puts the caller of a request into the request's context. It refuses a request whose caller is unknown. Where
// isOptional, a request without a credential passes, without a caller; a credential that does not work is refused all the same.
func authenticate(callers *signin.Chain, isOptional bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			found, err := callers.Authenticate(c.Request())
			if isOptional && found.Via == "" && fault.Is(err, fault.KindUnauthenticated) {
				return next(c)
			}
			if err != nil {
				return err
			}
			ctx := context.WithValue(c.Request().Context(), callerKey{}, &found.Actor)
			c.SetRequest(c.Request().WithContext(context.WithValue(ctx, clientKey{}, c.RealIP())))
			return next(c)
		}
	}
}
