package api

import (
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
	"golang.org/x/sync/semaphore"

	"invited/internal/directory"
	"invited/internal/idempotency"
	"invited/internal/invitation"
	"invited/internal/signin"
)

// operationMiddlewares returns the middlewares of each operation, by operation id, in the order in which a request
// passes them. Echo has routed the request by then, so the validator gets the route and does not search for it.
func operationMiddlewares(
	contract *openapi3.T, callers *signin.Chain, service *invitation.Service, keys *idempotency.Service,
) (map[string][]echo.MiddlewareFunc, error) {
	options := &openapi3filter.Options{
		MultiError:              true,
		SkipSettingDefaults:     true,
		KeepValidatedValue:      true, // the handler binds exactly the bytes that were validated
		AuthenticationFunc:      openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions: stringFormats(),
	}
	memory, memoryOfRows := newBodyMemory(), newBulkMemory()
	middlewares := map[string][]echo.MiddlewareFunc{}
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			chain := []echo.MiddlewareFunc{nameOperation(operation.OperationID), requireAccepted(responseType(operation)), limitQuery}
			security := contract.Security
			if operation.Security != nil {
				security = *operation.Security
			}
			authenticated := len(security) > 0
			if authenticated {
				scope, err := tokenScopeOf(operation)
				if err != nil {
					return nil, err
				}
				isOptional := slices.ContainsFunc(security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 })
				chain = append(chain, authenticate(callers, isOptional), checkScope(scope))
			}
			// The validator looks at the operation only, so it gets the path's parameters too.
			complete := *operation
			complete.Parameters = slices.Concat(item.Parameters, operation.Parameters)
			complete.Security = &openapi3.SecurityRequirements{} // authenticate knows them, and the validator would copy the body
			if method == http.MethodGet || method == http.MethodHead {
				chain = append(chain, dropBody)
			} else {
				limit, err := bodyLimitOf(operation, authenticated)
				if err != nil {
					return nil, err
				}
				switch {
				case operation.OperationID == bulkCreate:
					chain = append(chain, memoryOfRows.admit, limitBody(limit, memoryOfRows.readBody))
					complete.RequestBody = nil // readRows checks it
				case operation.RequestBody != nil:
					chain = append(chain, limitBody(limit, memory.readBody))
				default:
					chain = append(chain, limitBody(limit, nil))
				}
			}
			keyed := authenticated && method == http.MethodPost
			if keyed {
				chain = append(chain, checkKey)
			}
			refuse := func(_ echo.Context, err error) error { return err }
			if operation.OperationID == "user_invitations_create" {
				refuse = checkDraft(service)
			}
			chain = append(chain, validate(&routers.Route{
				Spec: contract, Path: path, PathItem: item, Method: method, Operation: &complete,
			}, options, memory.decoding(authenticated), refuse))
			if operation.OperationID == bulkCreate {
				chain = append(chain, memoryOfRows.readRows)
			}
			if keyed {
				chain = append(chain, keepAnswer(keys, operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, "dry_run") != nil))
			}
			middlewares[operation.OperationID] = chain
		}
	}
	if len(middlewares) == 0 {
		return nil, errors.New("the embedded contract has no operations")
	}
	return middlewares, nil
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// echoPath converts a path of the contract to echo's syntax.
func echoPath(path string) string { return pathParameter.ReplaceAllString(path, ":$1") }

// stringFormats returns the checks of the contract's string formats.
func stringFormats() []openapi3.SchemaValidationOption {
	format := func(name string, valid func(string) bool) openapi3.SchemaValidationOption {
		return openapi3.WithStringFormatValidator(name, openapi3.NewCallbackValidator(func(value string) error {
			if !valid(value) {
				return fmt.Errorf("not a valid %s", name)
			}
			return nil
		}))
	}
	return []openapi3.SchemaValidationOption{
		format("uuid", func(value string) bool { _, ok := directory.ParseUUID(value); return ok }),
		format("email", directory.ValidEmail),
		format("date-time", func(value string) bool { _, err := time.Parse(time.RFC3339, value); return err == nil }),
		format("uri", func(value string) bool { u, err := url.Parse(value); return err == nil && u.IsAbs() }),
	}
}

// validate rejects a request that does not conform to the contract, with the error that refuse makes of the validator's. The
// limit is that of the bytes that are being decoded.
func validate(
	route *routers.Route, options *openapi3filter.Options, limit *semaphore.Weighted, refuse func(echo.Context, error) error,
) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			query, err := checkRequest(c, route, options, limit)
			if err != nil {
				return refuse(c, err)
			}
			ctx, err := withQuery(c.Request().Context(), query, route.Operation)
			if err != nil {
				return err
			}
			c.SetRequest(c.Request().WithContext(ctx))
			return next(c)
		}
	}
}

// checkRequest sanitizes the body and the query of a request, then checks the request against the contract. It returns the
// query as the client wrote it.
func checkRequest(
	c echo.Context, route *routers.Route, options *openapi3filter.Options, limit *semaphore.Weighted,
) (query url.Values, err error) {
	if body := route.Operation.RequestBody; body != nil {
		release, err := reserve(c.Request().Context(), limit, c.Request().ContentLength)
		if err != nil {
			return nil, err
		}
		defer release()
		if err := sanitizeJSON(c.Request(), body.Value.Content.Get(echo.MIMEApplicationJSON).Schema.Value); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(route.Operation.Parameters, isQueryParameter) {
		if query, err = sanitizeQuery(c.Request(), route.Operation); err != nil {
			return nil, err
		}
		if err := checkRepeated(c.QueryParams(), route.Operation); err != nil {
			return nil, err
		}
	}
	parameters := map[string]string{}
	for i, name := range c.ParamNames() {
		parameters[name] = c.ParamValues()[i]
	}
	err = openapi3filter.ValidateRequest(c.Request().Context(), &openapi3filter.RequestValidationInput{
		Request: c.Request(), PathParams: parameters, Route: route, Options: options,
	})
	if err != nil {
		return nil, validationError(err)
	}
	return query, nil
}
