package api

import (
	"net/http"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

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

// methodsOf are the methods that any path has.
func methodsOf(allowed map[string][]string) []string {
	var all []string
	for _, each := range methods {
		for _, has := range allowed {
			if slices.Contains(has, each) {
				all = append(all, each)
				break
			}
		}
	}
	return all
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
