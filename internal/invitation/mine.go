package invitation

import (
	"context"
	"time"

	"invited/internal/directory"
)

// Invitee is the person whose own invitations a query asks for.
type Invitee struct {
	Email       string // folded; empty: nothing is meant for them
	CivilNumber string
	// DeclinedAfter is the present time less UndoPeriod.
	DeclinedAfter time.Time
}

// Mine returns a page of the invitations that the caller can answer. They are for the caller's address, and for the
// caller's civil number where the invitation has one. They are pending, wait for their project to start, or were
// declined and UndoDecline would make them pending again; states narrows the list further, and none: all. Those into a
// removed scope are left out. Pages are numbered from 1 and have size invitations, the newest first. Mine returns
// fault.KindNotFound for a page past the end; page 1 of an empty list is empty.
func (s *Service) Mine(ctx context.Context, caller directory.Actor, states []State, page, size int) (out Page, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		out, err = s.page(tx, s.mine(tx, caller, states), page, size)
		return err
	})
	return out, err
}

// CountMine returns the number of invitations on all pages of Mine.
func (s *Service) CountMine(ctx context.Context, caller directory.Actor, states []State) (total int, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		total, err = tx.Count(s.mine(tx, caller, states))
		return err
	})
	return total, err
}

// mine returns the query of Mine.
func (s *Service) mine(tx Tx, caller directory.Actor, states []State) Query {
	return Query{States: states, Cutoff: s.cutoff(tx), Invitee: &Invitee{
		Email: caller.EmailFolded, CivilNumber: caller.CivilNumber, DeclinedAfter: tx.Now().Add(-UndoPeriod),
	}}
}

// UndoUntil returns the moment from which the invitee can't undo their decline; nil: they did not decline.
func (v View) UndoUntil() *time.Time {
	if !v.IsDeclined() {
		return nil
	}
	until := v.DeclinedAt.Add(UndoPeriod)
	if v.Expires.Before(until) {
		until = v.Expires
	}
	return &until
}
