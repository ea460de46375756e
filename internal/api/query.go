package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
)

// maxQuery is the length of the longest accepted query, in bytes. It bounds the Link header, which has the query four
// times: a gateway takes a response whose headers do not fit its buffers for a failure of the server.
const maxQuery = 4096

var errQueryTooLong = echo.NewHTTPError(http.StatusRequestURITooLong, fmt.Sprintf("The query is longer than %d bytes.", maxQuery))

// limitQuery answers 414 to a query that is longer than maxQuery, before anything reads the query.
func limitQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if len(c.Request().URL.RawQuery) > maxQuery {
			return errQueryTooLong
		}
		return next(c)
	}
}

type queryKey struct{}

// withQuery returns a context with the operation's own parameters among those of the query, as the client wrote them. It
// returns an error where they are longer than maxQuery once they are encoded, which a client may have left out.
func withQuery(ctx context.Context, query url.Values, operation *openapi3.Operation) (context.Context, error) {
	own := url.Values{}
	for name, values := range query {
		plain := bracketed.ReplaceAllString(name, "$1")
		if slices.ContainsFunc(operation.Parameters, func(p *openapi3.ParameterRef) bool {
			return isQueryParameter(p) && p.Value.Name == plain
		}) {
			own[name] = values
		}
	}
	if len(own.Encode()) > maxQuery {
		return nil, errQueryTooLong
	}
	return context.WithValue(ctx, queryKey{}, own), nil
}

// queryOf returns the operation's own parameters among those of the request's query. Strict handlers get the request's
// context only, so validate stores them there.
func queryOf(ctx context.Context) url.Values {
	values, _ := ctx.Value(queryKey{}).(url.Values)
	return values
}

var (
	fourDigitsOrMore = regexp.MustCompile(`^0*[1-9][0-9]{3,}$`)
	bracketed        = regexp.MustCompile(`^([^\[\]]+)\[[0-9]*\]$`)
)

// ignoreUnknown is an extension of a parameter: values that the contract does not know are ignored.
const ignoreUnknown = "x-ignore-unknown-values"

// sanitizeQuery rewrites a query into the form that the contract describes, and returns the query as it was. It rejects a
// query that can't be parsed or is not UTF-8.
//
//   - Clients write lists as `state=a&state=b`, `state=a,b`, `state[]=a` or `state[0]=a`, which all mean the same. Brackets
//     behind another name are an error: a filter that is ignored would return too many rows.
//   - An empty value is that of a parameter that is not there. What is blank at the ends of a value is left out.
//   - The page "last" becomes directory.LastPage, and an empty cursor cursorStart.
//   - A page size that may be too large for any integer type becomes maxPageSize, as every other that is too large.
func sanitizeQuery(r *http.Request, operation *openapi3.Operation) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return url.Values{}, nil
	}
	written, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.Field(fault.NonField, "The query string is malformed.")
	}
	invalid := fault.Fields{}
	query := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		list, values := name, written[name]
		if strings.Contains(name, "[") && utf8.ValidString(name) {
			list = bracketed.ReplaceAllString(name, "$1")
			if listParameter(operation, list) == nil {
				invalid.Add(name, "There is no such list.")
			}
		}
		for _, value := range values {
			if !utf8.ValidString(value) && utf8.ValidString(name) {
				invalid.Add(name, "Not valid UTF-8.")
			}
		}
		for _, value := range values {
			query[list] = append(query[list], directory.Trim(value))
		}
	}
	if err := invalid.Err(); err != nil {
		return nil, err
	}
	for name, values := range query {
		if list := listParameter(operation, name); list != nil {
			values = readList(list, values)
		} else if name == "page" {
			values = readPage(values)
		} else if name == "cursor" && len(values) == 1 && values[0] == "" && operation.Parameters.GetByInAndName("query", name) != nil {
			values = []string{cursorStart}
		} else if len(values) == 1 && values[0] == "" {
			values = nil
		}
		if len(values) == 0 {
			delete(query, name)
		} else {
			query[name] = values
		}
	}
	if sizes := query["page_size"]; len(sizes) == 1 && fourDigitsOrMore.MatchString(sizes[0]) {
		query["page_size"] = []string{strconv.Itoa(maxPageSize)}
	}
	r.URL.RawQuery = query.Encode()
	return written, nil
}

// readPage returns the values of the parameter `page`.
func readPage(values []string) []string {
	if len(values) != 1 {
		return values
	}
	switch number, err := strconv.Atoi(values[0]); {
	case values[0] == "":
		return nil
	case values[0] == "last":
		return []string{strconv.Itoa(directory.LastPage)}
	case err == nil && number == directory.LastPage: // somebody's own number, and there is no such page
		return []string{strconv.Itoa(directory.LastPage - 1)}
	}
	return values
}

// listParameter returns the operation's query parameter with a name; nil where there is none that takes a list.
func listParameter(operation *openapi3.Operation, name string) *openapi3.Parameter {
	for _, parameter := range operation.Parameters {
		if p := parameter.Value; p.Name == name && isQueryParameter(parameter) && p.Schema.Value.Type.Is(openapi3.TypeArray) {
			return p
		}
	}
	return nil
}

// readList returns the values of a list. No value has a comma in it.
func readList(list *openapi3.Parameter, values []string) []string {
	values = slices.DeleteFunc(strings.Split(strings.Join(values, ","), ","), func(value string) bool { return value == "" })
	if list.Extensions[ignoreUnknown] == true {
		known := list.Schema.Value.Items.Value.Enum
		values = slices.DeleteFunc(values, func(value string) bool { return !slices.Contains(known, any(value)) })
	}
	return values
}

// checkRepeated rejects a query that repeats a parameter which takes one value. Readers of a query differ in whether
// they take the first or the last.
func checkRepeated(query url.Values, operation *openapi3.Operation) error {
	invalid := fault.Fields{}
	for _, parameter := range operation.Parameters {
		p := parameter.Value
		if isQueryParameter(parameter) && len(query[p.Name]) > 1 && !p.Schema.Value.Type.Is(openapi3.TypeArray) {
			invalid.Add(p.Name, "Given more than once.")
		}
	}
	return invalid.Err()
}

func isQueryParameter(p *openapi3.ParameterRef) bool { return p.Value.In == openapi3.ParameterInQuery }
