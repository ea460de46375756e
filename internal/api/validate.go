package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
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
			chain := []echo.MiddlewareFunc{acceptable}
			security := contract.Security
			if operation.Security != nil {
				security = *operation.Security
			}
			if len(security) > 0 {
				chain = append(chain, authenticate(keys))
			}
			if method == http.MethodGet || method == http.MethodHead {
				chain = append(chain, bodiless)
			} else {
				chain = append(chain, screenBody(operation.RequestBody != nil))
			}
			// What all operations of a path take is the operation's too.
			whole := *operation
			whole.Parameters = slices.Concat(item.Parameters, operation.Parameters)
			guards[operation.OperationID] = append(chain, validate(&routers.Route{
				Spec: contract, Path: path, PathItem: item, Method: method, Operation: &whole,
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
	if body := route.Operation.RequestBody; body != nil {
		if err := screenJSON(c.Request()); err != nil {
			return err
		}
		if err := overlong(c.Request(), body.Value.Content.Get(echo.MIMEApplicationJSON).Schema.Value); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(route.Operation.Parameters, inQuery) {
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

func inQuery(p *openapi3.ParameterRef) bool { return p.Value.In == openapi3.ParameterInQuery }

// onceEach refuses a query that gives a parameter twice which has one value: readers differ in which they take.
func onceEach(query url.Values, operation *openapi3.Operation) error {
	wrong := fault.Fields{}
	for _, each := range operation.Parameters {
		p := each.Value
		if inQuery(each) && len(query[p.Name]) > 1 && !p.Schema.Value.Type.Is(openapi3.TypeArray) {
			wrong.Add(p.Name, "Given more than once.")
		}
	}
	return wrong.Err()
}
