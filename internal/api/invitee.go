package api

import (
	"context"

	"invited/gen/server"
)

// This file has what Waldur has no operations for: what an invitee can do beside accepting, and what staff and inviters can
// do without a mail.

func (h handlers) UserInvitationsDecline(
	ctx context.Context, request server.UserInvitationsDeclineRequestObject,
) (server.UserInvitationsDeclineResponseObject, error) {
	if err := h.Service.Decline(ctx, caller(ctx), request.UUID, optionalText(request.Body.Reason)); err != nil {
		return nil, err
	}
	return server.UserInvitationsDecline200JSONResponse{Body: server.Detail{Detail: "Invitation has been declined."}}, nil
}

func (h handlers) UserInvitationsUndoDecline(
	ctx context.Context, request server.UserInvitationsUndoDeclineRequestObject,
) (server.UserInvitationsUndoDeclineResponseObject, error) {
	if err := h.Service.UndoDecline(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsUndoDecline200JSONResponse{Body: server.Detail{Detail: "Invitation is pending again."}}, nil
}

func (h handlers) UserInvitationsAskAgain(
	ctx context.Context, request server.UserInvitationsAskAgainRequestObject,
) (server.UserInvitationsAskAgainResponseObject, error) {
	if err := h.Service.AskAgain(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsAskAgain200JSONResponse{
		Body: server.Detail{Detail: "The request for a new invitation has been sent."},
	}, nil
}

func (h handlers) UserInvitationsApproveRequest(
	ctx context.Context, request server.UserInvitationsApproveRequestRequestObject,
) (server.UserInvitationsApproveRequestResponseObject, error) {
	if err := h.Service.ApproveRequest(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsApproveRequest200JSONResponse{Body: server.Detail{Detail: "Invitation has been approved."}}, nil
}

func (h handlers) UserInvitationsRejectRequest(
	ctx context.Context, request server.UserInvitationsRejectRequestRequestObject,
) (server.UserInvitationsRejectRequestResponseObject, error) {
	if err := h.Service.RejectRequest(ctx, caller(ctx), request.UUID, optionalText(request.Body.Reason)); err != nil {
		return nil, err
	}
	return server.UserInvitationsRejectRequest200JSONResponse{Body: server.Detail{Detail: "Invitation has been rejected."}}, nil
}

func (h handlers) UserInvitationsLinkRetrieve(
	ctx context.Context, request server.UserInvitationsLinkRetrieveRequestObject,
) (server.UserInvitationsLinkRetrieveResponseObject, error) {
	link, err := h.Service.Link(ctx, caller(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsLinkRetrieve200JSONResponse{Body: server.InvitationLink{UUID: link.UUID, URL: link.URL}}, nil
}
