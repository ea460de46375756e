package api

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"invited/internal/directory"
)

// Sizes of a page of a list, in rows.
const (
	defaultPageSize = 10
	maxPageSize     = 300
)

// pageRequest is the page of a list that a client asks for. Numbers start at 1, or are directory.LastPage.
type pageRequest struct{ number, size int }

// pageOf returns the page that the parameters `page` and `page_size` ask for. The validator has checked that both are
// positive.
func pageOf(number, size *int) pageRequest {
	p := pageRequest{1, defaultPageSize}
	if number != nil {
		p.number = *number
	}
	if size != nil {
		p.size = min(*size, maxPageSize)
	}
	return p
}

// linkHeader returns the Link header (RFC 8288) of a page of a list with total rows: first, last, and prev and next
// where there are such pages. The links keep every other parameter of the query, which has the list's own ones only, and the
// link to page 1 has no page.
func (p pageRequest) linkHeader(address string, query url.Values, total int) string {
	last := max(1, (total+p.size-1)/p.size)
	number := p.number
	if number == directory.LastPage {
		number = last
	}
	var links []string
	add := func(relation string, number int) {
		values := url.Values{}
		for name, value := range query {
			values[name] = value
		}
		values.Set("page", strconv.Itoa(number))
		if number == 1 {
			values.Del("page")
		}
		target := address
		if encoded := values.Encode(); encoded != "" {
			target += "?" + strings.ReplaceAll(encoded, "%2C", ",") // as most clients write lists
		}
		links = append(links, fmt.Sprintf(`<%s>; rel="%s"`, target, relation))
	}
	add("first", 1)
	if number > 1 {
		add("prev", number-1)
	}
	if number < last {
		add("next", number+1)
	}
	add("last", last)
	return strings.Join(links, ", ")
}
