package invitation

import (
	"context"

	"invited/internal/directory"
)

// ListBehind returns the first invitations, at most size, that come behind a position, of those that List returns; from the
// start where the position is nil. They are in the order in which they were first created, or the reverse of it. Nothing
// that happens to an invitation moves it in this order, so that each one that the query finds throughout is on one of the pages
// that follow each other by Page.Next. Nothing may be behind a position. ListBehind sets the query's Order and Behind, and what
// List sets.
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
		for _, row := range rows {
			out.Invitations = append(out.Invitations, s.view(tx, row))
		}
		return nil
	})
	return out, err
}
