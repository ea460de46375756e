package directory

import "invited/internal/fault"

// Order is one key to order a list by.
type Order struct {
	By         OrderBy
	Descending bool
}

// OrderBy names a key.
type OrderBy string

// Window is the part of a list that a query is for.
type Window struct{ Offset, Limit int }

// Paginate is the page'th page of size rows of a list, from 1, with how many rows the list has in all. find finds a part of
// the list and says how many there are in all, unless the part is past the end. It returns fault.KindNotFound for a page
// past the end; page 1 of nothing is empty.
func Paginate[Row any](page, size int, find func(Window) ([]Row, int, error)) ([]Row, int, error) {
	if page > 1<<40/size { // past any end; kept from overflowing
		return nil, 0, fault.PageNotFound()
	}
	cut := Window{Offset: (page - 1) * size, Limit: size}
	rows, total, err := find(cut)
	if err != nil {
		return nil, 0, err
	}
	if page > 1 && cut.Offset >= total {
		return nil, 0, fault.PageNotFound()
	}
	return rows, total, nil
}
