package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"invited/gen/server"
	"invited/internal/fault"
)

// headRouter registers, beside each operation that GET reads, HEAD without a body (RFC 9110, section 9.3.2), unless the
// contract has an operation for HEAD.
type headRouter struct {
	*echo.Echo
	own map[string]bool // the paths, in echo's syntax, whose HEAD is an operation
}

// GET implements server.EchoRouter.
func (r headRouter) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	if !r.own[path] {
		r.HEAD(path, h, m...)
	}
	return r.Echo.GET(path, h, m...)
}

var _ server.EchoRouter = headRouter{}

// missingSlash is the error for a path that only lacks the slash at its end, for a method that is not redirected: a client
// may send another method after a redirect, or lose the body.
type missingSlash struct{ path string }

func (e missingSlash) Error() string { return "api: the path lacks a slash at its end" }

// detail tells the client what to do.
func (e missingSlash) detail() server.Detail {
	return server.Detail{Detail: fmt.Sprintf("%s The path needs a slash at its end: %s.", fault.NotFound().Message, e.path)}
}

// addSlash answers requests to paths that the contract has with a slash at their end: GET and HEAD are redirected, other
// methods get a 404 that names the path. Every other unknown path is a 404.
func addSlash(e *echo.Echo, allowed map[string][]string, publicURL string) echo.MiddlewareFunc {
	complete := completeSlash(e, allowed, publicURL)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			if errors.Is(err, echo.ErrNotFound) { // the router's
				return complete(c)
			}
			return err
		}
	}
}

func completeSlash(e *echo.Echo, allowed map[string][]string, publicURL string) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		written := r.URL.EscapedPath()
		if strings.HasSuffix(written, "/") {
			return echo.ErrNotFound
		}
		complete := e.NewContext(r, c.Response()) // one of the pool still has the path of the request before
		e.Router().Find(r.Method, r.URL.Path+"/", complete)
		methods, known := allowed[complete.Path()]
		switch {
		case !known:
			return echo.ErrNotFound
		case (r.Method != http.MethodGet && r.Method != http.MethodHead) || !slices.Contains(methods, r.Method):
			return missingSlash{truncate(written) + "/"}
		}
		to := strings.TrimSuffix(publicURL, "/") + written + "/"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		return c.Redirect(http.StatusPermanentRedirect, to)
	}
}
