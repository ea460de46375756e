package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"invited/internal/fault"
)

// What stands here looks at a request as text, before anything asks what it means.

// screenBody refuses a body that is too large, and keeps it where it is asked for.
func screenBody(asked bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.ContentLength > bodyLimit {
				return echo.ErrStatusRequestEntityTooLarge
			}
			var kept bytes.Buffer
			to := io.Discard
			if asked {
				to = &kept
			}
			_, err := io.Copy(to, http.MaxBytesReader(c.Response(), r.Body, bodyLimit))
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				return echo.ErrStatusRequestEntityTooLarge
			} else if err != nil && asked {
				return fault.Field(fault.NonField, "The request body ended too early.")
			}
			setBody(r, kept.Bytes())
			return next(c)
		}
	}
}

// bodiless takes a body away that has no meaning (RFC 9110, section 9.3.1).
func bodiless(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		setBody(c.Request(), nil)
		return next(c)
	}
}

// acceptable refuses a request whose Accept header admits no JSON, before anything is done for it.
func acceptable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !acceptsJSON(strings.Join(c.Request().Header.Values(echo.HeaderAccept), ",")) {
			return echo.ErrNotAcceptable
		}
		return next(c)
	}
}

// acceptsJSON tells whether an Accept header admits application/json: the range that names it most closely decides
// (RFC 9110, section 12.5.1). Parameters other than the weight are of no account, and so is what can't be read.
func acceptsJSON(accept string) bool {
	ranges := []string{"*/*", "application/*", echo.MIMEApplicationJSON}
	closest, accepted, readable := -1, false, false
	for each := range strings.SplitSeq(accept, ",") {
		media, parameters, err := mime.ParseMediaType(each)
		if err != nil || !strings.Contains(media, "/") {
			continue
		}
		readable = true
		weight, err := strconv.ParseFloat(parameters["q"], 64)
		if at := slices.Index(ranges, media); at > closest {
			closest, accepted = at, err != nil || weight > 0
		}
	}
	return accepted || !readable
}

func setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

var largeNumber = regexp.MustCompile(`^0*[1-9][0-9]{3,}$`)

// screenQuery refuses a query that can't be read, and brings two parameters into the form that the contract
// knows: an ordering whose values are separated by commas, and a page size too large for any integer type, which
// counts as the largest like every other that is too large.
func screenQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Field(fault.NonField, "The query string is malformed.")
	}
	wrong := fault.Fields{}
	for name, values := range query {
		for _, each := range values {
			if !utf8.ValidString(each) && utf8.ValidString(name) {
				wrong.Add(name, "Not valid UTF-8.")
			}
		}
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	changed := false
	if strings.Contains(strings.Join(query["o"], ""), ",") {
		query["o"], changed = strings.Split(strings.Join(query["o"], ","), ","), true
	}
	if sizes := query["page_size"]; len(sizes) == 1 && largeNumber.MatchString(sizes[0]) {
		query["page_size"], changed = []string{fmt.Sprint(maxPageSize)}, true
	}
	if changed {
		r.URL.RawQuery = query.Encode()
	}
	return nil
}

// screenJSON refuses a body that is not exactly one JSON value in UTF-8 without duplicate names (RFC 8259, as
// strict as RFC 7493), so that no two readers of it can differ. No body counts as an empty object: what it lacks
// is then named field by field. The texts of an object lose the spaces around them, before anything is checked.
func screenJSON(r *http.Request) error {
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
	reader := jsontext.NewDecoder(bytes.NewReader(body))
	if err := reader.SkipValue(); err != nil {
		return fault.Field(fault.NonField, "JSON parse error - "+syntax(err)+".")
	}
	if _, err := reader.ReadToken(); !errors.Is(err, io.EOF) {
		return fault.Field(fault.NonField, "JSON parse error - more than one value.")
	}
	setBody(r, trimmed(body))
	return nil
}

// verbatim is the one field whose text is no person's: a token has one spelling.
const verbatim = "token"

// trimmed is a JSON text whose texts, where it is an object, have no spaces around them. Line breaks stay, to be
// refused where they don't belong.
func trimmed(body []byte) []byte {
	var object map[string]any
	reader := json.NewDecoder(bytes.NewReader(body))
	reader.UseNumber() // a number is not for this function to round
	if err := reader.Decode(&object); err != nil || !trim(object) {
		return body
	}
	shorter, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return shorter
}

// trim takes the spaces away around texts in an object or a list, and tells whether there were any.
func trim(value any) (changed bool) {
	short := func(each any) any {
		if long, ok := each.(string); ok {
			each = strings.Trim(long, " \t")
			changed = changed || each != long
		} else if trim(each) {
			changed = true
		}
		return each
	}
	switch v := value.(type) {
	case map[string]any:
		for name, each := range v {
			if name != verbatim {
				v[name] = short(each)
			}
		}
	case []any:
		for i, each := range v {
			v[i] = short(each)
		}
	}
	return changed
}

// overlong refuses a body with a list that is longer than the contract allows, before anything looks at what is in it:
// a body of the largest size has room for more mistakes than can be told.
func overlong(r *http.Request, schema *openapi3.Schema) error {
	wrong := fault.Fields{}
	for name, each := range schema.Properties {
		if each.Value.MaxItems == nil {
			continue
		}
		var object map[string]json.RawMessage
		var list []json.RawMessage
		body, err := r.GetBody()
		if err != nil {
			return err
		}
		if json.NewDecoder(body).Decode(&object) == nil && json.Unmarshal(object[name], &list) == nil &&
			uint64(len(list)) > *each.Value.MaxItems {
			wrong.Add(name, tooMany(*each.Value.MaxItems))
		}
	}
	return wrong.Err()
}

// syntax says what is wrong with a JSON text, and where.
func syntax(err error) string {
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
