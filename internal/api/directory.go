package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	openapi "github.com/oapi-codegen/runtime/types"

	"invited/gen/server"
	"invited/internal/directory"
)

// List responses that implement the generated interfaces.
type (
	customersResponse   listResponse[customerRow]
	projectsResponse    listResponse[projectRow]
	rolesResponse       listResponse[server.RoleDetails]
	permissionsResponse listResponse[server.Permission]
)

// Rows of lists have the e-mail patterns, which can be a megabyte for each, only where the parameter `field` names them.
type (
	customerRow struct {
		server.Customer

		UserEmailPatterns *[]string `json:"user_email_patterns,omitempty"`
	}
	projectRow struct {
		server.Project

		UserEmailPatterns *[]string `json:"user_email_patterns,omitempty"`
	}
)

// VisitCustomersListResponse writes the response.
func (l customersResponse) VisitCustomersListResponse(w http.ResponseWriter) error {
	return listResponse[customerRow](l).write(w)
}

// VisitProjectsListResponse writes the response.
func (l projectsResponse) VisitProjectsListResponse(w http.ResponseWriter) error {
	return listResponse[projectRow](l).write(w)
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
	q := customerQuery(server.CustomersCountParams{
		CurrentUserHasProjectCreatePermission: p.CurrentUserHasProjectCreatePermission, CurrentUserHasRole: p.CurrentUserHasRole,
		Name: p.Name, NameExact: p.NameExact, OwnedByCurrentUser: p.OwnedByCurrentUser, Query: p.Query, Slug: p.Slug,
		UserUUID: p.UserUUID,
	})
	q.Order = ordering(p.O)
	fields := fieldNames(p.Field)
	q.WithCounts = wantsAny(fields, "projects_count", "users_count")
	q.WithPatterns = slices.Contains(fields, "user_email_patterns")
	rows, total, err := h.Directory.Scopes(ctx, caller(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	converted := convertAll(rows, func(s directory.Scope) customerRow {
		row := customerRow{Customer: h.customer(s)}
		if q.WithPatterns {
			row.UserEmailPatterns = &row.Customer.UserEmailPatterns
		}
		return row
	})
	return customersResponse{converted, fields, h.linkHeader(ctx, "customers", page, total), total}, nil
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
		Type: directory.Customer, Name: optionalText(p.Name), NameExact: optionalText(p.NameExact), Slug: optionalText(p.Slug),
		Any: optionalText(p.Query), CallerRoles: optionalList(p.CurrentUserHasRole), Owned: isTrue(p.OwnedByCurrentUser),
		CreatesProjects: isTrue(p.CurrentUserHasProjectCreatePermission), Member: p.UserUUID,
	}
}

func (h handlers) CustomersRetrieve(
	ctx context.Context, request server.CustomersRetrieveRequestObject,
) (server.CustomersRetrieveResponseObject, error) {
	found, err := h.Directory.ScopeWithDetails(ctx, caller(ctx), directory.Customer, request.UUID)
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
		CanManage: p.CanManage, Created: p.Created, CreatedBefore: p.CreatedBefore, CurrentUserHasRole: p.CurrentUserHasRole,
		Customer: p.Customer, CustomerName: p.CustomerName, CustomerUUID: p.CustomerUUID, Description: p.Description,
		IsRemoved: p.IsRemoved, Modified: p.Modified, ModifiedBefore: p.ModifiedBefore, Name: p.Name, NameExact: p.NameExact,
		Query: p.Query, Slug: p.Slug, UserUUID: p.UserUUID,
	})
	q.Order = ordering(p.O)
	fields := fieldNames(p.Field)
	q.WithPatterns = slices.Contains(fields, "user_email_patterns")
	rows, total, err := h.Directory.Scopes(ctx, caller(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	converted := convertAll(rows, func(s directory.Scope) projectRow {
		row := projectRow{Project: h.project(s)}
		if q.WithPatterns {
			row.UserEmailPatterns = &row.Project.UserEmailPatterns
		}
		return row
	})
	return projectsResponse{converted, fields, h.linkHeader(ctx, "projects", page, total), total}, nil
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
	return directory.ScopeQuery{
		Type: directory.Project, Name: optionalText(p.Name), NameExact: optionalText(p.NameExact), Slug: optionalText(p.Slug),
		Description: optionalText(p.Description), CustomerName: optionalText(p.CustomerName), Any: optionalText(p.Query),
		Customer: p.CustomerUUID, Customers: optionalList(p.Customer), Created: period(p.Created, p.CreatedBefore),
		Modified: period(p.Modified, p.ModifiedBefore), Removed: p.IsRemoved, CallerRoles: optionalList(p.CurrentUserHasRole),
		Managed: isTrue(p.CanManage), Member: p.UserUUID,
	}
}

func (h handlers) ProjectsRetrieve(
	ctx context.Context, request server.ProjectsRetrieveRequestObject,
) (server.ProjectsRetrieveResponseObject, error) {
	found, err := h.Directory.ScopeWithDetails(ctx, caller(ctx), directory.Project, request.UUID)
	if err != nil {
		return nil, err
	}
	return server.ProjectsRetrieve200JSONResponse{Body: h.project(found)}, nil
}

func (h handlers) RolesList(
	ctx context.Context, request server.RolesListRequestObject,
) (server.RolesListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q := roleQuery(server.RolesCountParams{
		ContentType: p.ContentType, Description: p.Description, IsActive: p.IsActive, Name: p.Name, Query: p.Query,
	})
	q.Order = ordering(p.O)
	q.CountUsers = wantsAny(fieldNames(p.Field), "users_count")
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
	return directory.RoleQuery{
		Name:        optionalText(p.Name),
		Description: optionalText(p.Description),
		Any:         optionalText(p.Query),
		ScopeTypes:  optionalList(p.ContentType),
		Active:      p.IsActive,
	}
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
		Created: p.Created, CreatedBefore: p.CreatedBefore, CustomerUUID: p.CustomerUUID, FullName: p.FullName,
		IsActive: p.IsActive, Modified: p.Modified, ModifiedBefore: p.ModifiedBefore, RoleName: p.RoleName, RoleUUID: p.RoleUUID,
		ScopeName: p.ScopeName, ScopeType: p.ScopeType, ScopeUUID: p.ScopeUUID, User: p.User, Username: p.Username,
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
		Customer:  p.CustomerUUID,
		Created:   period(p.Created, p.CreatedBefore),
		Modified:  period(p.Modified, p.ModifiedBefore),
		Active:    p.IsActive,
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
	first, last, _ := strings.Cut(user.FullName, " ")
	return server.UserMe{
		URL:                  h.PublicURL + "api/users/" + user.UUID.String() + "/",
		AgreementDate:        timestamp(user.Created),
		CivilNumber:          nilIfEmpty(user.CivilNumber),
		DateJoined:           timestamp(user.Created),
		Email:                user.Email,
		FirstName:            first,
		FullName:             user.FullName,
		Image:                nilIfEmpty(user.Image),
		IsActive:             user.IsActive,
		IsStaff:              user.IsStaff,
		IsSupport:            user.IsSupport,
		LastName:             strings.TrimSpace(last),
		NotificationsEnabled: user.NotificationsEnabled,
		Permissions:          permissions,
		Username:             user.Username,
		UUID:                 user.UUID,
	}
}

func (h handlers) customerURL(id uuid.UUID) string {
	return h.PublicURL + "api/customers/" + id.String() + "/"
}

func (h handlers) customer(s directory.Scope) server.Customer {
	return server.Customer{
		Created:           timestamp(s.Created),
		Description:       s.Description,
		Name:              s.Name,
		ProjectsCount:     s.ProjectsCount,
		Slug:              s.Slug,
		URL:               h.customerURL(s.UUID),
		UserEmailPatterns: neverNull(s.UserEmailPatterns),
		UsersCount:        s.UsersCount,
		UUID:              s.UUID,
	}
}

func (h handlers) project(s directory.Scope) server.Project {
	converted := server.Project{
		Created:           timestamp(s.Created),
		Customer:          h.customerURL(s.CustomerUUID),
		CustomerName:      s.Customer.Name,
		CustomerUUID:      s.CustomerUUID,
		Description:       s.Description,
		Name:              s.Name,
		Slug:              s.Slug,
		URL:               h.PublicURL + "api/projects/" + s.UUID.String() + "/",
		UserEmailPatterns: neverNull(s.UserEmailPatterns),
		UUID:              s.UUID,
	}
	if s.StartDate != nil {
		converted.StartDate = &openapi.Date{Time: *s.StartDate}
	}
	return converted
}

func role(r directory.Role) server.RoleDetails {
	return server.RoleDetails{
		ContentType: server.ScopeType(r.ScopeType),
		Description: r.Description,
		IsActive:    r.IsActive,
		Name:        r.Name,
		Permissions: neverNull(r.Permissions),
		UsersCount:  r.UsersCount,
		UUID:        r.UUID,
	}
}

func permission(p directory.Permission) server.Permission {
	creator := creatorOf(p.CreatedBy)
	converted := server.Permission{
		Created:           timestamp(p.Created),
		CreatedByFullName: creator.FullName,
		CreatedByUsername: creator.Username,
		CustomerName:      p.Scope.Customer.Name,
		CustomerUUID:      p.Scope.CustomerUUID,
		IsActive:          true,
		RoleDescription:   p.Role.Description,
		RoleName:          p.Role.Name,
		RoleUUID:          p.RoleUUID,
		ScopeName:         p.Scope.Name,
		ScopeType:         server.ScopeType(p.Scope.Type),
		ScopeUUID:         p.ScopeUUID,
		UserEmail:         p.User.Email,
		UserName:          p.User.FullName,
		UserUsername:      p.User.Username,
		UserUUID:          p.UserUUID,
		UUID:              p.UUID,
	}
	if p.Scope.Type == directory.Project {
		converted.ProjectUUID = &p.ScopeUUID
	}
	if p.Expires != nil {
		converted.ExpirationTime = new(timestamp(*p.Expires))
	}
	return converted
}
