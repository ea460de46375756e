package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	openapi "github.com/oapi-codegen/runtime/types"

	"invited/gen/server"
	"invited/internal/directory"
)

// The lists of the directory, as the generated code takes them.
type (
	customersListed   listed[server.Customer]
	projectsListed    listed[server.Project]
	rolesListed       listed[server.RoleDetails]
	permissionsListed listed[server.Permission]
)

// VisitCustomersListResponse writes the response.
func (l customersListed) VisitCustomersListResponse(w http.ResponseWriter) error {
	return listed[server.Customer](l).write(w)
}

// VisitProjectsListResponse writes the response.
func (l projectsListed) VisitProjectsListResponse(w http.ResponseWriter) error {
	return listed[server.Project](l).write(w)
}

// VisitRolesListResponse writes the response.
func (l rolesListed) VisitRolesListResponse(w http.ResponseWriter) error {
	return listed[server.RoleDetails](l).write(w)
}

// VisitUserPermissionsListResponse writes the response.
func (l permissionsListed) VisitUserPermissionsListResponse(w http.ResponseWriter) error {
	return listed[server.Permission](l).write(w)
}

func (h handlers) CustomersList(
	ctx context.Context, request server.CustomersListRequestObject,
) (server.CustomersListResponseObject, error) {
	p, wanted := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := customerFilters(server.CustomersCountParams{Name: p.Name, NameExact: p.NameExact, Query: p.Query})
	q.Order = order(p.O)
	rows, total, err := h.Directory.Scopes(ctx, caller(ctx), q, wanted.number, wanted.size)
	if err != nil {
		return nil, err
	}
	return customersListed{each(rows, h.customer), named(p.Field), h.links(ctx, "customers", wanted, total), total}, nil
}

func (h handlers) CustomersCount(
	ctx context.Context, request server.CustomersCountRequestObject,
) (server.CustomersCountResponseObject, error) {
	total, err := h.Directory.CountScopes(ctx, caller(ctx), customerFilters(request.Params))
	if err != nil {
		return nil, err
	}
	return server.CustomersCount200Response{Headers: server.CustomersCount200ResponseHeaders{XResultCount: total}}, nil
}

func customerFilters(p server.CustomersCountParams) directory.ScopeQuery {
	return directory.ScopeQuery{
		Type: directory.Customer, Name: text(p.Name), NameExact: text(p.NameExact), Any: text(p.Query),
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
	p, wanted := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := projectFilters(server.ProjectsCountParams{
		Customer: p.Customer, CustomerName: p.CustomerName, CustomerUUID: p.CustomerUUID, Description: p.Description,
		Name: p.Name, NameExact: p.NameExact, Query: p.Query,
	})
	q.Order = order(p.O)
	rows, total, err := h.Directory.Scopes(ctx, caller(ctx), q, wanted.number, wanted.size)
	if err != nil {
		return nil, err
	}
	return projectsListed{each(rows, h.project), named(p.Field), h.links(ctx, "projects", wanted, total), total}, nil
}

func (h handlers) ProjectsCount(
	ctx context.Context, request server.ProjectsCountRequestObject,
) (server.ProjectsCountResponseObject, error) {
	total, err := h.Directory.CountScopes(ctx, caller(ctx), projectFilters(request.Params))
	if err != nil {
		return nil, err
	}
	return server.ProjectsCount200Response{Headers: server.ProjectsCount200ResponseHeaders{XResultCount: total}}, nil
}

func projectFilters(p server.ProjectsCountParams) directory.ScopeQuery {
	q := directory.ScopeQuery{
		Type: directory.Project, Name: text(p.Name), NameExact: text(p.NameExact), Description: text(p.Description),
		CustomerName: text(p.CustomerName), Any: text(p.Query), Customer: p.CustomerUUID,
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
	p, wanted := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := roleFilters(server.RolesCountParams{ContentType: p.ContentType, Description: p.Description, IsActive: p.IsActive, Name: p.Name})
	rows, total, err := h.Directory.Roles(ctx, q, wanted.number, wanted.size)
	if err != nil {
		return nil, err
	}
	return rolesListed{each(rows, role), named(p.Field), h.links(ctx, "roles", wanted, total), total}, nil
}

func (h handlers) RolesCount(
	ctx context.Context, request server.RolesCountRequestObject,
) (server.RolesCountResponseObject, error) {
	total, err := h.Directory.CountRoles(ctx, roleFilters(request.Params))
	if err != nil {
		return nil, err
	}
	return server.RolesCount200Response{Headers: server.RolesCount200ResponseHeaders{XResultCount: total}}, nil
}

func roleFilters(p server.RolesCountParams) directory.RoleQuery {
	return directory.RoleQuery{
		Name: text(p.Name), Description: text(p.Description), ScopeType: text(p.ContentType), Active: p.IsActive,
	}
}

func (h handlers) RolesRetrieve(
	ctx context.Context, request server.RolesRetrieveRequestObject,
) (server.RolesRetrieveResponseObject, error) {
	found, err := h.Directory.Role(ctx, request.UUID)
	if err != nil {
		return nil, err
	}
	return server.RolesRetrieve200JSONResponse{Body: role(found)}, nil
}

func (h handlers) UserPermissionsList(
	ctx context.Context, request server.UserPermissionsListRequestObject,
) (server.UserPermissionsListResponseObject, error) {
	p, wanted := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := permissionFilters(server.UserPermissionsCountParams{
		FullName: p.FullName, RoleName: p.RoleName, RoleUUID: p.RoleUUID, ScopeName: p.ScopeName, ScopeType: p.ScopeType,
		ScopeUUID: p.ScopeUUID, User: p.User, Username: p.Username,
	})
	q.Order = order(p.O)
	rows, total, err := h.Directory.Permissions(ctx, caller(ctx), q, wanted.number, wanted.size)
	if err != nil {
		return nil, err
	}
	return permissionsListed{
		each(rows, permission), named(p.Field), h.links(ctx, "user-permissions", wanted, total), total,
	}, nil
}

func (h handlers) UserPermissionsCount(
	ctx context.Context, request server.UserPermissionsCountRequestObject,
) (server.UserPermissionsCountResponseObject, error) {
	total, err := h.Directory.CountPermissions(ctx, caller(ctx), permissionFilters(request.Params))
	if err != nil {
		return nil, err
	}
	return server.UserPermissionsCount200Response{
		Headers: server.UserPermissionsCount200ResponseHeaders{XResultCount: total},
	}, nil
}

func permissionFilters(p server.UserPermissionsCountParams) directory.PermissionQuery {
	return directory.PermissionQuery{
		User: p.User, Username: text(p.Username), FullName: text(p.FullName), Role: p.RoleUUID, RoleName: text(p.RoleName),
		Scope: p.ScopeUUID, ScopeName: text(p.ScopeName), ScopeType: text(p.ScopeType),
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
	permissions := each(held, permission)
	return server.UsersMeRetrieve200JSONResponse{Body: server.UserMe{
		CivilNumber:          orNull(user.CivilNumber),
		DateJoined:           shownTime(user.Created),
		Email:                &user.Email,
		FullName:             &user.FullName,
		Image:                orNull(user.Image),
		IsActive:             &user.IsActive,
		IsStaff:              &user.IsStaff,
		IsSupport:            &user.IsSupport,
		NotificationsEnabled: &user.NotificationsEnabled,
		Permissions:          &permissions,
		Username:             &user.Username,
		UUID:                 &user.UUID,
	}}, nil
}

// links are those of a page of a list, whose path is named.
func (h handlers) links(ctx context.Context, path string, wanted page, total int) string {
	return wanted.links(h.PublicURL+"api/"+path+"/", queryOf(ctx), total)
}

// order is an ordering, which the contract allows.
func order[Key ~string](asked *[]Key) []directory.Order {
	if asked == nil {
		return nil
	}
	return each(*asked, func(key Key) directory.Order {
		by, descending := strings.CutPrefix(string(key), "-")
		return directory.Order{By: directory.OrderBy(by), Descending: descending}
	})
}

// each is a list of what rows are to be shown as, never null.
func each[Row, Shown any](rows []Row, show func(Row) Shown) []Shown {
	all := make([]Shown, 0, len(rows))
	for _, row := range rows {
		all = append(all, show(row))
	}
	return all
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func shownTime(t time.Time) *string {
	text := timestamp(t)
	return &text
}

func (h handlers) customerURL(id uuid.UUID) *string {
	address := h.PublicURL + "api/customers/" + id.String() + "/"
	return &address
}

func (h handlers) customer(s directory.Scope) server.Customer {
	return server.Customer{
		Created: shownTime(s.Created), Description: &s.Description, Name: &s.Name, URL: h.customerURL(s.UUID), UUID: &s.UUID,
	}
}

func (h handlers) project(s directory.Scope) server.Project {
	address := h.PublicURL + "api/projects/" + s.UUID.String() + "/"
	shown := server.Project{
		Created:      shownTime(s.Created),
		Customer:     h.customerURL(s.CustomerUUID),
		CustomerName: &s.Customer.Name,
		CustomerUUID: &s.CustomerUUID,
		Description:  &s.Description,
		Name:         &s.Name,
		URL:          &address,
		UUID:         &s.UUID,
	}
	if s.StartDate != nil {
		shown.StartDate = &openapi.Date{Time: *s.StartDate}
	}
	return shown
}

func role(r directory.Role) server.RoleDetails {
	kind, permissions := server.ScopeType(r.ScopeType), append([]string{}, r.Permissions...)
	return server.RoleDetails{
		ContentType: &kind, Description: &r.Description, IsActive: &r.IsActive, Name: &r.Name, Permissions: &permissions,
		UUID: &r.UUID,
	}
}

func permission(p directory.Permission) server.Permission {
	var creator directory.User
	if p.CreatedBy != nil {
		creator = *p.CreatedBy
	}
	kind, inForce := server.ScopeType(p.Scope.Type), true
	shown := server.Permission{
		Created:           shownTime(p.Created),
		CreatedByFullName: &creator.FullName,
		CreatedByUsername: &creator.Username,
		CustomerName:      &p.Scope.Customer.Name,
		CustomerUUID:      &p.Scope.CustomerUUID,
		IsActive:          &inForce,
		RoleDescription:   &p.Role.Description,
		RoleName:          &p.Role.Name,
		RoleUUID:          &p.RoleUUID,
		ScopeName:         &p.Scope.Name,
		ScopeType:         &kind,
		ScopeUUID:         &p.ScopeUUID,
		UserEmail:         &p.User.Email,
		UserName:          &p.User.FullName,
		UserUsername:      &p.User.Username,
		UserUUID:          &p.UserUUID,
		UUID:              &p.UUID,
	}
	if p.Expires != nil {
		shown.ExpirationTime = shownTime(*p.Expires)
	}
	return shown
}
