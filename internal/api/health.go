package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// healthz answers 200 as long as the process serves requests.
func healthz(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// Trouble is the error of a readiness check that leaves the server in service: the server answers requests, but the
// operator has something to fix. GET /readyz shows its text to the operator.
type Trouble string

func (t Trouble) Error() string { return string(t) }

// probes answers GET /readyz.
type probes struct {
	check    func(context.Context) map[string]error
	logger   *slog.Logger
	trusted  []*net.IPNet
	identify echo.MiddlewareFunc // authenticates a request
}

// readyz answers 200 where the server can do its work, else 503. It logs the error of a failed check. The response has the
// status; for the operator it has the result of each check by name as well, with the text of the error where that is a
// Trouble.
func (p probes) readyz(c echo.Context) error {
	code, status, checks := http.StatusOK, "ok", map[string]string{}
	for name, err := range p.check(c.Request().Context()) {
		checks[name] = "ok"
		var trouble Trouble
		switch {
		case errors.As(err, &trouble):
			checks[name] = trouble.Error()
			if code == http.StatusOK {
				status = "degraded"
			}
		case err != nil:
			code, status, checks[name] = http.StatusServiceUnavailable, "unavailable", "failed"
			p.logger.WarnContext(c.Request().Context(), "not ready",
				"request_id", requestIDOf(c), "check", name, "error", err)
		}
	}
	if !p.fromOperator(c) {
		return c.JSON(code, map[string]string{"status": status})
	}
	return c.JSON(code, map[string]any{"status": status, "checks": checks})
}

// fromOperator reports whether a request comes from this machine or a trusted proxy themselves, or from staff.
func (p probes) fromOperator(c echo.Context) bool {
	r := c.Request()
	if !isForwarded(r) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		peer := net.ParseIP(host)
		isPeer := func(network *net.IPNet) bool { return network.Contains(peer) }
		if peer.IsLoopback() || (peer != nil && slices.ContainsFunc(p.trusted, isPeer)) {
			return true
		}
	}
	isStaff := false
	err := p.identify(func(c echo.Context) error {
		actor := caller(c.Request().Context())
		isStaff = actor.IsStaff && len(actor.TokenScopes) == 0
		return nil
	})(c)
	return err == nil && isStaff
}

// isForwarded reports whether a proxy sends a request for a client.
func isForwarded(r *http.Request) bool {
	return slices.ContainsFunc([]string{echo.HeaderXForwardedFor, "Forwarded", echo.HeaderXRealIP, "Via"}, func(name string) bool {
		return len(r.Header.Values(name)) > 0
	})
}
