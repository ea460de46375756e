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
	wanted := pageOf(request.Params.Page, request.Params.PageSize)
	found, err := h.Service.Events(ctx, caller(ctx), request.UUID, wanted.number, wanted.size)
	if err != nil {
		return nil, err
	}
	path := "user-invitations/" + request.UUID.String() + "/events"
	return eventsListed{
		each(found.Events, event), named(request.Params.Field), h.links(ctx, path, wanted, found.Total), found.Total,
	}, nil
}

// eventsListed is a listed as the generated code takes it.
type eventsListed listed[server.InvitationEvent]

// VisitUserInvitationsEventsListResponse writes the response.
func (l eventsListed) VisitUserInvitationsEventsListResponse(w http.ResponseWriter) error {
	return listed[server.InvitationEvent](l).write(w)
}

func event(e invitation.Event) server.InvitationEvent {
	return server.InvitationEvent{
		Channel:        present(server.InvitationChannel(e.Channel)),
		Created:        new(timestamp(e.Created)),
		Email:          &e.Email,
		ErrorMessage:   &e.ErrorMessage,
		EventType:      new(server.InvitationEventType(e.Type)),
		ExecutionState: new(server.ExecutionStateEnum(e.ExecutionState)),
		FromState:      present(server.InvitationState(e.FromState)),
		Notice:         present(server.InvitationNotice(e.Notice)),
		Recipient:      &e.Recipient,
		RequestID:      &e.RequestID,
		RoleName:       &e.RoleName,
		RoleUUID:       &e.RoleUUID,
		ToState:        present(server.InvitationState(e.ToState)),
		UserFullName:   &e.UserFullName,
		UserUsername:   &e.UserUsername,
		UserUUID:       e.UserUUID,
	}
}

// present is a value that is absent where it is empty.
func present[T ~string](value T) *T {
	if value == "" {
		return nil
	}
	return &value
}
