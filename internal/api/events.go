package api

import (
	"context"
	"net/http"

	"invited/gen/server"
	"invited/internal/invitation"
)

func (h handlers) UserInvitationsEventsList(
	ctx context.Context, request server.UserInvitationsEventsListRequestObject,
) (server.UserInvitationsEventsListResponseObject, error) {
	page := pageOf(request.Params.Page, request.Params.PageSize)
	found, err := h.Service.Events(ctx, caller(ctx), request.UUID, page.number, page.size)
	if err != nil {
		return nil, err
	}
	path := "user-invitations/" + request.UUID.String() + "/events"
	return eventsResponse{
		convertAll(found.Events, event), fieldNames(request.Params.Field), h.linkHeader(ctx, path, page, found.Total), found.Total,
	}, nil
}

// eventsResponse is a listResponse that implements the generated interface.
type eventsResponse listResponse[server.InvitationEvent]

// VisitUserInvitationsEventsListResponse writes the response.
func (l eventsResponse) VisitUserInvitationsEventsListResponse(w http.ResponseWriter) error {
	return listResponse[server.InvitationEvent](l).write(w)
}

func event(e invitation.Event) server.InvitationEvent {
	return server.InvitationEvent{
		Channel:        nilIfEmpty(server.InvitationChannel(e.Channel)),
		Created:        new(timestamp(e.Created)),
		Email:          &e.Email,
		ErrorMessage:   &e.ErrorMessage,
		EventType:      new(server.InvitationEventType(e.Type)),
		ExecutionState: new(server.ExecutionStateEnum(e.ExecutionState)),
		FromState:      nilIfEmpty(server.InvitationState(e.FromState)),
		Notice:         nilIfEmpty(server.InvitationNotice(e.Notice)),
		Recipient:      &e.Recipient,
		Reason:         &e.Reason,
		RequestID:      &e.RequestID,
		RoleName:       &e.RoleName,
		RoleUUID:       &e.RoleUUID,
		ToState:        nilIfEmpty(server.InvitationState(e.ToState)),
		UserFullName:   &e.UserFullName,
		UserUsername:   &e.UserUsername,
		UserUUID:       e.UserUUID,
	}
}
