package api

import (
	"context"
	"net/http"

	"invited/gen/server"
	"invited/internal/invitation"
)

func (h handlers) UserInvitationsMineList(
	ctx context.Context, request server.UserInvitationsMineListRequestObject,
) (server.UserInvitationsMineListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	found, err := h.Service.Mine(ctx, caller(ctx), statesOf(p.State), page.number, page.size)
	if err != nil {
		return nil, err
	}
	return ownInvitationsResponse{listResponse[server.OwnInvitation]{
		convertAll(found.Invitations, ownInvitation), nil,
		h.linkHeader(ctx, "user-invitations/mine", page, found.Total), found.Total,
	}, p.IfNoneMatch}, nil
}

// ownInvitationsResponse is a listResponse with an entity tag that implements the generated interface.
type ownInvitationsResponse struct {
	listResponse[server.OwnInvitation]
	ifNoneMatch *string
}

// VisitUserInvitationsMineListResponse writes the response.
func (l ownInvitationsResponse) VisitUserInvitationsMineListResponse(w http.ResponseWriter) error {
	return l.writeTagged(w, l.ifNoneMatch)
}

func (h handlers) UserInvitationsMineCount(
	ctx context.Context, request server.UserInvitationsMineCountRequestObject,
) (server.UserInvitationsMineCountResponseObject, error) {
	total, err := h.Service.CountMine(ctx, caller(ctx), statesOf(request.Params.State))
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsMineCount200Response{
		Headers: server.UserInvitationsMineCount200ResponseHeaders{XResultCount: total},
	}, nil
}

// statesOf returns the states that the parameter `state` names.
func statesOf(states *[]server.InvitationState) []invitation.State {
	return convertAll(optionalList(states), func(s server.InvitationState) invitation.State { return invitation.State(s) })
}

// ownInvitation returns what an invitee sees of an invitation: the details, without the delivery; what the mail says; and what an
// answer needs. The link is not among it: to the invitee the uuid does the same.
func ownInvitation(v invitation.View) server.OwnInvitation {
	d := details(v)
	own := server.OwnInvitation{
		UUID: v.UUID, ScopeUUID: d.ScopeUUID, ScopeName: d.ScopeName, ScopeDescription: d.ScopeDescription, ScopeType: d.ScopeType,
		CustomerUUID: d.CustomerUUID, CustomerName: d.CustomerName, RoleName: d.RoleName, RoleDescription: d.RoleDescription,
		CreatedByFullName: d.CreatedByFullName, CreatedByUsername: d.CreatedByUsername, CreatedByImage: d.CreatedByImage,
		Email: d.Email, State: d.State, Created: timestamp(v.Created), Expires: timestamp(v.Expires),
		MembershipExpires: d.MembershipExpires, ExtraInvitationText: v.ExtraInvitationText, DeclinedAt: d.DeclinedAt,
	}
	if until := v.UndoUntil(); until != nil {
		own.UndoUntil = new(timestamp(*until))
	}
	return own
}
