package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"invited/gen/server"
	"invited/internal/joining"
)

// permissionRequestsResponse is a listResponse that implements the generated interface.
type permissionRequestsResponse listResponse[server.PermissionRequest]

// VisitUserPermissionRequestsListResponse writes the response.
func (l permissionRequestsResponse) VisitUserPermissionRequestsListResponse(w http.ResponseWriter) error {
	return listResponse[server.PermissionRequest](l).write(w)
}

func (h handlers) UserGroupInvitationsSubmitRequest(
	ctx context.Context, request server.UserGroupInvitationsSubmitRequestRequestObject,
) (server.UserGroupInvitationsSubmitRequestResponseObject, error) {
	made, err := h.submitRequest(ctx, request.UUID, *request.Body)
	if err != nil {
		return nil, err
	}
	r := made.Request
	body := server.SubmitRequestResponse{
		UUID: r.UUID, ScopeName: r.Group.Scope.Name, ScopeUUID: r.ScopeUUID, ScopeType: server.ScopeType(r.Group.Scope.Type),
		AutoApproved: r.State == joining.Approved,
	}
	if made.Project != nil {
		body.ProjectUUID, body.ProjectCreated = &made.Project.UUID, &made.IsMade
	}
	return server.UserGroupInvitationsSubmitRequest200JSONResponse{Body: body}, nil
}

func (h handlers) UserGroupInvitationsRequest(
	ctx context.Context, request server.UserGroupInvitationsRequestRequestObject,
) (server.UserGroupInvitationsRequestResponseObject, error) {
	made, err := h.submitRequest(ctx, request.UUID, *request.Body)
	if err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsRequest200JSONResponse{Body: server.SubmitRequestUUID{UUID: made.Request.UUID}}, nil
}

func (h handlers) submitRequest(ctx context.Context, id uuid.UUID, body server.SubmitRequestRequest) (joining.Submission, error) {
	return h.Joining.Submit(ctx, caller(ctx), id, optionalText(body.ProjectName), optionalText(body.ProjectDescription))
}

func (h handlers) UserPermissionRequestsList(
	ctx context.Context, request server.UserPermissionRequestsListRequestObject,
) (server.UserPermissionRequestsListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q, err := permissionRequestQuery(server.UserPermissionRequestsCountParams{
		CreatedBy: p.CreatedBy, CustomerUUID: p.CustomerUUID, Invitation: p.Invitation, Scope: p.Scope, State: p.State,
	})
	if err != nil {
		return nil, err
	}
	q.Order = ordering(p.O)
	rows, total, err := h.Joining.Requests(ctx, caller(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	return permissionRequestsResponse{
		convertAll(rows, h.permissionRequest), nil, h.linkHeader(ctx, "user-permission-requests", page, total), total,
	}, nil
}

func (h handlers) UserPermissionRequestsCount(
	ctx context.Context, request server.UserPermissionRequestsCountRequestObject,
) (server.UserPermissionRequestsCountResponseObject, error) {
	q, err := permissionRequestQuery(request.Params)
	if err != nil {
		return nil, err
	}
	total, err := h.Joining.CountRequests(ctx, caller(ctx), q)
	if err != nil {
		return nil, err
	}
	return server.UserPermissionRequestsCount200Response{
		Headers: server.UserPermissionRequestsCount200ResponseHeaders{XResultCount: total},
	}, nil
}

// permissionRequestQuery translates the filters of a list. It returns an invalid-field error where `scope` is not the URL of
// a scope.
func permissionRequestQuery(p server.UserPermissionRequestsCountParams) (joining.RequestQuery, error) {
	scope, err := scopeFilter(p.Scope)
	q := joining.RequestQuery{CreatedBy: p.CreatedBy, Customer: p.CustomerUUID, Invitation: p.Invitation, Scope: scope}
	if p.State != nil {
		for _, state := range *p.State {
			q.States = append(q.States, joining.State(state))
		}
	}
	return q, err
}

func (h handlers) UserPermissionRequestsRetrieve(
	ctx context.Context, request server.UserPermissionRequestsRetrieveRequestObject,
) (server.UserPermissionRequestsRetrieveResponseObject, error) {
	found, err := h.Joining.Request(ctx, caller(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return server.UserPermissionRequestsRetrieve200JSONResponse{Body: h.permissionRequest(found)}, nil
}

func (h handlers) UserPermissionRequestsDestroy(
	ctx context.Context, request server.UserPermissionRequestsDestroyRequestObject,
) (server.UserPermissionRequestsDestroyResponseObject, error) {
	if err := h.Joining.DestroyRequest(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserPermissionRequestsDestroy204Response{}, nil
}

func (h handlers) UserPermissionRequestsApprove(
	ctx context.Context, request server.UserPermissionRequestsApproveRequestObject,
) (server.UserPermissionRequestsApproveResponseObject, error) {
	if err := h.Joining.Approve(ctx, caller(ctx), request.UUID, optionalText(request.Body.Comment)); err != nil {
		return nil, err
	}
	return server.UserPermissionRequestsApprove200Response{}, nil
}

func (h handlers) UserPermissionRequestsReject(
	ctx context.Context, request server.UserPermissionRequestsRejectRequestObject,
) (server.UserPermissionRequestsRejectResponseObject, error) {
	if err := h.Joining.Reject(ctx, caller(ctx), request.UUID, optionalText(request.Body.Comment)); err != nil {
		return nil, err
	}
	return server.UserPermissionRequestsReject200Response{}, nil
}

func (h handlers) UserPermissionRequestsCancelRequest(
	ctx context.Context, request server.UserPermissionRequestsCancelRequestRequestObject,
) (server.UserPermissionRequestsCancelRequestResponseObject, error) {
	canceled, err := h.Joining.CancelRequest(ctx, caller(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return server.UserPermissionRequestsCancelRequest200JSONResponse{
		Body: server.CancelRequestResponse{UUID: canceled.UUID, ScopeName: canceled.Group.Scope.Name, ScopeUUID: canceled.ScopeUUID},
	}, nil
}

func (h handlers) permissionRequest(r joining.Request) server.PermissionRequest {
	out := server.PermissionRequest{
		Created:             timestamp(r.Created),
		CreatedByEmail:      r.CreatedBy.Email,
		CreatedByFullName:   r.CreatedBy.FullName,
		CreatedByUsername:   r.CreatedBy.Username,
		CustomerName:        r.Group.Scope.Customer.Name,
		CustomerUUID:        r.CustomerUUID,
		Invitation:          h.groupInvitationURL(r.GroupInvitationUUID),
		ProjectDescription:  r.ProjectDescription,
		ProjectName:         r.ProjectName,
		ProjectNameTemplate: r.Group.NameTemplate,
		ReviewComment:       nilIfEmpty(r.ReviewComment),
		ReviewedAt:          optionalTimestamp(r.ReviewedAt),
		RoleDescription:     r.Group.Role.Description,
		RoleName:            r.Group.Role.Name,
		ScopeName:           r.Group.Scope.Name,
		ScopeUUID:           r.ScopeUUID,
		State:               server.RemoteProjectUpdateRequestStateEnum(r.State),
		URL:                 h.PublicURL + "api/user-permission-requests/" + r.UUID.String() + "/",
		UUID:                r.UUID,
	}
	if by := r.ReviewedBy; by != nil {
		out.ReviewedByFullName, out.ReviewedByUsername = &by.FullName, &by.Username
	}
	return out
}
