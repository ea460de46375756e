package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"invited/gen/server"
	"invited/internal/fault"
	"invited/internal/invitation"
)

func (h handlers) UserInvitationsBulkAction(
	ctx context.Context, request server.UserInvitationsBulkActionRequestObject,
) (server.UserInvitationsBulkActionResponseObject, error) {
	ids, err := h.selection(ctx, request.Body)
	if err != nil {
		return nil, err
	}
	if request.Params.IdempotencyKey != nil && len(ids) > invitation.MaxManyTogether {
		field := "uuids"
		if request.Body.Filter != nil {
			field = "filter"
		}
		return nil, fault.Field(field, fmt.Sprintf(
			"With an Idempotency-Key, one request acts on at most %d invitations. Nothing was changed.", invitation.MaxManyTogether))
	}
	results, err := h.Service.ActOnMany(ctx, caller(ctx), invitation.ManyAction(request.Body.Action), ids)
	if err != nil {
		return nil, err
	}
	report := server.BulkInvitationActionReport{
		Action: request.Body.Action, Total: len(results), Results: convertAll(results, manyResult),
	}
	for _, r := range results {
		*manyCount(&report.Counts, r.Code)++
	}
	return server.UserInvitationsBulkAction200JSONResponse{Body: report}, nil
}

// selection returns the invitations that a request names, or that match its filter.
func (h handlers) selection(ctx context.Context, body *server.BulkInvitationActionRequest) ([]uuid.UUID, error) {
	switch {
	case (body.Uuids == nil) == (body.Filter == nil):
		return nil, fault.Field(fault.NonField, "Give either uuids or filter.")
	case body.Uuids != nil:
		return *body.Uuids, nil
	case body.Expected == nil:
		return nil, fault.Field("expected", "This field is required.")
	}
	// The fields of the filter have the names of the parameters of the list.
	var filter server.UserInvitationsListParams
	text, err := json.Marshal(body.Filter)
	if err == nil {
		err = json.Unmarshal(text, &filter)
	}
	if err != nil {
		return nil, err
	}
	query, err := invitationQuery(filter)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.KindInvalid {
		invalid := fault.Fields{}
		for field, messages := range f.Fields {
			invalid.Add("filter", field+": "+messages[0])
		}
		return nil, invalid.Err()
	} else if err != nil {
		return nil, err
	}
	return h.Service.SelectAll(ctx, caller(ctx), query, *body.Expected, invitation.MaxMany)
}

func manyResult(r invitation.ManyResult) server.BulkInvitationActionResult {
	return server.BulkInvitationActionResult{
		UUID: r.UUID, Email: nilIfEmpty(r.Email), Result: server.BulkInvitationActionResultCode(r.Code), Errors: messagesOf(r.Err),
	}
}

// messagesOf returns the words of an error by field, as the response of an operation on one invitation has them.
func messagesOf(err error) server.BulkInvitationErrors {
	var f *fault.Error
	switch {
	case err == nil:
		return server.BulkInvitationErrors{}
	case !errors.As(err, &f):
		return server.BulkInvitationErrors{fault.NonField: {msgInternal}}
	case f.Kind == fault.KindInvalid:
		return f.Fields
	default:
		return server.BulkInvitationErrors{fault.NonField: {f.Message}}
	}
}

// manyCount returns the count of the results that have a code.
func manyCount(counts *server.BulkInvitationActionCounts, code invitation.ManyCode) *int {
	switch code {
	case invitation.ManyDone:
		return &counts.Done
	case invitation.ManyRefused:
		return &counts.Refused
	case invitation.ManyNotFound:
		return &counts.NotFound
	case invitation.ManyNotTried:
		return &counts.NotTried
	default:
		return &counts.Failed
	}
}
