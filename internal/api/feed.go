package api

import (
	"context"
	"strconv"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/lifecycle"
)

func (h handlers) EventsList(
	ctx context.Context, request server.EventsListRequestObject,
) (server.EventsListResponseObject, error) {
	p := request.Params
	q := lifecycle.Query{
		Customer:   p.CustomerUUID,
		Invitation: p.InvitationUUID,
		Types: convertAll(optionalList(p.EventType), func(t server.InvitationEventType) invitation.EventType {
			return invitation.EventType(t)
		}),
		Limit: pageOf(nil, p.PageSize).size,
	}
	if p.After != nil {
		q.After = *p.After
	}
	found, more, err := h.Lifecycle.Feed(ctx, caller(ctx), q)
	if err != nil {
		return nil, err
	}
	deleted, err := h.Lifecycle.DeletedThrough(ctx)
	if err != nil {
		return nil, err
	}
	out := server.EventsList200JSONResponse{Body: convertAll(found, lifecycleEvent)}
	if deleted > 0 {
		out.Headers.XEventsDeletedThrough = &deleted
	}
	if more {
		last := strconv.FormatInt(*found[len(found)-1].Position, 10)
		out.Headers.Link = new(link("next", h.PublicURL+"api/events/", queryOf(ctx), "after", last))
	}
	return out, nil
}

func lifecycleEvent(e invitation.Event) server.LifecycleEvent {
	return server.LifecycleEvent{
		ID:             *e.Position,
		Type:           nilIfEmpty(server.LifecycleEventType(lifecycle.TypeOf(e))),
		InvitationUUID: e.InvitationUUID,
		ScopeUUID:      e.ScopeUUID,
		CustomerUUID:   e.CustomerUUID,
		Channel:        nilIfEmpty(server.InvitationChannel(e.Channel)),
		Created:        timestamp(e.Created),
		Email:          &e.Email,
		ErrorMessage:   &e.ErrorMessage,
		EventType:      server.InvitationEventType(e.Type),
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
