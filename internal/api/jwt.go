package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
)

// JWTs returns the user of an access token that is a JWT, with their grants. It returns fault.KindUnauthenticated, with the
// reason, where there is none.
type JWTs func(ctx context.Context, jwt string) (directory.Actor, error)

// maxJWT is the length of the longest JWT that is looked at, in bytes.
const maxJWT = 16 << 10

// bearerJWT returns the JWT of `Authorization: Bearer <JWT>`; "" where the request has another credential, or none. A JWT is
// three parts with dots between them (RFC 7515, section 7.1).
func bearerJWT(r *http.Request) string {
	headers := r.Header.Values(echo.HeaderAuthorization)
	if len(headers) != 1 {
		return ""
	}
	scheme, jwt, _ := strings.Cut(strings.TrimSpace(headers[0]), " ")
	jwt = strings.TrimSpace(jwt)
	if !strings.EqualFold(scheme, "Bearer") || strings.Count(jwt, ".") != 2 || strings.HasPrefix(jwt, "inv_") {
		return ""
	}
	return jwt
}

// acceptJWTs authenticates requests with a JWT, and leaves others to another authentication. A JWT that does not work is
// refused there and then. jwts is nil where no issuer is configured.
func acceptJWTs(jwts JWTs, others echo.MiddlewareFunc) echo.MiddlewareFunc {
	if jwts == nil {
		return others
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		otherwise := others(next)
		return func(c echo.Context) error {
			jwt := bearerJWT(c.Request())
			if jwt == "" {
				return otherwise(c)
			}
			if len(jwt) > maxJWT || strings.ContainsAny(jwt, " \t") {
				return fault.Unauthorized("Invalid token.")
			}
			ctx := c.Request().Context()
			actor, err := jwts(ctx, jwt)
			if err != nil {
				return err
			}
			c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callerKey{}, &actor)))
			return next(c)
		}
	}
}
