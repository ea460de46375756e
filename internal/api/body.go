package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"invited/internal/fault"
)

// Limits of what drainBody reads.
const (
	drainLimit   = 16 << 20 // bytes
	drainTimeout = 5 * time.Second
)

// drainBody reads what is left of a request's body before the response ends. A client that is still sending when the
// server closes the connection gets a reset, and loses the response; gateways turn that into a 502. A client that sent
// an Expect header waits for the response before it sends (RFC 9110, section 10.1.1), so its body is not read.
func drainBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		body := c.Request().Body
		err := next(c)
		if body != http.NoBody && c.Request().Header.Get("Expect") == "" {
			// The deadline can't be set where a test's recorder stands in for the connection.
			_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(drainTimeout))
			_, _ = io.CopyN(io.Discard, body, drainLimit)
		}
		return err
	}
}

// bodyExtension is the contract's extension that has the size of an operation's largest accepted body, in bytes.
const bodyExtension = "x-max-body-bytes"

// discardLimit is the size of the largest body, in bytes, that an operation discards which takes none.
const discardLimit = 16 << 10

// Limits of what bodies take of the memory, all requests together. Decoding a body takes about twenty times the body's
// size where it has nothing but names, and up to forty times where it is nested as deeply as the decoder allows. Bodies of
// up to smallBody bytes are held without a limit: they take little more than their connections do.
//
// Of the largest bodies for operations without authentication one is decoded at a time, which leaves processors to others:
// with eight, 200 clients without a pause made the 99th percentile of GET /healthz 1.6 s; with one it is 34 ms.
const (
	smallBody            = 64 << 10
	largeBodies          = 8        // number of larger bodies, each from its first bytes to its response
	decodedAnonymous     = 16 << 10 // bytes of the bodies that are being decoded for operations without authentication
	decodedAuthenticated = 1 << 20  // bytes of those for operations with authentication
	bodyWait             = 5 * time.Second
)

// bodyMemory limits what bodies take of the memory. A request that finds no room waits for it, first come, first served,
// and gets a 503 after bodyWait.
type bodyMemory struct {
	large                    *semaphore.Weighted
	anonymous, authenticated *semaphore.Weighted
}

func newBodyMemory() bodyMemory {
	return bodyMemory{
		semaphore.NewWeighted(largeBodies), semaphore.NewWeighted(decodedAnonymous), semaphore.NewWeighted(decodedAuthenticated),
	}
}

// reserve waits for n units of a limit. It returns an unavailable error where it waited in vain.
func reserve(ctx context.Context, limit *semaphore.Weighted, n int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, bodyWait)
	defer cancel()
	if err := limit.Acquire(ctx, n); err != nil {
		return nil, fault.Unavailable(fmt.Errorf("waiting for memory for a request body: %w", err))
	}
	return func() { limit.Release(n) }, nil
}

// decoding returns the limit of the bytes that are being decoded for operations with or without authentication.
func (m bodyMemory) decoding(authenticated bool) *semaphore.Weighted {
	if authenticated {
		return m.authenticated
	}
	return m.anonymous
}

// bodyLimitOf returns the size of the largest accepted body of an operation, in bytes. It returns an error where the
// contract has none, or one for which there is never room.
func bodyLimitOf(operation *openapi3.Operation, authenticated bool) (int64, error) {
	if operation.RequestBody == nil {
		return discardLimit, nil
	}
	room := int64(decodedAnonymous)
	switch {
	case operation.OperationID == bulkCreate:
		room = maxBulkBody
	case authenticated:
		room = decodedAuthenticated
	}
	limit, ok := operation.Extensions[bodyExtension].(float64)
	if !ok || limit < 1 || int64(limit) > room {
		return 0, fmt.Errorf("the contract's operation %s needs %s, a number from 1 to %d", operation.OperationID, bodyExtension, room)
	}
	return int64(limit), nil
}

// A bodyReader reads a body into a buffer. The caller calls release when the request is over.
type bodyReader func(r *http.Request, buffer *bytes.Buffer, body io.Reader) (release func(), err error)

// limitBody answers 413 to a body that is larger than limit. It reads the body of an operation that takes one, and
// discards the body where read is nil.
func limitBody(limit int64, read bodyReader) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.ContentLength > limit {
				return errBodyTooLarge(limit)
			}
			limited := http.MaxBytesReader(c.Response(), r.Body, limit)
			var buffer bytes.Buffer
			var err error
			if read != nil {
				var release func()
				release, err = read(r, &buffer, limited)
				defer release()
			} else {
				_, err = io.Copy(io.Discard, limited)
			}
			var tooLarge *http.MaxBytesError
			switch {
			case errors.As(err, &tooLarge):
				return errBodyTooLarge(limit)
			case fault.Is(err, fault.KindUnavailable), fault.Is(err, fault.KindThrottled):
				return err
			case err != nil && read != nil:
				return fault.Field(fault.NonField, "The request body ended too early.")
			}
			setBody(r, buffer.Bytes())
			return next(c)
		}
	}
}

// readBody reads a body into a buffer. Where the body is larger than smallBody, it waits for one of the places for large
// bodies, before it reads on. The caller calls release when the request is over.
func (m bodyMemory) readBody(r *http.Request, buffer *bytes.Buffer, body io.Reader) (release func(), err error) {
	return readBody(r, buffer, body, func(ctx context.Context) (func(), error) { return reserve(ctx, m.large, 1) })
}

// readBody reads a body into a buffer. Where the body is larger than smallBody, it waits for its place before it reads on.
func readBody(
	r *http.Request, buffer *bytes.Buffer, body io.Reader, wait func(context.Context) (release func(), err error),
) (release func(), err error) {
	release = func() {}
	if r.ContentLength <= smallBody {
		if _, err := io.CopyN(buffer, body, smallBody); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return release, err
		}
	}
	place, err := wait(r.Context())
	if err != nil {
		return release, err
	}
	buffer.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead)
	_, err = buffer.ReadFrom(body)
	return place, err
}

func errBodyTooLarge(limit int64) error {
	return echo.NewHTTPError(http.StatusRequestEntityTooLarge, fmt.Sprintf("Request body is larger than %s.", formatSize(limit)))
}

// formatSize returns a size in bytes in the largest unit that needs no fraction: "16 KiB".
func formatSize(size int64) string {
	switch {
	case size%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", size>>20)
	case size%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", size>>10)
	default:
		return fmt.Sprintf("%d bytes", size)
	}
}

// dropBody removes the body of a GET or HEAD request, which has no meaning (RFC 9110, section 9.3.1).
func dropBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		setBody(c.Request(), nil)
		return next(c)
	}
}

// heldBody is a body that is in memory.
type heldBody struct {
	*bytes.Reader
	content []byte
}

// Close implements io.Closer.
func (heldBody) Close() error { return nil }

func setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = heldBody{bytes.NewReader(body), body}, int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return heldBody{bytes.NewReader(body), body}, nil }
}
