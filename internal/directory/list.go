package directory

import (
	"math"

	"invited/internal/fault"
)

// Order is one key that a list is ordered by.
type Order struct {
	By         OrderBy
	Descending bool
}

// OrderBy names a key.
type OrderBy string

// Window is the part of a list that a query returns.
type Window struct{ Offset, Limit int }

// LastPage is the number by which Paginate is asked for the last page. It is the highest that the contract allows.
const LastPage = math.MaxInt32

// Paginate returns the rows of one page, from 1, of a list with size rows a page, and the number of rows of the whole
// list. find returns the rows of a window and the length of the whole list. For a window past the end the length may be
// 0. Paginate returns fault.KindNotFound for a page past the end; page 1 of an empty list is empty.
func Paginate[Row any](page, size int, find func(Window) ([]Row, int, error)) ([]Row, int, error) {
	if page == LastPage {
		return lastPage(size, find)
	}
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

// lastPage is Paginate for the last page. Rows that are added between the two looks at the list are not on it.
func lastPage[Row any](size int, find func(Window) ([]Row, int, error)) ([]Row, int, error) {
	rows, total, err := find(Window{Limit: size})
	if err != nil || total <= size {
		return rows, total, err
	}
	rows, _, err = find(Window{Offset: (total - 1) / size * size, Limit: size})
	return rows, total, err
}
