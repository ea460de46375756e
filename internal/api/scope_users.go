package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"invited/gen/server"
	"invited/internal/directory"
)

// scopeUsersResponse is a page of the users of a customer or of a project.
type scopeUsersResponse listResponse[server.UserRoleDetails]

// VisitCustomersListUsersListResponse writes the response.
func (l scopeUsersResponse) VisitCustomersListUsersListResponse(w http.ResponseWriter) error {
	return listResponse[server.UserRoleDetails](l).write(w)
}

// VisitProjectsListUsersListResponse writes the response.
func (l scopeUsersResponse) VisitProjectsListUsersListResponse(w http.ResponseWriter) error {
	return listResponse[server.UserRoleDetails](l).write(w)
}

func (h handlers) CustomersListUsersList(
	ctx context.Context, request server.CustomersListUsersListRequestObject,
) (server.CustomersListUsersListResponseObject, error) {
	return h.scopeUsers(ctx, directory.Customer, "customers", request.UUID, request.Params)
}

func (h handlers) ProjectsListUsersList(
	ctx context.Context, request server.ProjectsListUsersListRequestObject,
) (server.ProjectsListUsersListResponseObject, error) {
	return h.scopeUsers(ctx, directory.Project, "projects", request.UUID, server.CustomersListUsersListParams(request.Params))
}

// scopeUsers returns a page of the users of the scope at a path below /api/. The lists of both types take the same
// parameters.
func (h handlers) scopeUsers(
	ctx context.Context, kind directory.ScopeType, path string, id uuid.UUID, p server.CustomersListUsersListParams,
) (scopeUsersResponse, error) {
	page := pageOf(p.Page, p.PageSize)
	q := scopeUsersQuery(server.CustomersListUsersCountParams{
		FullName: p.FullName, Role: p.Role, SearchString: p.SearchString, User: p.User, Username: p.Username,
	})
	q.Order = ordering(p.O)
	rows, total, err := h.Directory.ScopeUsers(ctx, caller(ctx), kind, id, q, page.number, page.size)
	link := h.linkHeader(ctx, path+"/"+id.String()+"/list_users", page, total)
	return scopeUsersResponse{convertAll(rows, userRole), fieldNames(p.Field), link, total}, err
}

func (h handlers) CustomersListUsersCount(
	ctx context.Context, request server.CustomersListUsersCountRequestObject,
) (server.CustomersListUsersCountResponseObject, error) {
	q := scopeUsersQuery(request.Params)
	total, err := h.Directory.CountScopeUsers(ctx, caller(ctx), directory.Customer, request.UUID, q)
	if err != nil {
		return nil, err
	}
	return server.CustomersListUsersCount200Response{
		Headers: server.CustomersListUsersCount200ResponseHeaders{XResultCount: total},
	}, nil
}

func (h handlers) ProjectsListUsersCount(
	ctx context.Context, request server.ProjectsListUsersCountRequestObject,
) (server.ProjectsListUsersCountResponseObject, error) {
	q := scopeUsersQuery(server.CustomersListUsersCountParams(request.Params))
	total, err := h.Directory.CountScopeUsers(ctx, caller(ctx), directory.Project, request.UUID, q)
	if err != nil {
		return nil, err
	}
	return server.ProjectsListUsersCount200Response{
		Headers: server.ProjectsListUsersCount200ResponseHeaders{XResultCount: total},
	}, nil
}

func scopeUsersQuery(p server.CustomersListUsersCountParams) directory.PermissionQuery {
	return directory.PermissionQuery{
		User: p.User, Username: optionalText(p.Username), FullName: optionalText(p.FullName),
		AnyUser: optionalText(p.SearchString), Roles: optionalList(p.Role),
	}
}

func userRole(p directory.Permission) server.UserRoleDetails {
	creator := creatorOf(p.CreatedBy)
	converted := server.UserRoleDetails{
		Created:           new(timestamp(p.Created)),
		CreatedByFullName: &creator.FullName,
		CreatedByUUID:     p.CreatedByUUID,
		RoleName:          &p.Role.Name,
		RoleUUID:          &p.RoleUUID,
		UserEmail:         &p.User.Email,
		UserFullName:      &p.User.FullName,
		UserImage:         nilIfEmpty(p.User.Image),
		UserUsername:      &p.User.Username,
		UserUUID:          &p.UserUUID,
		UUID:              &p.UUID,
	}
	if p.Expires != nil {
		converted.ExpirationTime = new(timestamp(*p.Expires))
	}
	return converted
}
