package api

import (
	"bytes"
	"context"
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

// validator checks requests against the contract. Echo has routed them already, by the same paths, so an
// operation is looked up by the route and not searched again.
type validator struct {
	routes  map[string]*routers.Route // by method and echo's path
	options *openapi3filter.Options
}

func newValidator(contract *openapi3.T) (*validator, error) {
	v := &validator{
		routes: map[string]*routers.Route{},
		options: &openapi3filter.Options{
			MultiError:              true,
			SkipSettingDefaults:     true,
			KeepValidatedValue:      true, // so that what is bound is what was validated, to the letter
			AuthenticationFunc:      openapi3filter.NoopAuthenticationFunc,
			SchemaValidationOptions: formats(),
		},
	}
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			v.routes[method+" "+echoPath(path)] = &routers.Route{
				Spec: contract, Path: path, PathItem: item, Method: method, Operation: operation,
			}
		}
	}
	if len(v.routes) == 0 {
		return nil, errors.New("the embedded contract has no operations")
	}
	return v, nil
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
		check("email", func(text string) bool { return directory.ValidEmail(strings.TrimSpace(text)) }),
		check("date-time", func(text string) bool { _, err := time.Parse(time.RFC3339, text); return err == nil }),
		check("uri", func(text string) bool { u, err := url.Parse(text); return err == nil && u.IsAbs() }),
	}
}

func (v *validator) route(c echo.Context) *routers.Route {
	return v.routes[c.Request().Method+" "+c.Path()]
}

// needsCaller tells whether the operation of a request has to know who calls.
func (v *validator) needsCaller(c echo.Context) bool {
	route := v.route(c)
	if route.Operation.Security != nil {
		return len(*route.Operation.Security) > 0
	}
	return len(route.Spec.Security) > 0
}

// screen refuses what no operation takes: a body that is too large, and text that is no text.
func (v *validator) screen(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, bodyLimit))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return echo.ErrStatusRequestEntityTooLarge
		} else if err != nil {
			return fault.Field(fault.NonField, "The request body ended too early.")
		}
		setBody(r, body)
		if err := screenQuery(r); err != nil {
			return err
		}
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
func (v *validator) validate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		route := v.route(c)
		if route.Operation.RequestBody != nil {
			if err := screenJSON(c.Request()); err != nil {
				return err
			}
		}
		parameters := map[string]string{}
		for i, name := range c.ParamNames() {
			parameters[name] = c.ParamValues()[i]
		}
		err := openapi3filter.ValidateRequest(c.Request().Context(), &openapi3filter.RequestValidationInput{
			Request: c.Request(), PathParams: parameters, Route: route, Options: v.options,
		})
		if err != nil {
			return refusal(err)
		}
		// Strict handlers are given the request's context only.
		ctx := context.WithValue(c.Request().Context(), queryKey{}, c.QueryParams())
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// screenJSON refuses a body that is not exactly one JSON value in UTF-8 without duplicate names (RFC 8259, as
// strict as RFC 7493), so that no two readers of it can differ. No body counts as an empty object: what it lacks
// is then named field by field.
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
		var syntax *jsontext.SyntacticError
		reason := "it is incomplete"
		if errors.As(err, &syntax) && syntax.Err != nil {
			reason = syntax.Err.Error()
		}
		return fault.Field(fault.NonField, "JSON parse error - "+reason+".")
	}
	if _, err := reader.ReadToken(); !errors.Is(err, io.EOF) {
		return fault.Field(fault.NonField, "JSON parse error - more than one value.")
	}
	setBody(r, body)
	return nil
}

// refuseOtherMethods answers 405, with the methods that there are, for every path of the contract and every method
// that the path has not. Without it, GET …/approve/ would be taken for the invitation called "approve".
func refuseOtherMethods(e *echo.Echo, contract *openapi3.T) {
	methods := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect,
	}
	for path, item := range contract.Paths.Map() {
		var allowed []string
		for _, method := range methods {
			if item.GetOperation(method) != nil {
				allowed = append(allowed, method)
			}
		}
		refuse := func(c echo.Context) error {
			c.Response().Header().Set(echo.HeaderAllow, strings.Join(allowed, ", "))
			return echo.ErrMethodNotAllowed
		}
		for _, method := range methods {
			if !slices.Contains(allowed, method) {
				e.Add(method, echoPath(path), refuse)
			}
		}
	}
}
