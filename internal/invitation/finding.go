package invitation

import (
	"context"

	"invited/internal/directory"
)

// ListBehind returns at most size invitations after a position, of those that List returns, or the first ones where the
// position is nil. The order is that of first creation, ascending or descending. It never changes for an invitation, so
// pages linked by Page.Next miss none. A page can be empty. ListBehind sets the query's Order and Behind, and what List
// sets.
func (s *Service) ListBehind(
	ctx context.Context, caller directory.Actor, q Query, behind *Position, newestFirst bool, size int,
) (out Page, err error) {
	q.Order, q.Behind = []directory.Order{{By: ByFirstCreated, Descending: newestFirst}}, behind
	q.Window = directory.Window{Limit: size + 1} // one more says whether there is a next page
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		s.restrict(tx, caller, &q)
		rows, total, err := tx.List(q)
		if err != nil {
			return err
		}
		out = Page{Total: total}
		if len(rows) > size {
			rows = rows[:size]
			out.Next = &Position{rows[size-1].FirstCreated, rows[size-1].UUID}
		}
		out.Invitations = s.views(tx, rows)
		return nil
	})
	return out, err
}
