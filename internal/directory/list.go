package directory

import "invited/internal/fault"

// Order is one key that a list is ordered by.
type Order struct {
	By         OrderBy
	Descending bool
}

// OrderBy names a key.
type OrderBy string

// Window is the part of a list that a query returns.
type Window struct{ Offset, Limit int }

// Paginate returns the rows of one page, from 1, of a list with size rows a page, and the number of rows of the whole
// list. find returns the rows of a window and the length of the whole list. For a window past the end the length may be
// 0. Paginate returns fault.KindNotFound for a page past the end; page 1 of an empty list is empty.
func Paginate[Row any](page, size int, find func(Window) ([]Row, int, error)) ([]Row, int, error) {
	if page > 1<<40/size { // past the end of any list, and near to an overflow
		return nil, 0, fault.PageNotFound()
	}
	window := Window{Offset: (page - 1) * size, Limit: size}
	rows, total, err := find(window)
	if err != nil {
		return nil, 0, err
	}
	if page > 1 && window.Offset >= total {
		return nil, 0, fault.PageNotFound()
	}
	return rows, total, nil
}
