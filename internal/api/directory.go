package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	openapi "github.com/oapi-codegen/runtime/types"

	"invited/gen/server"
	"invited/internal/directory"
)

// List responses that implement the generated interfaces.
type (
	customersResponse   listResponse[server.Customer]
	projectsResponse    listResponse[server.Project]
	rolesResponse       listResponse[server.RoleDetails]
	permissionsResponse listResponse[server.Permission]
)

// VisitCustomersListResponse writes the response.
func (l customersResponse) VisitCustomersListResponse(w http.ResponseWriter) error {
	return listResponse[server.Customer](l).write(w)
}

// VisitProjectsListResponse writes the response.
func (l projectsResponse) VisitProjectsListResponse(w http.ResponseWriter) error {
	return listResponse[server.Project](l).write(w)
}

// VisitRolesListResponse writes the response.
func (l rolesResponse) VisitRolesListResponse(w http.ResponseWriter) error {
	return listResponse[server.RoleDetails](l).write(w)
}

// VisitUserPermissionsListResponse writes the response.
func (l permissionsResponse) VisitUserPermissionsListResponse(w http.ResponseWriter) error {
	return listResponse[server.Permission](l).write(w)
}

func (h handlers) CustomersList(
	ctx context.Context, request server.CustomersListRequestObject,
) (server.CustomersListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := customerQuery(server.CustomersCountParams{Name: p.Name, NameExact: p.NameExact, Query: p.Query})
	q.Order = ordering(p.O)
	rows, total, err := h.Directory.Scopes(ctx, caller(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	return customersResponse{convertAll(rows, h.customer), fieldNames(p.Field), h.linkHeader(ctx, "customers", page, total), total}, nil
}

func (h handlers) CustomersCount(
	ctx context.Context, request server.CustomersCountRequestObject,
) (server.CustomersCountResponseObject, error) {
	total, err := h.Directory.CountScopes(ctx, caller(ctx), customerQuery(request.Params))
	if err != nil {
		return nil, err
	}
	return server.CustomersCount200Response{Headers: server.CustomersCount200ResponseHeaders{XResultCount: total}}, nil
}

func customerQuery(p server.CustomersCountParams) directory.ScopeQuery {
	return directory.ScopeQuery{
		Type: directory.Customer, Name: optionalText(p.Name), NameExact: optionalText(p.NameExact), Any: optionalText(p.Query),
	}
}

func (h handlers) CustomersRetrieve(
	ctx context.Context, request server.CustomersRetrieveRequestObject,
) (server.CustomersRetrieveResponseObject, error) {
	found, err := h.Directory.Scope(ctx, caller(ctx), directory.Customer, request.UUID)
	if err != nil {
		return nil, err
	}
	return server.CustomersRetrieve200JSONResponse{Body: h.customer(found)}, nil
}

func (h handlers) ProjectsList(
	ctx context.Context, request server.ProjectsListRequestObject,
) (server.ProjectsListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := projectQuery(server.ProjectsCountParams{
		Customer: p.Customer, CustomerName: p.CustomerName, CustomerUUID: p.CustomerUUID, Description: p.Description,
		Name: p.Name, NameExact: p.NameExact, Query: p.Query,
	})
	q.Order = ordering(p.O)
	rows, total, err := h.Directory.Scopes(ctx, caller(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	return projectsResponse{convertAll(rows, h.project), fieldNames(p.Field), h.linkHeader(ctx, "projects", page, total), total}, nil
}

func (h handlers) ProjectsCount(
	ctx context.Context, request server.ProjectsCountRequestObject,
) (server.ProjectsCountResponseObject, error) {
	total, err := h.Directory.CountScopes(ctx, caller(ctx), projectQuery(request.Params))
	if err != nil {
		return nil, err
	}
	return server.ProjectsCount200Response{Headers: server.ProjectsCount200ResponseHeaders{XResultCount: total}}, nil
}

func projectQuery(p server.ProjectsCountParams) directory.ScopeQuery {
	q := directory.ScopeQuery{
		Type: directory.Project, Name: optionalText(p.Name), NameExact: optionalText(p.NameExact), Description: optionalText(p.Description),
		CustomerName: optionalText(p.CustomerName), Any: optionalText(p.Query), Customer: p.CustomerUUID,
	}
	if p.Customer != nil {
		q.Customers = *p.Customer
	}
	return q
}

func (h handlers) ProjectsRetrieve(
	ctx context.Context, request server.ProjectsRetrieveRequestObject,
) (server.ProjectsRetrieveResponseObject, error) {
	found, err := h.Directory.Scope(ctx, caller(ctx), directory.Project, request.UUID)
	if err != nil {
		return nil, err
	}
	return server.ProjectsRetrieve200JSONResponse{Body: h.project(found)}, nil
}

func (h handlers) RolesList(
	ctx context.Context, request server.RolesListRequestObject,
) (server.RolesListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := roleQuery(server.RolesCountParams{ContentType: p.ContentType, Description: p.Description, IsActive: p.IsActive, Name: p.Name})
	rows, total, err := h.Directory.Roles(ctx, callerOrNobody(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	return rolesResponse{convertAll(rows, role), fieldNames(p.Field), h.linkHeader(ctx, "roles", page, total), total}, nil
}

func (h handlers) RolesCount(
	ctx context.Context, request server.RolesCountRequestObject,
) (server.RolesCountResponseObject, error) {
	total, err := h.Directory.CountRoles(ctx, callerOrNobody(ctx), roleQuery(request.Params))
	if err != nil {
		return nil, err
	}
	return server.RolesCount200Response{Headers: server.RolesCount200ResponseHeaders{XResultCount: total}}, nil
}

func roleQuery(p server.RolesCountParams) directory.RoleQuery {
	q := directory.RoleQuery{Name: optionalText(p.Name), Description: optionalText(p.Description), Active: p.IsActive}
	if kind := optionalText(p.ContentType); kind != "" {
		q.ScopeTypes = []string{kind}
	}
	return q
}

func (h handlers) RolesRetrieve(
	ctx context.Context, request server.RolesRetrieveRequestObject,
) (server.RolesRetrieveResponseObject, error) {
	found, err := h.Directory.Role(ctx, callerOrNobody(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return server.RolesRetrieve200JSONResponse{Body: role(found)}, nil
}

func (h handlers) UserPermissionsList(
	ctx context.Context, request server.UserPermissionsListRequestObject,
) (server.UserPermissionsListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := permissionQuery(server.UserPermissionsCountParams{
		FullName: p.FullName, RoleName: p.RoleName, RoleUUID: p.RoleUUID, ScopeName: p.ScopeName, ScopeType: p.ScopeType,
		ScopeUUID: p.ScopeUUID, User: p.User, Username: p.Username,
	})
	q.Order = ordering(p.O)
	rows, total, err := h.Directory.Permissions(ctx, caller(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	return permissionsResponse{
		convertAll(rows, permission), fieldNames(p.Field), h.linkHeader(ctx, "user-permissions", page, total), total,
	}, nil
}

func (h handlers) UserPermissionsCount(
	ctx context.Context, request server.UserPermissionsCountRequestObject,
) (server.UserPermissionsCountResponseObject, error) {
	total, err := h.Directory.CountPermissions(ctx, caller(ctx), permissionQuery(request.Params))
	if err != nil {
		return nil, err
	}
	return server.UserPermissionsCount200Response{
		Headers: server.UserPermissionsCount200ResponseHeaders{XResultCount: total},
	}, nil
}

func permissionQuery(p server.UserPermissionsCountParams) directory.PermissionQuery {
	return directory.PermissionQuery{
		User:      p.User,
		Username:  optionalText(p.Username),
		FullName:  optionalText(p.FullName),
		Role:      p.RoleUUID,
		RoleName:  optionalText(p.RoleName),
		Scope:     p.ScopeUUID,
		ScopeName: optionalText(p.ScopeName),
		ScopeType: optionalText(p.ScopeType),
	}
}

func (h handlers) UsersMeRetrieve(
	ctx context.Context, _ server.UsersMeRetrieveRequestObject,
) (server.UsersMeRetrieveResponseObject, error) {
	user := caller(ctx)
	held, err := h.Directory.Own(ctx, user)
	if err != nil {
		return nil, err
	}
	return server.UsersMeRetrieve200JSONResponse{Body: h.userMe(user.User, convertAll(held, permission))}, nil
}

func (h handlers) userMe(user directory.User, permissions []server.Permission) server.UserMe {
	return server.UserMe{
		URL:                  new(h.PublicURL + "api/users/" + user.UUID.String() + "/"),
		AgreementDate:        new(timestamp(user.Created)),
		CivilNumber:          nilIfEmpty(user.CivilNumber),
		DateJoined:           new(timestamp(user.Created)),
		Email:                &user.Email,
		FullName:             &user.FullName,
		Image:                nilIfEmpty(user.Image),
		IsActive:             &user.IsActive,
		IsStaff:              &user.IsStaff,
		IsSupport:            &user.IsSupport,
		NotificationsEnabled: &user.NotificationsEnabled,
		Permissions:          &permissions,
		Username:             &user.Username,
		UUID:                 &user.UUID,
	}
}

func (h handlers) customerURL(id uuid.UUID) string {
	return h.PublicURL + "api/customers/" + id.String() + "/"
}

func (h handlers) customer(s directory.Scope) server.Customer {
	return server.Customer{
		Created:     new(timestamp(s.Created)),
		Description: &s.Description,
		Name:        &s.Name,
		URL:         new(h.customerURL(s.UUID)),
		UUID:        &s.UUID,
	}
}

func (h handlers) project(s directory.Scope) server.Project {
	converted := server.Project{
		Created:      new(timestamp(s.Created)),
		Customer:     new(h.customerURL(s.CustomerUUID)),
		CustomerName: &s.Customer.Name,
		CustomerUUID: &s.CustomerUUID,
		Description:  &s.Description,
		Name:         &s.Name,
		URL:          new(h.PublicURL + "api/projects/" + s.UUID.String() + "/"),
		UUID:         &s.UUID,
	}
	if s.StartDate != nil {
		converted.StartDate = &openapi.Date{Time: *s.StartDate}
	}
	return converted
}

func role(r directory.Role) server.RoleDetails {
	permissions := append([]string{}, r.Permissions...) // never null
	return server.RoleDetails{
		ContentType: new(server.ScopeType(r.ScopeType)),
		Description: &r.Description,
		IsActive:    &r.IsActive,
		Name:        &r.Name,
		Permissions: &permissions,
		UUID:        &r.UUID,
	}
}

func permission(p directory.Permission) server.Permission {
	creator := creatorOf(p.CreatedBy)
	converted := server.Permission{
		Created:           new(timestamp(p.Created)),
		CreatedByFullName: &creator.FullName,
		CreatedByUsername: &creator.Username,
		CustomerName:      &p.Scope.Customer.Name,
		CustomerUUID:      &p.Scope.CustomerUUID,
		IsActive:          new(true),
		RoleDescription:   &p.Role.Description,
		RoleName:          &p.Role.Name,
		RoleUUID:          &p.RoleUUID,
		ScopeName:         &p.Scope.Name,
		ScopeType:         new(server.ScopeType(p.Scope.Type)),
		ScopeUUID:         &p.ScopeUUID,
		UserEmail:         &p.User.Email,
		UserName:          &p.User.FullName,
		UserUsername:      &p.User.Username,
		UserUUID:          &p.UserUUID,
		UUID:              &p.UUID,
	}
	if p.Expires != nil {
		converted.ExpirationTime = new(timestamp(*p.Expires))
	}
	return converted
}
