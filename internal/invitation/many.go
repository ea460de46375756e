package invitation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// MaxMany is the number of invitations that one request acts on at most: all actions have to end within the time limit
// of a request, which is 20 s.
const MaxMany = 1_000

// MaxManyTogether is MaxMany for a request whose actions are one transaction, which holds the locks of all of them, and
// on SQLite keeps every other writer waiting.
const MaxManyTogether = 100

// manyMargin is the time that ActOnMany keeps free before the request's deadline. No action begins within it.
const manyMargin = 2 * time.Second

// ManyAction names an action of ActOnMany, as the API does.
type ManyAction string

// The actions.
const (
	ManySend   ManyAction = "send"   // Service.Send
	ManyCancel ManyAction = "cancel" // Service.Cancel
	ManyDelete ManyAction = "delete" // Service.Delete
)

// ManyCode names the outcome of an action on one invitation, as the API does.
type ManyCode string

// The codes.
const (
	ManyDone     ManyCode = "done"
	ManyRefused  ManyCode = "refused"   // the caller may not do it, or a rule or a limit refuses it
	ManyNotFound ManyCode = "not_found" // there is no such invitation, or the caller may not manage it
	ManyFailed   ManyCode = "failed"    // the server could not finish the action
	ManyNotTried ManyCode = "not_tried" // the server gave up before this invitation
)

// ManyResult is the outcome of an action on one invitation.
type ManyResult struct {
	UUID  uuid.UUID
	Email string // empty: the caller does not see the invitation, or it was not tried
	Code  ManyCode
	Err   error // of Send, Cancel or Delete; nil: the code is ManyDone or ManyNotTried
}

// ActOnMany does something to each of several invitations, as if the caller did it to each one by itself: a refused
// invitation does not stop the others. One that is named twice is taken once. The results are in the order of ids. The
// actions are in the order of the uuids, so that two requests that act on the same invitations in one transaction each
// don't wait for each other. ActOnMany ends early where the server fails on an invitation, or the deadline of the
// request is near; the others are ManyNotTried then. It returns an error, and no results, only where the server failed
// on the first one.
func (s *Service) ActOnMany(ctx context.Context, caller directory.Actor, action ManyAction, ids []uuid.UUID) ([]ManyResult, error) {
	do := map[ManyAction]func(context.Context, directory.Actor, uuid.UUID) error{
		ManySend: s.Send, ManyCancel: s.Cancel, ManyDelete: s.Delete,
	}[action]
	order := slices.Clone(ids)
	slices.SortFunc(order, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	became := make(map[uuid.UUID]ManyResult, len(ids))
	gaveUp := false
	for _, id := range slices.Compact(order) {
		if gaveUp = gaveUp || nearDeadline(ctx); gaveUp {
			became[id] = ManyResult{UUID: id, Code: ManyNotTried}
			continue
		}
		found, err := s.Retrieve(ctx, caller, id)
		if err == nil {
			err = do(ctx, caller, id)
		}
		code := manyCode(err)
		if code == ManyFailed {
			if len(became) == 0 {
				return nil, err
			}
			gaveUp = true
			s.logManyFailure(ctx, action, err)
		}
		became[id] = ManyResult{UUID: id, Email: found.Email, Code: code, Err: err}
	}
	results := make([]ManyResult, 0, len(became))
	for _, id := range ids {
		if result, first := became[id]; first {
			results = append(results, result)
			delete(became, id)
		}
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

// SelectAll returns the invitations that the caller sees in the list and the query asks for, the newest first. expected
// is the number that the caller was told. SelectAll returns fault.KindInvalid where more than limit match, and
// fault.KindConflict where a different number matches.
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
