package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// List responses that implement the generated interfaces.
type (
	groupInvitationsResponse      listResponse[server.GroupInvitation]
	nestedProjectsResponse        listResponse[server.NestedProject]
	groupInvitationEventsResponse listResponse[server.GroupInvitationEvent]
)

// VisitUserGroupInvitationsListResponse writes the response.
func (l groupInvitationsResponse) VisitUserGroupInvitationsListResponse(w http.ResponseWriter) error {
	return listResponse[server.GroupInvitation](l).write(w)
}

// VisitUserGroupInvitationsProjectsListResponse writes the response.
func (l nestedProjectsResponse) VisitUserGroupInvitationsProjectsListResponse(w http.ResponseWriter) error {
	return listResponse[server.NestedProject](l).write(w)
}

// VisitUserGroupInvitationsEventsListResponse writes the response.
func (l groupInvitationEventsResponse) VisitUserGroupInvitationsEventsListResponse(w http.ResponseWriter) error {
	return listResponse[server.GroupInvitationEvent](l).write(w)
}

func (h handlers) UserGroupInvitationsList(
	ctx context.Context, request server.UserGroupInvitationsListRequestObject,
) (server.UserGroupInvitationsListResponseObject, error) {
	p, page := request.Params, pageOf(request.Params.Page, request.Params.PageSize)
	q, err := groupInvitationQuery(server.UserGroupInvitationsCountParams{
		CustomerUUID: p.CustomerUUID, IsActive: p.IsActive, IsPublic: p.IsPublic, RoleName: p.RoleName, RoleUUID: p.RoleUUID,
		Scope: p.Scope, ScopeType: p.ScopeType,
	})
	if err != nil {
		return nil, err
	}
	q.Order = ordering(p.O)
	rows, total, err := h.Joining.List(ctx, callerOrNobody(ctx), q, page.number, page.size)
	if err != nil {
		return nil, err
	}
	return groupInvitationsResponse{
		convertAll(rows, h.groupInvitation), nil, h.linkHeader(ctx, "user-group-invitations", page, total), total,
	}, nil
}

func (h handlers) UserGroupInvitationsCount(
	ctx context.Context, request server.UserGroupInvitationsCountRequestObject,
) (server.UserGroupInvitationsCountResponseObject, error) {
	q, err := groupInvitationQuery(request.Params)
	if err != nil {
		return nil, err
	}
	total, err := h.Joining.Count(ctx, callerOrNobody(ctx), q)
	if err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsCount200Response{
		Headers: server.UserGroupInvitationsCount200ResponseHeaders{XResultCount: total},
	}, nil
}

// groupInvitationQuery translates the filters of a list. It returns an invalid-field error where `scope` is not the URL of
// a scope.
func groupInvitationQuery(p server.UserGroupInvitationsCountParams) (joining.Query, error) {
	scope, err := scopeFilter(p.Scope)
	return joining.Query{
		Customer: p.CustomerUUID, IsActive: p.IsActive, IsPublic: p.IsPublic, Role: p.RoleUUID, RoleName: optionalText(p.RoleName),
		Scope: scope, ScopeType: optionalText(p.ScopeType),
	}, err
}

// scopeFilter translates the filter by the URL of a scope; nil: no filter.
func scopeFilter(address *string) (*invitation.ScopeRef, error) {
	if address == nil {
		return nil, nil
	}
	kind, id, ok := directory.ParseScopeURL(*address)
	if !ok {
		return nil, fault.Field("scope", "This is not the URL of a scope.")
	}
	return &invitation.ScopeRef{Type: kind, UUID: id}, nil
}

func (h handlers) UserGroupInvitationsRetrieve(
	ctx context.Context, request server.UserGroupInvitationsRetrieveRequestObject,
) (server.UserGroupInvitationsRetrieveResponseObject, error) {
	found, err := h.Joining.Retrieve(ctx, callerOrNobody(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsRetrieve200JSONResponse{Body: h.groupInvitation(found)}, nil
}

func (h handlers) UserGroupInvitationsCreate(
	ctx context.Context, request server.UserGroupInvitationsCreateRequestObject,
) (server.UserGroupInvitationsCreateResponseObject, error) {
	b := request.Body
	edit, err := groupInvitationEdit(server.GroupInvitationUpdateRequest{
		AllowCustomProjectDetails: b.AllowCustomProjectDetails, AllowMultipleRequests: b.AllowMultipleRequests,
		AutoApprove: b.AutoApprove, AutoCreateProject: b.AutoCreateProject, CustomText: b.CustomText, Expires: b.Expires,
		IsPublic: b.IsPublic, ProjectNameTemplate: b.ProjectNameTemplate, ProjectRole: b.ProjectRole, Role: &b.Role, Scope: &b.Scope,
		UserAffiliations: b.UserAffiliations, UserEmailPatterns: b.UserEmailPatterns, UserIdentitySources: b.UserIdentitySources,
	}, nil)
	if err != nil {
		return nil, err
	}
	created, err := h.Joining.Create(ctx, caller(ctx), edit)
	if err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsCreate201JSONResponse{
		Body:    h.groupInvitation(created),
		Headers: server.UserGroupInvitationsCreate201ResponseHeaders{Location: h.groupInvitationURL(created.UUID)},
	}, nil
}

func (h handlers) UserGroupInvitationsUpdate(
	ctx context.Context, request server.UserGroupInvitationsUpdateRequestObject,
) (server.UserGroupInvitationsUpdateResponseObject, error) {
	edited, err := h.editGroupInvitation(ctx, request.UUID, *request.Body)
	if err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsUpdate200JSONResponse{Body: edited}, nil
}

func (h handlers) UserGroupInvitationsPartialUpdate(
	ctx context.Context, request server.UserGroupInvitationsPartialUpdateRequestObject,
) (server.UserGroupInvitationsPartialUpdateResponseObject, error) {
	edited, err := h.editGroupInvitation(ctx, request.UUID, server.GroupInvitationUpdateRequest(*request.Body))
	if err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsPartialUpdate200JSONResponse{Body: edited}, nil
}

func (h handlers) editGroupInvitation(
	ctx context.Context, id uuid.UUID, body server.GroupInvitationUpdateRequest,
) (server.GroupInvitationUpdate, error) {
	edit, err := groupInvitationEdit(body, nullsOf(ctx))
	if err != nil {
		return server.GroupInvitationUpdate{}, err
	}
	edited, err := h.Joining.Update(ctx, caller(ctx), id, edit)
	if err != nil {
		return server.GroupInvitationUpdate{}, err
	}
	return h.groupInvitationUpdate(edited), nil
}

// groupInvitationEdit translates the fields of a request. nulls are the names of the fields that are null, rather than left
// out. It returns an invalid-field error where `expires` is no time.
func groupInvitationEdit(b server.GroupInvitationUpdateRequest, nulls map[string]bool) (joining.Edit, error) {
	e := joining.Edit{
		Role: b.Role, ScopeURL: b.Scope, IsPublic: b.IsPublic, MakesProjects: b.AutoCreateProject,
		CustomDetails: b.AllowCustomProjectDetails, AutoApprove: b.AutoApprove, MultipleRequests: b.AllowMultipleRequests,
		EmailPatterns: b.UserEmailPatterns, Affiliations: b.UserAffiliations, IdentitySources: b.UserIdentitySources,
		CustomText: b.CustomText,
	}
	if b.ProjectRole != nil || nulls["project_role"] {
		e.ProjectRole = &b.ProjectRole
	}
	if b.ProjectNameTemplate != nil || nulls["project_name_template"] {
		e.NameTemplate = &b.ProjectNameTemplate
	}
	expires, err := endOf("expires", b.Expires)
	if err != nil {
		return e, err
	}
	if expires != nil || nulls["expires"] {
		e.Expires = &expires
	}
	return e, nil
}

type nullsKey struct{}

// withNulls gives a handler the names of the fields that are null in the validated body. The generated types have nil for
// them, as for a field that is left out.
func withNulls(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		nulls := map[string]bool{}
		if body, ok := c.Request().Body.(interface{ ValidatedValue() any }); ok {
			fields, _ := body.ValidatedValue().(map[string]any)
			for name, value := range fields {
				nulls[name] = value == nil
			}
		}
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), nullsKey{}, nulls)))
		return next(c)
	}
}

// nullsOf returns the names of the fields that are null in the body of an operation that has withNulls.
func nullsOf(ctx context.Context) map[string]bool {
	nulls, _ := ctx.Value(nullsKey{}).(map[string]bool)
	return nulls
}

func (h handlers) UserGroupInvitationsDestroy(
	ctx context.Context, request server.UserGroupInvitationsDestroyRequestObject,
) (server.UserGroupInvitationsDestroyResponseObject, error) {
	if err := h.Joining.Destroy(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsDestroy204Response{}, nil
}

func (h handlers) UserGroupInvitationsCancel(
	ctx context.Context, request server.UserGroupInvitationsCancelRequestObject,
) (server.UserGroupInvitationsCancelResponseObject, error) {
	if err := h.Joining.Cancel(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserGroupInvitationsCancel200JSONResponse{
		Body: server.Detail{Detail: "Invitation has been successfully canceled."},
	}, nil
}

func (h handlers) UserGroupInvitationsProjectsList(
	ctx context.Context, request server.UserGroupInvitationsProjectsListRequestObject,
) (server.UserGroupInvitationsProjectsListResponseObject, error) {
	page := pageOf(request.Params.Page, request.Params.PageSize)
	found, total, err := h.Joining.Projects(ctx, caller(ctx), request.UUID, page.number, page.size)
	if err != nil {
		return nil, err
	}
	path := "user-group-invitations/" + request.UUID.String() + "/projects"
	return nestedProjectsResponse{convertAll(found, func(id uuid.UUID) server.NestedProject {
		return server.NestedProject{UUID: id, URL: h.PublicURL + "api/projects/" + id.String() + "/"}
	}), nil, h.linkHeader(ctx, path, page, total), total}, nil
}

func (h handlers) UserGroupInvitationsEventsList(
	ctx context.Context, request server.UserGroupInvitationsEventsListRequestObject,
) (server.UserGroupInvitationsEventsListResponseObject, error) {
	page := pageOf(request.Params.Page, request.Params.PageSize)
	found, total, err := h.Joining.Events(ctx, caller(ctx), request.UUID, page.number, page.size)
	if err != nil {
		return nil, err
	}
	path := "user-group-invitations/" + request.UUID.String() + "/events"
	return groupInvitationEventsResponse{
		convertAll(found, groupInvitationEvent), nil, h.linkHeader(ctx, path, page, total), total,
	}, nil
}

func groupInvitationEvent(e joining.Event) server.GroupInvitationEvent {
	return server.GroupInvitationEvent{
		Created: timestamp(e.Created), EventType: server.GroupInvitationEventType(e.Type), Message: e.Message,
		PermissionRequestUUID: e.PermissionRequestUUID, FromState: string(e.FromState), ToState: string(e.ToState),
		Comment: e.Comment, Recipient: e.Recipient, ErrorMessage: e.ErrorMessage,
		RequestID: e.RequestID, RoleName: e.RoleName, RoleUUID: e.RoleUUID, ScopeName: e.ScopeName, ScopeUUID: e.ScopeUUID,
		UserFullName: e.UserFullName, UserUsername: e.UserUsername, UserUUID: e.UserUUID,
	}
}

func (h handlers) groupInvitationURL(id uuid.UUID) string {
	return h.PublicURL + "api/user-group-invitations/" + id.String() + "/"
}

func (h handlers) groupInvitation(v joining.View) server.GroupInvitation {
	out := server.GroupInvitation{
		AllowCustomProjectDetails: v.CustomDetails,
		AllowMultipleRequests:     v.MultipleRequests,
		AutoApprove:               v.AutoApprove,
		AutoCreateProject:         v.MakesProjects,
		Created:                   timestamp(v.Created),
		CustomText:                v.CustomText,
		CustomerName:              v.Scope.Customer.Name,
		CustomerUUID:              v.CustomerUUID,
		Expires:                   optionalTimestamp(v.Expires),
		IsActive:                  v.IsActive,
		IsPublic:                  v.IsPublic,
		ProjectNameTemplate:       v.NameTemplate,
		ProjectRole:               v.ProjectRoleUUID,
		Role:                      v.RoleUUID,
		RoleDescription:           v.Role.Description,
		RoleName:                  v.Role.Name,
		ScopeDescription:          v.Scope.Description,
		ScopeName:                 v.Scope.Name,
		ScopeType:                 server.ScopeType(v.Scope.Type),
		ScopeUUID:                 v.ScopeUUID,
		URL:                       h.groupInvitationURL(v.UUID),
		UUID:                      v.UUID,
		UserAffiliations:          []string{},
		UserEmailPatterns:         []string{},
		UserIdentitySources:       []string{},
	}
	if v.ShowsCreator {
		out.UserAffiliations, out.UserEmailPatterns, out.UserIdentitySources = v.Affiliations, v.EmailPatterns, v.IdentitySources
	}
	if by := v.CreatedBy; by != nil && v.ShowsCreator {
		out.CreatedByFullName, out.CreatedByUsername, out.CreatedByImage = &by.FullName, &by.Username, nilIfEmpty(by.Image)
	}
	return out
}

func (h handlers) groupInvitationUpdate(v joining.View) server.GroupInvitationUpdate {
	return server.GroupInvitationUpdate{
		AllowCustomProjectDetails: v.CustomDetails,
		AllowMultipleRequests:     v.MultipleRequests,
		AutoApprove:               v.AutoApprove,
		AutoCreateProject:         v.MakesProjects,
		CustomText:                v.CustomText,
		Expires:                   optionalTimestamp(v.Expires),
		IsPublic:                  v.IsPublic,
		ProjectNameTemplate:       v.NameTemplate,
		ProjectRole:               v.ProjectRoleUUID,
		Role:                      v.RoleUUID,
		Scope:                     h.PublicURL + directory.ScopePath(v.Scope)[1:],
		UserAffiliations:          v.Affiliations,
		UserEmailPatterns:         v.EmailPatterns,
		UserIdentitySources:       v.IdentitySources,
	}
}

// optionalTimestamp returns a time as timestamp does; nil stays nil.
func optionalTimestamp(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return new(timestamp(*t))
}
