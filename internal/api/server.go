package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
)

// RequestTimeout bounds a handler, the database included.
const RequestTimeout = 20 * time.Second

// bodyLimit is the size of the largest body that is taken, in bytes.
const bodyLimit = 1 << 20

// What is read of a body after a refusal.
const (
	discardLimit   = 16 << 20 // bytes
	discardTimeout = 5 * time.Second
)

// Config is what the API is made of.
type Config struct {
	Service   *invitation.Service
	Directory *directory.Reader
	Keys      directory.Keys
	PublicURL string // base of every absolute URL in a response, with a slash at its end
	Logger    *slog.Logger
	// TrustedProxies are the networks whose X-Forwarded-For is believed; none: the header is ignored.
	TrustedProxies []*net.IPNet
	CORSOrigins    []string // exact origins that a browser may call from; none: CORS is off
	// Ready names what the server needs to do its work, and what is wrong with each.
	Ready func(context.Context) map[string]error
}

// readContract parses the embedded contract once: parsing takes 25 ms, and nobody changes the result.
var readContract = sync.OnceValues(server.GetSpec)

// New returns the API as a handler. It fails only where the embedded contract is broken.
func New(c Config) (http.Handler, error) {
	contract, err := readContract()
	if err != nil {
		return nil, fmt.Errorf("reading the embedded contract: %w", err)
	}
	allowed := allowedMethods(contract)
	e := echo.New()
	e.HTTPErrorHandler = errorWriter{c.Logger, allowed}.write
	e.IPExtractor = clientIP(c.TrustedProxies)
	e.Use(readToEnd, requestID, access(c.Logger), recovered, headers)
	if len(c.CORSOrigins) > 0 {
		e.Use(middleware.CORSWithConfig(middleware.CORSConfig{
			AllowOrigins:  c.CORSOrigins,
			AllowMethods:  methodsOf(allowed),
			AllowHeaders:  []string{echo.HeaderAuthorization, echo.HeaderContentType, echo.HeaderXRequestID},
			ExposeHeaders: []string{"Link", echo.HeaderLocation, echo.HeaderRetryAfter, echo.HeaderXRequestID, "X-Result-Count"},
			MaxAge:        int((10 * time.Minute).Seconds()),
		}))
	}
	e.Use(deadline)
	probes := []string{http.MethodGet, http.MethodHead}
	e.Match(probes, "/healthz", alive)
	e.Match(probes, "/readyz", ready(c.Ready, c.Logger))

	if err := document(e, contract, c.PublicURL); err != nil {
		return nil, err
	}
	guards, err := guard(contract, c.Keys)
	if err != nil {
		return nil, err
	}
	strict := server.NewStrictHandler(handlers{c}, []server.StrictMiddlewareFunc{answered, confirmed})
	server.RegisterHandlersWithOptions(e, strict, server.RegisterHandlersOptions{OperationMiddlewares: guards})
	refuseOtherMethods(e, allowed)
	return e, nil
}

// answered turns the silence of a handler into an error: the generated code would make an empty 200 of it.
func answered(next server.StrictHandlerFunc, operation string) server.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		response, err := next(c, request)
		if response == nil && err == nil {
			err = errors.New("api: " + operation + " gave no response")
		}
		return response, err
	}
}

// clientIP makes a client's address out of the connection and, through trusted proxies only, of
// X-Forwarded-For. Echo's default believes the header of anybody.
func clientIP(trusted []*net.IPNet) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, each := range trusted {
		options = append(options, echo.TrustIPRange(each))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// readToEnd reads what a refusal left unread of a body, before the answer goes out. Who is still sending when the
// connection is closed has it reset, and the answer with it; gateways make a 502 of that. Who asks first whether to send
// (RFC 9110, section 10.1.1) has been told by the answer.
func readToEnd(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		body := c.Request().Body
		err := next(c)
		if body != http.NoBody && c.Request().Header.Get("Expect") == "" {
			// Fails where the connection is no real one.
			_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(discardTimeout))
			_, _ = io.CopyN(io.Discard, body, discardLimit)
		}
		return err
	}
}

// deadline ends the work on a request that takes too long, in the database too.
func deadline(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), RequestTimeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// headers that stand on every response: nothing that the API says is to be kept, framed, sniffed or run.
func headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		return next(c)
	}
}
