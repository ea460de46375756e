package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"invited/gen/server"
	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/idempotency"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/lifecycle"
	"invited/internal/signin"
)

// RequestTimeout is the time limit of a handler, its database statements included.
const RequestTimeout = 20 * time.Second

// Config holds the parts that New builds the API from.
type Config struct {
	Service   *invitation.Service
	Joining   *joining.Service
	Lifecycle *lifecycle.Service
	Bulk      *bulk.Service
	Directory *directory.Reader
	Callers   *signin.Chain
	// Idempotency keeps the answers to requests with an Idempotency-Key.
	Idempotency *idempotency.Service
	SiteName    string
	// SignsInByMail is whether pages of the server sign people in by a code in a mail.
	SignsInByMail bool
	PublicURL     string // the base of every absolute URL in a response, ending in a slash
	Logger        *slog.Logger
	// Observe is called with the status and the time of each response. operation is as operationOf returns it. nil: no calls.
	Observe func(ctx context.Context, operation string, status int, took time.Duration)
	// TrustedProxies are the networks whose X-Forwarded-For is believed. The header is ignored where there are none.
	TrustedProxies []*net.IPNet
	// CORSOrigins are the exact origins that a browser may call from. CORS is off where there are none.
	CORSOrigins []string
	CORSHeaders []string // request headers that a browser may send there, beside those that the API reads
	// Ready runs the readiness checks and returns the result of each by name: nil, a Trouble, or another error.
	Ready func(context.Context) map[string]error
}

// readContract parses the embedded contract once, which takes 25 ms. Nobody changes the result.
var readContract = sync.OnceValues(server.GetSpec)

// New returns the API as a handler. It returns an error only where the embedded contract is broken.
func New(c Config) (http.Handler, error) {
	contract, err := readContract()
	if err != nil {
		return nil, fmt.Errorf("reading the embedded contract: %w", err)
	}
	allowed := allowedMethods(contract)
	e := echo.New()
	e.HTTPErrorHandler = errorWriter{c.Logger, allowed}.write
	e.IPExtractor = ClientIP(c.TrustedProxies)
	e.Use(drainBody, requestID, accessLog(c.Logger, c.Observe), recoverPanic, securityHeaders)
	if len(c.CORSOrigins) > 0 {
		e.Use(middleware.CORSWithConfig(middleware.CORSConfig{
			AllowOrigins:  c.CORSOrigins,
			AllowMethods:  usedMethods(allowed),
			AllowHeaders:  append([]string{echo.HeaderAuthorization, echo.HeaderContentType, echo.HeaderXRequestID, idempotency.Header, headerIfNoneMatch}, c.CORSHeaders...),
			ExposeHeaders: []string{"ETag", "Link", echo.HeaderLocation, echo.HeaderRetryAfter, echo.HeaderXRequestID, "X-Result-Count", "X-Events-Deleted-Through", replayedHeader, echo.HeaderContentDisposition},
			MaxAge:        int((10 * time.Minute).Seconds()),
		}))
	}
	e.Use(addSlash(e, allowed, c.PublicURL), timeLimit)
	readMethods := []string{http.MethodGet, http.MethodHead}
	e.Match(readMethods, "/healthz", healthz)
	authentication := authenticate(c.Callers, false)
	e.Match(readMethods, "/readyz", probes{c.Ready, c.Logger, c.TrustedProxies, authentication}.readyz)

	if err := addDocs(e, contract, c.PublicURL); err != nil {
		return nil, err
	}
	middlewares, err := operationMiddlewares(contract, c.Callers, c.Service, c.Idempotency)
	if err != nil {
		return nil, err
	}
	for _, id := range []string{"api_auth_init_retrieve", "api_auth_complete_retrieve", "api_auth_token_exchange", "api_auth_create"} {
		middlewares[id] = append(middlewares[id], withBrowser)
	}
	for _, id := range []string{
		"user_group_invitations_update", "user_group_invitations_partial_update",
		"user_invitations_update", "user_invitations_partial_update",
	} {
		middlewares[id] = append(middlewares[id], withNulls)
	}
	for _, id := range []string{"user_invitations_list", "user_invitations_retrieve", "user_invitations_mine_list"} {
		middlewares[id] = append(middlewares[id], joinIfNoneMatch)
	}
	strict := server.NewStrictHandler(handlers{c}, []server.StrictMiddlewareFunc{requireResponse})
	server.RegisterHandlersWithOptions(headRouter{e, headOperations(contract)}, strict, server.RegisterHandlersOptions{OperationMiddlewares: middlewares})
	rejectOtherMethods(e, allowed)
	return e, nil
}

// requireResponse turns a nil response with a nil error into an error. The generated code would answer with an empty
// 200.
func requireResponse(next server.StrictHandlerFunc, operation string) server.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		response, err := next(c, request)
		if response == nil && err == nil {
			err = errors.New("api: " + operation + " returned no response")
		}
		return response, err
	}
}

// ClientIP returns how echo finds the address of a client: from the connection and, for connections of trusted proxies
// only, from X-Forwarded-For. Echo's default believes anybody's header.
func ClientIP(trusted []*net.IPNet) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, network := range trusted {
		options = append(options, echo.TrustIPRange(network))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// timeLimit cancels the context of a request after RequestTimeout, and with it the statements that run in the database.
var timeLimit = middleware.ContextTimeoutWithConfig(middleware.ContextTimeoutConfig{
	Timeout:      RequestTimeout,
	ErrorHandler: func(err error, _ echo.Context) error { return err }, // errorWriter has the response
})

// securityHeaders sets headers on every response: no response is cached, framed, sniffed or run. A response with an entity tag
// may be cached, as writeTagged says.
func securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		return next(c)
	}
}
