package api

import (
	"context"
	"net/http"
	"time"

	"invited/gen/server"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// handlers implements the generated strict interface.
type handlers struct{ Config }

var _ server.StrictServerInterface = handlers{}

func (h handlers) UserInvitationsList(
	ctx context.Context, request server.UserInvitationsListRequestObject,
) (server.UserInvitationsListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q, err := invitationQuery(p)
	if err != nil {
		return nil, err
	}
	if p.Cursor != nil {
		return h.invitationsByCursor(ctx, p, q)
	}
	q.Order = ordering(p.O)
	found, err := h.Service.List(ctx, caller(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	return invitationsResponse{listResponse[server.Invitation]{
		convertAll(found.Invitations, h.invitation), fieldNames(p.Field),
		h.linkHeader(ctx, "user-invitations", page, found.Total), found.Total,
	}, p.IfNoneMatch}, nil
}

// invitationsByCursor is UserInvitationsList for a request with a cursor.
func (h handlers) invitationsByCursor(
	ctx context.Context, p server.UserInvitationsListParams, q invitation.Query,
) (server.UserInvitationsListResponseObject, error) {
	asked, err := cursorOf(*p.Cursor, p.Page, ordering(p.O))
	if err != nil {
		return nil, err
	}
	found, err := h.Service.ListBehind(ctx, caller(ctx), q, asked.behind, asked.newestFirst, pageOf(nil, p.PageSize).size)
	if err != nil {
		return nil, err
	}
	return invitationsResponse{listResponse[server.Invitation]{
		convertAll(found.Invitations, h.invitation), fieldNames(p.Field),
		cursorLinkHeader(h.PublicURL+"api/user-invitations/", queryOf(ctx), found.Next), found.Total,
	}, p.IfNoneMatch}, nil
}

// invitationsResponse is a listResponse with an entity tag that implements the generated interface.
type invitationsResponse struct {
	listResponse[server.Invitation]
	ifNoneMatch *string
}

// VisitUserInvitationsListResponse writes the response.
func (l invitationsResponse) VisitUserInvitationsListResponse(w http.ResponseWriter) error {
	return l.writeTagged(w, l.ifNoneMatch)
}

func (h handlers) UserInvitationsCount(
	ctx context.Context, request server.UserInvitationsCountRequestObject,
) (server.UserInvitationsCountResponseObject, error) {
	p := request.Params
	q, err := invitationQuery(server.UserInvitationsListParams{
		CivilNumber: p.CivilNumber, CreatedAfter: p.CreatedAfter, CreatedBefore: p.CreatedBefore, CreatedBy: p.CreatedBy, CustomerUUID: p.CustomerUUID, Email: p.Email, EmailExact: p.EmailExact,
		ExecutionState: p.ExecutionState, ExpiresBefore: p.ExpiresBefore, Q: p.Q, RoleName: p.RoleName, RoleUUID: p.RoleUUID, Scope: p.Scope, ScopeDescription: p.ScopeDescription,
		ScopeName: p.ScopeName, ScopeType: p.ScopeType, State: p.State,
	})
	if err != nil {
		return nil, err
	}
	total, err := h.Service.Count(ctx, caller(ctx), q)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsCount200Response{
		Headers: server.UserInvitationsCount200ResponseHeaders{XResultCount: total},
	}, nil
}

// invitationQuery translates the filters of a list. It returns an invalid-field error where `scope` is not the URL of a
// scope, or one of the times is no time.
func invitationQuery(p server.UserInvitationsListParams) (invitation.Query, error) {
	q := invitation.Query{
		CivilNumber:      optionalText(p.CivilNumber),
		CreatedBy:        p.CreatedBy,
		Customer:         p.CustomerUUID,
		Email:            optionalText(p.Email),
		EmailExact:       optionalText(p.EmailExact),
		RoleName:         optionalText(p.RoleName),
		Role:             p.RoleUUID,
		ScopeDescription: optionalText(p.ScopeDescription),
		ScopeName:        optionalText(p.ScopeName),
		ScopeType:        optionalText(p.ScopeType),
		Text:             invitation.Text{Part: optionalText(p.Q)},
	}
	if p.State != nil {
		for _, state := range *p.State {
			q.States = append(q.States, invitation.State(state))
		}
	}
	if p.ExecutionState != nil {
		for _, state := range *p.ExecutionState {
			q.ExecutionStates = append(q.ExecutionStates, invitation.ExecutionState(state))
		}
	}
	for _, each := range []struct {
		name string
		text *string
		time **time.Time
	}{
		{"created_after", p.CreatedAfter, &q.Created.From},
		{"created_before", p.CreatedBefore, &q.Created.To},
		{"expires_before", p.ExpiresBefore, &q.ExpiresBefore},
	} {
		if *each.time = optionalTime(each.text); *each.time == nil && each.text != nil {
			return q, fault.Field(each.name, invitation.MsgNoTime)
		}
	}
	var err error
	q.Scope, err = scopeFilter(p.Scope)
	return q, err
}

func (h handlers) UserInvitationsRetrieve(
	ctx context.Context, request server.UserInvitationsRetrieveRequestObject,
) (server.UserInvitationsRetrieveResponseObject, error) {
	found, err := h.Service.Retrieve(ctx, caller(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return invitationResponse{h.invitation(found), request.Params.IfNoneMatch}, nil
}

// invitationResponse is a taggedResponse that implements the generated interface.
type invitationResponse taggedResponse[server.Invitation]

// VisitUserInvitationsRetrieveResponse writes the response.
func (t invitationResponse) VisitUserInvitationsRetrieveResponse(w http.ResponseWriter) error {
	return taggedResponse[server.Invitation](t).write(w)
}

func (h handlers) UserInvitationsCreate(
	ctx context.Context, request server.UserInvitationsCreateRequestObject,
) (server.UserInvitationsCreateResponseObject, error) {
	draft, err := draftOf(request.Body)
	if err != nil {
		return nil, err
	}
	created, err := h.Service.Create(ctx, caller(ctx), draft)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsCreate201JSONResponse{
		Body:    h.invitation(created),
		Headers: server.UserInvitationsCreate201ResponseHeaders{Location: h.url(created)},
	}, nil
}

// draftOf translates a request to create an invitation. It returns the error of endOf.
func draftOf(body *server.UserInvitationsCreateJSONRequestBody) (invitation.Draft, error) {
	expires, err := endOf("expires", body.Expires)
	if err != nil {
		return invitation.Draft{}, err
	}
	membershipExpires, err := endOf("membership_expires", body.MembershipExpires)
	return invitation.Draft{
		Role:                body.Role,
		ScopeURL:            body.Scope,
		Email:               body.Email,
		FullName:            optionalText(body.FullName),
		NativeName:          optionalText(body.NativeName),
		PhoneNumber:         optionalText(body.PhoneNumber),
		Organization:        optionalText(body.Organization),
		JobTitle:            optionalText(body.JobTitle),
		CivilNumber:         optionalText(body.CivilNumber),
		ExtraInvitationText: optionalText(body.ExtraInvitationText),
		Expires:             expires,
		MembershipExpires:   membershipExpires,
	}, err
}

func (h handlers) UserInvitationsDetailsRetrieve(
	ctx context.Context, request server.UserInvitationsDetailsRetrieveRequestObject,
) (server.UserInvitationsDetailsRetrieveResponseObject, error) {
	found, err := h.Service.Details(ctx, caller(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsDetailsRetrieve200JSONResponse{Body: details(found)}, nil
}

func (h handlers) UserInvitationsAccept(
	ctx context.Context, request server.UserInvitationsAcceptRequestObject,
) (server.UserInvitationsAcceptResponseObject, error) {
	if err := h.Service.Accept(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsAccept200JSONResponse{
		Body: server.Detail{Detail: "Invitation has been successfully accepted."},
	}, nil
}

func (h handlers) UserInvitationsCancel(
	ctx context.Context, request server.UserInvitationsCancelRequestObject,
) (server.UserInvitationsCancelResponseObject, error) {
	if err := h.Service.Cancel(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsCancel200JSONResponse{
		Body: server.Detail{Detail: "Invitation has been successfully canceled."},
	}, nil
}

func (h handlers) UserInvitationsCheck(
	ctx context.Context, request server.UserInvitationsCheckRequestObject,
) (server.UserInvitationsCheckResponseObject, error) {
	found, err := h.Service.Check(ctx, request.UUID)
	if err != nil {
		return nil, err
	}
	body := server.InvitationCheck{Email: found.Email}
	if found.CivilNumberRequired {
		body.CivilNumberRequired = &found.CivilNumberRequired
	}
	return server.UserInvitationsCheck200JSONResponse{Body: body}, nil
}

func (h handlers) UserInvitationsDelete(
	ctx context.Context, request server.UserInvitationsDeleteRequestObject,
) (server.UserInvitationsDeleteResponseObject, error) {
	if err := h.Service.Delete(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsDelete200JSONResponse{
		Body: server.Detail{Detail: "Invitation has been successfully deleted."},
	}, nil
}

func (h handlers) UserInvitationsUpdate(
	ctx context.Context, request server.UserInvitationsUpdateRequestObject,
) (server.UserInvitationsUpdateResponseObject, error) {
	edit, err := invitationEdit(server.PatchedInvitationUpdateRequest{
		Email: &request.Body.Email, Role: request.Body.Role,
		Expires: request.Body.Expires, MembershipExpires: request.Body.MembershipExpires,
	}, nullsOf(ctx))
	if err != nil {
		return nil, err
	}
	edited, err := h.Service.Update(ctx, caller(ctx), request.UUID, edit)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsUpdate200JSONResponse{Body: h.invitation(edited)}, nil
}

func (h handlers) UserInvitationsPartialUpdate(
	ctx context.Context, request server.UserInvitationsPartialUpdateRequestObject,
) (server.UserInvitationsPartialUpdateResponseObject, error) {
	edit, err := invitationEdit(*request.Body, nullsOf(ctx))
	if err != nil {
		return nil, err
	}
	edited, err := h.Service.Update(ctx, caller(ctx), request.UUID, edit)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsPartialUpdate200JSONResponse{Body: h.invitation(edited)}, nil
}

// invitationEdit translates the fields of a request to change an invitation. nulls are the names of the fields that are null,
// rather than left out. invitationEdit returns the error of endOf.
func invitationEdit(body server.PatchedInvitationUpdateRequest, nulls map[string]bool) (invitation.Edit, error) {
	e := invitation.Edit{Email: body.Email, Role: body.Role}
	for field, end := range map[string]struct {
		sent *string
		set  ***time.Time
	}{
		"expires":            {body.Expires, &e.Expires},
		"membership_expires": {body.MembershipExpires, &e.MembershipExpires},
	} {
		if end.sent == nil && !nulls[field] {
			continue
		}
		value, err := endOf(field, end.sent)
		if err != nil {
			return e, err
		}
		*end.set = &value
	}
	return e, nil
}

// endOf returns the time in a field; nil: the field is null, or left out. endOf returns an invalid-field error where the field
// is no time.
func endOf(field string, value *string) (*time.Time, error) {
	if value == nil {
		return nil, nil
	}
	end, ok := invitation.ParseEnd(*value)
	if !ok {
		return nil, fault.Field(field, invitation.MsgNoTime)
	}
	return &end, nil
}

func (h handlers) UserInvitationsCheckDuplicates(
	ctx context.Context, request server.UserInvitationsCheckDuplicatesRequestObject,
) (server.UserInvitationsCheckDuplicatesResponseObject, error) {
	pairs := convertAll(request.Body.Invitations, pairOf)
	found, err := h.Service.Duplicates(ctx, caller(ctx), request.Body.Scope, pairs)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsCheckDuplicates200JSONResponse{
		Body: server.InvitationDuplicateCheckResponse{
			Duplicates: convertAll(found.Duplicates, duplicate), ExistingRoles: convertAll(found.ExistingRoles, existingRole),
		},
	}, nil
}

func pairOf(item server.InvitationDuplicateCheckItemRequest) invitation.Pair {
	return invitation.Pair{Email: item.Email, Role: item.Role}
}

func duplicate(d invitation.Duplicate) server.InvitationDuplicate {
	return server.InvitationDuplicate{Email: d.Email, Role: d.Role, ExistingInvitationUUID: d.Existing}
}

func existingRole(e invitation.ExistingRole) server.InvitationExistingRole {
	return server.InvitationExistingRole{
		Email: e.Email, Role: e.Role, ExistingRole: e.Held.UUID, ExistingRoleName: e.Held.Name,
		ExistingRoleDescription: e.Held.Description, IsSameRole: e.Held.UUID == e.Role,
	}
}

func (h handlers) UserInvitationsDestroy(
	ctx context.Context, request server.UserInvitationsDestroyRequestObject,
) (server.UserInvitationsDestroyResponseObject, error) {
	if err := h.Service.Destroy(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsDestroy204Response{}, nil
}

func (h handlers) UserInvitationsSend(
	ctx context.Context, request server.UserInvitationsSendRequestObject,
) (server.UserInvitationsSendResponseObject, error) {
	if err := h.Service.Send(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsSend200JSONResponse{
		Body: server.Detail{Detail: "Invitation sending has been successfully scheduled."},
	}, nil
}

func (h handlers) UserInvitationsApprove(
	ctx context.Context, request server.UserInvitationsApproveRequestObject,
) (server.UserInvitationsApproveResponseObject, error) {
	if err := h.Service.Approve(ctx, request.Body.Token); err != nil {
		return nil, err
	}
	return server.UserInvitationsApprove200JSONResponse{
		Body: server.Detail{Detail: "Invitation has been approved."},
	}, nil
}

func (h handlers) UserInvitationsReject(
	ctx context.Context, request server.UserInvitationsRejectRequestObject,
) (server.UserInvitationsRejectResponseObject, error) {
	if err := h.Service.Reject(ctx, request.Body.Token, optionalText(request.Body.Reason)); err != nil {
		return nil, err
	}
	return server.UserInvitationsReject200JSONResponse{
		Body: server.Detail{Detail: "Invitation has been rejected."},
	}, nil
}
