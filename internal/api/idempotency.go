package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"invited/internal/idempotency"
)

// replayedHeader is the header of an answer that was kept.
const replayedHeader = "Idempotent-Replayed"

// checkKey refuses a request whose Idempotency-Key is none.
func checkKey(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, _, err := idempotency.ParseKey(c.Request().Header.Values(idempotency.Header)); err != nil {
			return err
		}
		return next(c)
	}
}

// keepAnswer answers a request whose Idempotency-Key was used before with the answer of then. It stands between
// validation and the handler: a request that does not conform to the contract uses no key up. A request without a key,
// or without a caller, passes, and so does a dry run, where the operation has them: it changes nothing, and its answer
// can be large.
func keepAnswer(service *idempotency.Service, hasDryRun bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			key, given, err := idempotency.ParseKey(c.Request().Header.Values(idempotency.Header))
			user := callerOf(c.Request().Context())
			if err != nil || !given || user == nil || (hasDryRun && isDryRun(c)) {
				return next(c)
			}
			content, err := digestRequest(c.Request())
			if err != nil {
				return err
			}
			request := idempotency.Request{UserUUID: user.UUID, Key: key, Content: content}
			answer, replayed, err := service.Do(c.Request().Context(), request,
				func(ctx context.Context) (idempotency.Answer, error) { return recordAnswer(c, ctx, next) })
			if err != nil {
				return err
			}
			if replayed {
				c.Response().Header().Set(replayedHeader, "true")
			}
			return writeAnswer(c, answer)
		}
	}
}

// isDryRun reports whether the parameter `dry_run`, which the validator has checked, is true.
func isDryRun(c echo.Context) bool {
	asked, err := strconv.ParseBool(c.QueryParam("dry_run"))
	return asked && err == nil
}

// digestRequest returns a digest of everything that makes a request another one: method, path, query, the body, its
// type, and the character set of a table, without which the body means something else.
func digestRequest(r *http.Request) ([]byte, error) {
	body, err := r.GetBody() // limitBody has set it
	if err != nil {
		return nil, err
	}
	media, parameters, _ := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	charset := ""
	if media == mimeCSV {
		charset = strings.ToLower(parameters["charset"])
	}
	digest := sha256.New()
	_, _ = fmt.Fprintf(digest, "%s\n%q\n%q\n%q\n%q\n", r.Method, r.URL.Path, r.URL.RawQuery, media, charset) // never fails
	_, err = io.Copy(digest, body)
	return digest.Sum(nil), err
}

// recordAnswer runs a handler with another context and returns its response, which nobody has seen yet. It returns the
// handler's error where that is the server's fault.
func recordAnswer(c echo.Context, ctx context.Context, next echo.HandlerFunc) (idempotency.Answer, error) {
	request, response := c.Request(), c.Response()
	recorded := &responseRecorder{header: response.Header().Clone()}
	defer func() {
		c.SetRequest(request)
		c.SetResponse(response)
	}()
	c.SetRequest(request.WithContext(ctx))
	c.SetResponse(echo.NewResponse(recorded, c.Echo()))
	if err := next(c); err != nil {
		if status, _ := errorResponse(err, c); status >= http.StatusInternalServerError {
			return idempotency.Answer{}, err
		}
		c.Error(err)
	}
	answer := idempotency.Answer{Status: recorded.status, Header: map[string][]string{}, Body: recorded.body.Bytes()}
	for name, values := range recorded.header {
		if !slices.Equal(values, response.Header()[name]) {
			answer.Header[name] = values
		}
	}
	return answer, nil
}

// writeAnswer writes a recorded response.
func writeAnswer(c echo.Context, answer idempotency.Answer) error {
	for name, values := range answer.Header {
		c.Response().Header()[name] = values
	}
	c.Response().WriteHeader(answer.Status)
	_, err := c.Response().Write(answer.Body)
	return err
}

// responseRecorder is an http.ResponseWriter that keeps the response.
type responseRecorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *responseRecorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *responseRecorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *responseRecorder) Write(part []byte) (int, error) { return r.body.Write(part) }
