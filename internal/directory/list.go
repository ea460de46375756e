package directory

import "invited/internal/fault"

// Order is one key to order a list by.
type Order struct {
	By         OrderBy
	Descending bool
}

// OrderBy names a key.
type OrderBy string

// Cut is the part of a list that a query is for.
type Cut struct{ Offset, Limit int }

// Paged is the page'th page of size rows of a list, from 1, with how many rows the list has in all. find finds a part of
// the list and says how many there are in all, unless the part is past the end. It returns fault.NotFound for a page
// past the end; page 1 of nothing is empty.
func Paged[Row any](page, size int, find func(Cut) ([]Row, int, error)) ([]Row, int, error) {
	if page > 1<<40/size { // past any end; kept from overflowing
		return nil, 0, fault.MissingPage()
	}
	cut := Cut{Offset: (page - 1) * size, Limit: size}
	rows, total, err := find(cut)
	if err != nil {
		return nil, 0, err
	}
	if page > 1 && cut.Offset >= total {
		return nil, 0, fault.MissingPage()
	}
	return rows, total, nil
}
