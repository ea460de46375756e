package api

import (
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// requireJSONAccepted answers 406 where the Accept header admits no JSON, before anything is done for the request.
func requireJSONAccepted(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !acceptsJSON(strings.Join(c.Request().Header.Values(echo.HeaderAccept), ",")) {
			return echo.ErrNotAcceptable
		}
		return next(c)
	}
}

// acceptsJSON reports whether an Accept header admits application/json. The most specific matching range decides
// (RFC 9110, section 12.5.1). Parameters other than the weight are ignored, and so are ranges that can't be parsed.
func acceptsJSON(accept string) bool {
	leastSpecificFirst := []string{"*/*", "application/*", echo.MIMEApplicationJSON}
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
