package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

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

// withQuery returns a context with the operation's own parameters among those of the query. It returns an error where
// they are longer than maxQuery once they are encoded, which a client may have left out.
func withQuery(ctx context.Context, query url.Values, operation *openapi3.Operation) (context.Context, error) {
	own := url.Values{}
	for _, parameter := range operation.Parameters {
		if values := query[parameter.Value.Name]; isQueryParameter(parameter) && values != nil {
			own[parameter.Value.Name] = values
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

var fourDigitsOrMore = regexp.MustCompile(`^0*[1-9][0-9]{3,}$`)

// sanitizeQuery rejects a query that can't be parsed or is not UTF-8. It rewrites two parameters into the form that
// the contract describes: an `o` whose values are separated by commas, and a page size that may be too large for any
// integer type, which becomes maxPageSize like every other page size that is too large.
func sanitizeQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Field(fault.NonField, "The query string is malformed.")
	}
	invalid := fault.Fields{}
	for name, values := range query {
		for _, value := range values {
			if !utf8.ValidString(value) && utf8.ValidString(name) {
				invalid.Add(name, "Not valid UTF-8.")
			}
		}
	}
	if err := invalid.Err(); err != nil {
		return err
	}
	changed := false
	if strings.Contains(strings.Join(query["o"], ""), ",") {
		query["o"], changed = strings.Split(strings.Join(query["o"], ","), ","), true
	}
	if sizes := query["page_size"]; len(sizes) == 1 && fourDigitsOrMore.MatchString(sizes[0]) {
		query["page_size"], changed = []string{strconv.Itoa(maxPageSize)}, true
	}
	if changed {
		r.URL.RawQuery = query.Encode()
	}
	return nil
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
