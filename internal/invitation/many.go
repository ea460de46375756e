package invitation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// MaxMany is the number of invitations that one request acts on at most. Each is a transaction of its own, and all of them
// have to end within the time limit of a request, which is 20 s.
const MaxMany = 1_000

// manyMargin is the time before the deadline of a request from which on ActOnMany begins no invitation: the database has
// to answer about the last one, and the client has to get the results.
const manyMargin = 2 * time.Second

// ManyAction is what ActOnMany does to each invitation, as the API names it.
type ManyAction string

// The actions.
const (
	ManySend   ManyAction = "send"   // Service.Send
	ManyCancel ManyAction = "cancel" // Service.Cancel
	ManyDelete ManyAction = "delete" // Service.Delete
)

// ManyCode says what became of an invitation, as the API names it.
type ManyCode string

// The codes.
const (
	ManyDone     ManyCode = "done"
	ManyRefused  ManyCode = "refused"   // the caller may not do it, or a rule or a limit refuses it
	ManyNotFound ManyCode = "not_found" // there is no such invitation, or the caller may not manage it
	ManyFailed   ManyCode = "failed"    // the server could not finish the action
	ManyNotTried ManyCode = "not_tried" // the server gave up before this invitation
)

// ManyResult is what became of one invitation.
type ManyResult struct {
	UUID  uuid.UUID
	Email string // empty: the caller does not see the invitation, or it was not tried
	Code  ManyCode
	Err   error // of Send, Cancel or Delete; nil: the code is ManyDone or ManyNotTried
}

// ActOnMany does something to each of several invitations, in their order, as if the caller did it to each one by itself:
// an invitation that is refused keeps no other from it. One that is named twice is taken once. ActOnMany ends early where
// the server fails on an invitation, or the deadline of the request is near; the others are ManyNotTried then. It returns an
// error, and no results, only where the server failed on the first one.
func (s *Service) ActOnMany(ctx context.Context, caller directory.Actor, action ManyAction, ids []uuid.UUID) ([]ManyResult, error) {
	do := map[ManyAction]func(context.Context, directory.Actor, uuid.UUID) error{
		ManySend: s.Send, ManyCancel: s.Cancel, ManyDelete: s.Delete,
	}[action]
	results := make([]ManyResult, 0, len(ids))
	taken := make(map[uuid.UUID]bool, len(ids))
	gaveUp := false
	for _, id := range ids {
		if taken[id] {
			continue
		}
		taken[id] = true
		if gaveUp = gaveUp || nearDeadline(ctx); gaveUp {
			results = append(results, ManyResult{UUID: id, Code: ManyNotTried})
			continue
		}
		found, err := s.Retrieve(ctx, caller, id)
		if err == nil {
			err = do(ctx, caller, id)
		}
		code := manyCode(err)
		if code == ManyFailed {
			if len(results) == 0 {
				return nil, err
			}
			gaveUp = true
			s.logManyFailure(ctx, action, err)
		}
		results = append(results, ManyResult{UUID: id, Email: found.Email, Code: code, Err: err})
	}
	return results, nil
}

// manyCode returns the code for the error of the action on one invitation.
func manyCode(err error) ManyCode {
	var f *fault.Error
	switch {
	case err == nil:
		return ManyDone
	case !errors.As(err, &f):
		return ManyFailed
	}
	switch f.Kind {
	case fault.KindNotFound:
		return ManyNotFound
	case fault.KindUnavailable, fault.KindUnauthenticated: // it would be the same for all others
		return ManyFailed
	default:
		return ManyRefused
	}
}

func (s *Service) logManyFailure(ctx context.Context, action ManyAction, err error) {
	if s.Logger != nil {
		s.Logger.ErrorContext(ctx, "acting on many invitations ended early", "action", action, "request_id", RequestID(ctx), "error", err)
	}
}

func nearDeadline(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < manyMargin
}

// SelectAll returns the invitations that the caller sees in the list and the query asks for, the newest first. expected is
// the number that the caller was told. SelectAll returns fault.KindInvalid where more than limit match, and
// fault.KindConflict where another number match.
func (s *Service) SelectAll(ctx context.Context, caller directory.Actor, q Query, expected, limit int) ([]uuid.UUID, error) {
	found, err := s.List(ctx, caller, q, 1, limit)
	switch {
	case err != nil:
		return nil, err
	case found.Total > limit:
		return nil, fault.Field("filter", fmt.Sprintf("More than %d invitations match. Narrow the filter. Nothing was changed.", limit))
	}
	ids := make([]uuid.UUID, len(found.Invitations))
	for i, view := range found.Invitations {
		ids[i] = view.UUID
	}
	switch len(ids) { // not Total: rows can come or go between the two statements of a list
	case expected:
		return ids, nil
	case 1:
		return nil, fault.Conflict("The list has changed: 1 invitation matches now. Look again. Nothing was changed.")
	default:
		return nil, fault.Conflict(fmt.Sprintf("The list has changed: %d invitations match now. Look again. Nothing was changed.", len(ids)))
	}
}
