package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
)

// guard returns, by operation id, what a request passes before it reaches the handler of its operation. Echo has
// routed it by the paths of the contract already, so the validator is told the route and does not search again.
func guard(contract *openapi3.T, keys directory.Keys) (map[string][]echo.MiddlewareFunc, error) {
	options := &openapi3filter.Options{
		MultiError:              true,
		SkipSettingDefaults:     true,
		KeepValidatedValue:      true, // so that what is bound is what was validated, to the letter
		AuthenticationFunc:      openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions: formats(),
	}
	guards := map[string][]echo.MiddlewareFunc{}
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			var chain []echo.MiddlewareFunc
			security := contract.Security
			if operation.Security != nil {
				security = *operation.Security
			}
			if len(security) > 0 {
				chain = append(chain, authenticate(keys))
			}
			if method == http.MethodGet {
				chain = append(chain, bodiless)
			} else {
				chain = append(chain, screenBody(operation.RequestBody != nil))
			}
			guards[operation.OperationID] = append(chain, validate(&routers.Route{
				Spec: contract, Path: path, PathItem: item, Method: method, Operation: operation,
			}, options))
		}
	}
	if len(guards) == 0 {
		return nil, errors.New("the embedded contract has no operations")
	}
	return guards, nil
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// echoPath is a path of the contract as echo writes it.
func echoPath(path string) string { return pathParameter.ReplaceAllString(path, ":$1") }

// formats are the string formats of the contract as this server understands them.
func formats() []openapi3.SchemaValidationOption {
	check := func(name string, valid func(string) bool) openapi3.SchemaValidationOption {
		return openapi3.WithStringFormatValidator(name, openapi3.NewCallbackValidator(func(text string) error {
			if !valid(text) {
				return fmt.Errorf("not a valid %s", name)
			}
			return nil
		}))
	}
	return []openapi3.SchemaValidationOption{
		check("uuid", func(text string) bool { _, ok := directory.ParseUUID(text); return ok }),
		check("email", directory.ValidEmail),
		check("date-time", func(text string) bool { _, err := time.Parse(time.RFC3339, text); return err == nil }),
		check("uri", func(text string) bool { u, err := url.Parse(text); return err == nil && u.IsAbs() }),
	}
}

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
	if largeNumber.MatchString(query.Get("page_size")) {
		query["page_size"], changed = []string{fmt.Sprint(maxPageSize)}, true
	}
	if changed {
		r.URL.RawQuery = query.Encode()
	}
	return nil
}

// validate refuses a request that the contract does not allow.
func validate(route *routers.Route, options *openapi3filter.Options) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := conforming(c, route, options); err != nil {
				return err
			}
			// Strict handlers are given the request's context only.
			ctx := context.WithValue(c.Request().Context(), queryKey{}, c.QueryParams())
			c.SetRequest(c.Request().WithContext(ctx))
			return next(c)
		}
	}
}

func conforming(c echo.Context, route *routers.Route, options *openapi3filter.Options) error {
	if route.Operation.RequestBody != nil {
		if err := screenJSON(c.Request()); err != nil {
			return err
		}
	}
	if len(route.Operation.Parameters) > 0 {
		if err := screenQuery(c.Request()); err != nil {
			return err
		}
		if err := onceEach(c.QueryParams(), route.Operation); err != nil {
			return err
		}
	}
	parameters := map[string]string{}
	for i, name := range c.ParamNames() {
		parameters[name] = c.ParamValues()[i]
	}
	err := openapi3filter.ValidateRequest(c.Request().Context(), &openapi3filter.RequestValidationInput{
		Request: c.Request(), PathParams: parameters, Route: route, Options: options,
	})
	if err != nil {
		return refusal(err)
	}
	return nil
}

// onceEach refuses a query that gives a parameter twice which has one value: readers differ in which they take.
func onceEach(query url.Values, operation *openapi3.Operation) error {
	wrong := fault.Fields{}
	for _, each := range operation.Parameters {
		p := each.Value
		if p.In == openapi3.ParameterInQuery && len(query[p.Name]) > 1 && !p.Schema.Value.Type.Is(openapi3.TypeArray) {
			wrong.Add(p.Name, "Given more than once.")
		}
	}
	return wrong.Err()
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
	if err := reader.Decode(&object); err != nil {
		return body
	}
	changed := false
	for name, value := range object {
		if long, ok := value.(string); ok && name != verbatim {
			short := strings.Trim(long, " \t")
			object[name], changed = short, changed || short != long
		}
	}
	if !changed {
		return body
	}
	shorter, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return shorter
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

// methods are those that a path of the contract can have.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

// allowedMethods are the methods of each path of the contract, by echo's path.
func allowedMethods(contract *openapi3.T) map[string][]string {
	allowed := map[string][]string{}
	for path, item := range contract.Paths.Map() {
		for _, method := range methods {
			if item.GetOperation(method) != nil {
				allowed[echoPath(path)] = append(allowed[echoPath(path)], method)
			}
		}
	}
	return allowed
}

// refuseOtherMethods answers 405 for every method that a path has not. Without it, GET …/approve/ would be taken
// for the invitation called "approve".
func refuseOtherMethods(e *echo.Echo, allowed map[string][]string) {
	for path, has := range allowed {
		for _, method := range methods {
			if !slices.Contains(has, method) {
				e.Add(method, path, func(echo.Context) error { return echo.ErrMethodNotAllowed })
			}
		}
	}
}
