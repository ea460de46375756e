package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"invited/internal/fault"
)

// bodyLimit is the size of the largest accepted body, in bytes.
const bodyLimit = 1 << 20

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

// limitBody answers 413 to a body that is larger than bodyLimit. It buffers the body of an operation that takes one,
// and discards the body of any other.
func limitBody(buffered bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.ContentLength > bodyLimit {
				return echo.ErrStatusRequestEntityTooLarge
			}
			var buffer bytes.Buffer
			destination := io.Discard
			if buffered {
				destination = &buffer
			}
			_, err := io.Copy(destination, http.MaxBytesReader(c.Response(), r.Body, bodyLimit))
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				return echo.ErrStatusRequestEntityTooLarge
			} else if err != nil && buffered {
				return fault.Field(fault.NonField, "The request body ended too early.")
			}
			setBody(r, buffer.Bytes())
			return next(c)
		}
	}
}

// dropBody removes the body of a GET or HEAD request, which has no meaning (RFC 9110, section 9.3.1).
func dropBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		setBody(c.Request(), nil)
		return next(c)
	}
}

func setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

// sanitizeJSON rejects a body that is not exactly one JSON value in UTF-8 without duplicate names (RFC 8259, as strict
// as RFC 7493), so that no two parsers read it differently. An empty body becomes an empty object, so that the
// response names each missing field. Strings are trimmed before they are validated.
func sanitizeJSON(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
		r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	}
	media, parameters, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	charset := strings.ToLower(parameters["charset"])
	if err != nil || media != echo.MIMEApplicationJSON || (charset != "" && charset != "utf-8") {
		return echo.ErrUnsupportedMediaType
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(body))
	if err := decoder.SkipValue(); err != nil {
		return fault.Field(fault.NonField, "JSON parse error - "+syntaxMessage(err)+".")
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return fault.Field(fault.NonField, "JSON parse error - more than one value.")
	}
	setBody(r, trimStrings(body))
	return nil
}

// untrimmedField is the field whose value is not trimmed: a token has one spelling.
const untrimmedField = "token"

// trimStrings returns a JSON object without spaces and tabs at the ends of its strings. It keeps line breaks, which
// the schemas reject where they don't belong. It returns any other JSON value as it is.
func trimStrings(body []byte) []byte {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // a float64 would round numbers
	if err := decoder.Decode(&object); err != nil || !trimValue(object) {
		return body
	}
	trimmed, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return trimmed
}

// trimValue trims the strings of an object or a list in place, and reports whether it changed any.
func trimValue(value any) (changed bool) {
	trim := func(member any) any {
		if long, ok := member.(string); ok {
			member = strings.Trim(long, " \t")
			changed = changed || member != long
		} else if trimValue(member) {
			changed = true
		}
		return member
	}
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if name != untrimmedField {
				v[name] = trim(member)
			}
		}
	case []any:
		for i, member := range v {
			v[i] = trim(member)
		}
	}
	return changed
}

// checkMaxItems rejects a body with a list that is longer than the contract allows. It runs before the validator,
// which would report every invalid item: a body of the largest size has room for hundreds of thousands.
func checkMaxItems(r *http.Request, schema *openapi3.Schema) error {
	invalid := fault.Fields{}
	for name, property := range schema.Properties {
		if property.Value.MaxItems == nil {
			continue
		}
		var object map[string]json.RawMessage
		var list []json.RawMessage
		body, err := r.GetBody()
		if err != nil {
			return err
		}
		if json.NewDecoder(body).Decode(&object) == nil && json.Unmarshal(object[name], &list) == nil &&
			uint64(len(list)) > *property.Value.MaxItems {
			invalid.Add(name, maxItemsMessage(*property.Value.MaxItems))
		}
	}
	return invalid.Err()
}

// syntaxMessage describes a syntax error in a JSON text and its position.
func syntaxMessage(err error) string {
	var e *jsontext.SyntacticError
	switch {
	case !errors.As(err, &e) || e.Err == nil || errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected end"
	case e.JSONPointer == "" || len(e.JSONPointer) > 100:
		return fmt.Sprintf("%s at character %d", e.Err, e.ByteOffset)
	default:
		return fmt.Sprintf("%s at %s", e.Err, e.JSONPointer)
	}
}
