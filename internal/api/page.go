package api

import (
	"fmt"
	"maps"
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
		page := strconv.Itoa(number)
		if number == 1 {
			page = ""
		}
		links = append(links, link(relation, address, query, "page", page))
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

// link returns the link to an address with a query, of which one parameter has another value; an empty one is left out.
func link(relation, address string, query url.Values, name, value string) string {
	values := maps.Clone(query)
	if values == nil {
		values = url.Values{}
	}
	values.Set(name, value)
	if value == "" {
		values.Del(name)
	}
	if encoded := values.Encode(); encoded != "" {
		address += "?" + strings.ReplaceAll(encoded, "%2C", ",") // as most clients write lists
	}
	return fmt.Sprintf(`<%s>; rel="%s"`, address, relation)
}
