package api

import (
	"time"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
)

// timestamp formats a time as the API does: RFC 3339 in UTC with microseconds.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (h handlers) url(v invitation.View) string {
	return h.PublicURL + "api/user-invitations/" + v.UUID.String() + "/"
}

// creatorOf returns the creator, or a user with empty fields where the creator was removed.
func creatorOf(user *directory.User) directory.User {
	if user == nil {
		return directory.User{}
	}
	return *user
}

func (h handlers) invitation(v invitation.View) server.Invitation {
	creator := creatorOf(v.CreatedBy)
	allowed := func(field, value string) *string {
		if !h.Service.Policy.Allows(field) {
			return nil
		}
		return &value
	}
	return server.Invitation{
		CivilNumber:         allowed("civil_number", v.CivilNumber),
		Created:             timestamp(v.Created),
		CreatedByFullName:   creator.FullName,
		CreatedByImage:      nilIfEmpty(creator.Image),
		CreatedByUsername:   creator.Username,
		CustomerName:        v.Scope.Customer.Name,
		CustomerUUID:        v.CustomerUUID,
		Email:               v.Email,
		ErrorMessage:        v.DeliveryError(),
		ExecutionState:      server.ExecutionStateEnum(v.ExecutionState),
		Expires:             timestamp(v.Expires),
		MembershipExpires:   optionalTimestamp(v.MembershipExpires),
		ExtraInvitationText: v.ExtraInvitationText,
		FullName:            allowed("full_name", v.FullName),
		JobTitle:            allowed("job_title", v.JobTitle),
		NativeName:          allowed("native_name", v.NativeName),
		Organization:        allowed("organization", v.Organization),
		PhoneNumber:         allowed("phone_number", v.PhoneNumber),
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
		DeclinedAt:          declinedAt(v),
		DeclineReason:       declineReason(v),
	}
}

func details(v invitation.View) server.VisibleInvitationDetails {
	creator := creatorOf(v.CreatedBy)
	return server.VisibleInvitationDetails{
		CreatedByFullName: creator.FullName,
		CreatedByImage:    nilIfEmpty(creator.Image),
		CreatedByUsername: creator.Username,
		CustomerName:      v.Scope.Customer.Name,
		CustomerUUID:      v.CustomerUUID,
		Email:             v.Email,
		ErrorMessage:      v.DeliveryError(),
		ExecutionState:    server.ExecutionStateEnum(v.ExecutionState),
		RoleDescription:   v.Role.Description,
		RoleName:          v.Role.Name,
		ScopeDescription:  v.Scope.Description,
		ScopeName:         v.Scope.Name,
		ScopeType:         server.ScopeType(v.Scope.Type),
		ScopeUUID:         v.ScopeUUID,
		State:             server.InvitationState(v.State),
		DeclinedAt:        declinedAt(v),
		MembershipExpires: optionalTimestamp(v.MembershipExpires),
	}
}

// declinedAt returns when the invitee declined; nil: they did not.
func declinedAt(v invitation.View) *string {
	if !v.IsDeclined() {
		return nil
	}
	return new(timestamp(*v.DeclinedAt))
}

// declineReason returns why the invitee declined; empty: they did not, or did not say.
func declineReason(v invitation.View) string {
	if !v.IsDeclined() {
		return ""
	}
	return v.DeclineReason
}
