package api

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Sizes of a page of a list.
const (
	defaultPageSize = 10
	maxPageSize     = 300
)

type page struct{ number, size int }

// pageOf is the page that a client asks for; the contract has made sure that the numbers are positive.
func pageOf(number, size *int) page {
	p := page{1, defaultPageSize}
	if number != nil {
		p.number = *number
	}
	if size != nil {
		p.size = min(*size, maxPageSize)
	}
	return p
}

// links is the Link header (RFC 8288) of a page of total rows: first, prev, next and last, where they are, with
// every other parameter of the query kept.
func (p page) links(address string, query url.Values, total int) string {
	last := max(1, (total+p.size-1)/p.size)
	var all []string
	add := func(relation string, number int) {
		values := url.Values{}
		for name, each := range query {
			values[name] = each
		}
		values.Set("page", strconv.Itoa(number))
		all = append(all, fmt.Sprintf(`<%s?%s>; rel="%s"`, address, values.Encode(), relation))
	}
	add("first", 1)
	if p.number > 1 {
		add("prev", p.number-1)
	}
	if p.number < last {
		add("next", p.number+1)
	}
	add("last", last)
	return strings.Join(all, ", ")
}
