package api

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// responseType returns the media type of an operation's response where the operation succeeds.
func responseType(operation *openapi3.Operation) string {
	if ok := operation.Responses.Status(http.StatusOK); ok != nil && ok.Value.Content.Get(mimeCSV) != nil {
		return mimeCSV
	}
	return echo.MIMEApplicationJSON
}

// requireAccepted answers 406 where the Accept header admits no response of a media type, before anything is done for the
// request.
func requireAccepted(media string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !accepts(strings.Join(c.Request().Header.Values(echo.HeaderAccept), ","), media) {
				return echo.ErrNotAcceptable
			}
			return next(c)
		}
	}
}

// accepts reports whether an Accept header admits a media type. The most specific matching range decides (RFC 9110, section
// 12.5.1). Parameters other than the weight are ignored, and so are ranges that can't be parsed.
func accepts(accept, wanted string) bool {
	kind, _, _ := strings.Cut(wanted, "/")
	leastSpecificFirst := []string{"*/*", kind + "/*", wanted}
	mostSpecific, accepted, parsed := -1, false, false
	for part := range strings.SplitSeq(accept, ",") {
		media, parameters, err := mime.ParseMediaType(part)
		if err != nil || !strings.Contains(media, "/") {
			continue
		}
		parsed = true
		weight, err := strconv.ParseFloat(parameters["q"], 64)
		if i := slices.Index(leastSpecificFirst, media); i > mostSpecific {
			mostSpecific, accepted = i, err != nil || weight > 0
		}
	}
	return accepted || !parsed
}
