package api

import (
	"net/http"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// methods are the methods that OpenAPI knows, in the order of an Allow header.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

// headOperations returns the paths of the contract, in echo's syntax, that have an operation for HEAD.
func headOperations(contract *openapi3.T) map[string]bool {
	own := map[string]bool{}
	for path, item := range contract.Paths.Map() {
		own[echoPath(path)] = item.Head != nil
	}
	return own
}

// allowedMethods returns the methods of each path of the contract: those that have an operation, and HEAD beside GET. The
// keys are paths in echo's syntax.
func allowedMethods(contract *openapi3.T) map[string][]string {
	allowed := map[string][]string{}
	for path, item := range contract.Paths.Map() {
		for _, method := range methods {
			if item.GetOperation(method) != nil || (method == http.MethodHead && item.Get != nil) {
				allowed[echoPath(path)] = append(allowed[echoPath(path)], method)
			}
		}
	}
	return allowed
}

// usedMethods returns the methods that at least one path has.
func usedMethods(allowed map[string][]string) []string {
	var used []string
	for _, method := range methods {
		for _, ofPath := range allowed {
			if slices.Contains(ofPath, method) {
				used = append(used, method)
				break
			}
		}
	}
	return used
}

// rejectOtherMethods answers 405 for every method that a path does not have. Without it the router would match
// GET …/approve/ with the path of an invitation, and take "approve" for a uuid.
func rejectOtherMethods(e *echo.Echo, allowed map[string][]string) {
	for path, ofPath := range allowed {
		for _, method := range methods {
			if !slices.Contains(ofPath, method) {
				e.Add(method, path, func(echo.Context) error { return echo.ErrMethodNotAllowed })
			}
		}
	}
}
