package api

import (
	"time"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
)

// timestamp is how the API writes a moment: RFC 3339 in UTC with microseconds.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (h handlers) url(v invitation.View) string {
	return h.PublicURL + "api/user-invitations/" + v.UUID.String() + "/"
}

// creator is how the creator of an invitation shows: empty where they are gone.
func creator(v invitation.View) (user directory.User, image *string) {
	if v.CreatedBy != nil {
		user = *v.CreatedBy
	}
	if user.Image != "" {
		image = &user.Image
	}
	return user, image
}

func (h handlers) invitation(v invitation.View) server.Invitation {
	user, image := creator(v)
	shown := func(field, value string) *string {
		if !h.Service.Policy.Allows(field) {
			return nil
		}
		return &value
	}
	return server.Invitation{
		CivilNumber:         shown("civil_number", v.CivilNumber),
		Created:             timestamp(v.Created),
		CreatedByFullName:   user.FullName,
		CreatedByImage:      image,
		CreatedByUsername:   user.Username,
		CustomerName:        v.Scope.Customer.Name,
		CustomerUUID:        v.CustomerUUID,
		Email:               v.Email,
		ErrorMessage:        v.ErrorMessage,
		ExecutionState:      server.ExecutionStateEnum(v.ExecutionState),
		Expires:             timestamp(v.Expires),
		ExtraInvitationText: v.ExtraInvitationText,
		FullName:            shown("full_name", v.FullName),
		JobTitle:            shown("job_title", v.JobTitle),
		NativeName:          shown("native_name", v.NativeName),
		Organization:        shown("organization", v.Organization),
		PhoneNumber:         shown("phone_number", v.PhoneNumber),
		Role:                v.RoleUUID,
		RoleDescription:     v.Role.Description,
		RoleName:            v.Role.Name,
		ScopeDescription:    v.Scope.Description,
		ScopeName:           v.Scope.Name,
		ScopeType:           server.ScopeType(v.Scope.Type),
		ScopeUUID:           v.ScopeUUID,
		State:               server.InvitationState(v.State),
		URL:                 h.url(v),
		UUID:                v.UUID,
	}
}

func details(v invitation.View) server.VisibleInvitationDetails {
	user, image := creator(v)
	return server.VisibleInvitationDetails{
		CreatedByFullName: user.FullName,
		CreatedByImage:    image,
		CreatedByUsername: user.Username,
		CustomerName:      v.Scope.Customer.Name,
		CustomerUUID:      v.CustomerUUID,
		Email:             v.Email,
		ErrorMessage:      v.ErrorMessage,
		ExecutionState:    server.ExecutionStateEnum(v.ExecutionState),
		RoleDescription:   v.Role.Description,
		RoleName:          v.Role.Name,
		ScopeDescription:  v.Scope.Description,
		ScopeName:         v.Scope.Name,
		ScopeType:         server.ScopeType(v.Scope.Type),
		ScopeUUID:         v.ScopeUUID,
		State:             server.InvitationState(v.State),
	}
}
