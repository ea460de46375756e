package joining

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// GroupInvitation is a standing offer of one role in one scope to whoever opens its link, as it is stored.
type GroupInvitation struct {
	UUID    uuid.UUID `gorm:"primaryKey"`
	Version int       // counts the changes
	Created time.Time
	Expires *time.Time // when the group invitation ends by itself; nil: never
	// NotCanceled is false once the group invitation was canceled. Time or the removal of the scope may end it too: see
	// IsActiveAt.
	NotCanceled bool `gorm:"column:is_active"`
	IsPublic    bool // anybody may read it, also without a credential

	RoleUUID      uuid.UUID
	Role          directory.Role `gorm:"foreignKey:RoleUUID;references:UUID"`
	ScopeUUID     uuid.UUID
	Scope         directory.Scope `gorm:"foreignKey:ScopeUUID;references:UUID"`
	CustomerUUID  uuid.UUID       // of the scope; copied here for filters
	CreatedByUUID *uuid.UUID
	// OfferedByUUID is the user who made or edited the group invitation last, and on whose authority it stands; nil: that user
	// was deleted. See Policy.RecheckInviter.
	OfferedByUUID *uuid.UUID
	CreatedBy     *directory.User `gorm:"foreignKey:CreatedByUUID;references:UUID"` // nil: the creator's user was deleted

	// MakesProjects: an approval grants a role in a project that it finds or makes in the customer, and not Role in Scope.
	MakesProjects bool            `gorm:"column:auto_create_project"`
	ProjectRole   *directory.Role `gorm:"foreignKey:ProjectRoleUUID;references:UUID"` // nil: Role is granted there
	// ProjectRoleUUID is that of ProjectRole.
	ProjectRoleUUID *uuid.UUID
	// NameTemplate names the projects of requesters who give no name; nil: by their username. See ProjectName.
	NameTemplate  *string `gorm:"column:project_name_template"`
	CustomDetails bool    `gorm:"column:allow_custom_project_details"` // requesters may name and describe the project

	AutoApprove      bool     // requests are approved at once
	MultipleRequests bool     `gorm:"column:allow_multiple_requests"`
	EmailPatterns    []string `gorm:"column:user_email_patterns;serializer:json"`
	Affiliations     []string `gorm:"column:user_affiliations;serializer:json"`
	IdentitySources  []string `gorm:"column:user_identity_sources;serializer:json"`
	CustomText       string   // shown to whoever opens the link
}

// IsActiveAt reports whether users can take the group invitation up at a moment. The store's filters compute the same in
// SQL; a property test compares the two.
func (g GroupInvitation) IsActiveAt(now time.Time) bool {
	return g.NotCanceled && (g.Expires == nil || now.Before(*g.Expires)) && !g.Scope.Removed()
}

// isRestricted reports whether the group invitation names the users whom it is for.
func (g GroupInvitation) isRestricted() bool {
	return len(g.EmailPatterns)+len(g.Affiliations)+len(g.IdentitySources) > 0
}

// Granted returns the role that an approval grants.
func (g GroupInvitation) Granted() directory.Role {
	if g.MakesProjects && g.ProjectRole != nil {
		return *g.ProjectRole
	}
	return g.Role
}

// grantedIn returns the scope in which the roles of an inviter have to carry the permissions of the granted role.
func (g GroupInvitation) grantedIn() directory.Scope {
	if g.MakesProjects {
		return *g.Scope.Customer
	}
	return g.Scope
}

// IsProjectRole reports whether a role is one of projects, by its name: Waldur's clients know no other sign.
func IsProjectRole(r directory.Role) bool { return strings.HasPrefix(r.Name, "PROJECT.") }

// View is a group invitation as one caller sees it at one moment.
type View struct {
	GroupInvitation
	IsActive     bool
	ShowsCreator bool // the caller may know who created it, and which users it is for
}

// Visibility describes the group invitations that a caller sees in a list. The store's list and Includes read the same value.
type Visibility struct {
	All       bool
	Customers []uuid.UUID        // all group invitations of these customers
	Managed   directory.ScopeSet // those of these scopes, unless they are removed
	Public    bool               // those that are public and active
}

// VisibleTo returns the group invitations that a caller sees in the list: staff and support all, others those of customers
// in which a role of theirs carries INVITATION.LIST, and everybody those that are public and active. The zero Actor is a
// caller without a credential.
func VisibleTo(caller directory.Actor) Visibility {
	if caller.SeesAll() {
		return Visibility{All: true}
	}
	v := Visibility{Public: true}
	for _, g := range caller.Grants {
		if g.ScopeType == directory.Customer && slices.Contains(g.Permissions, directory.InvitationList) {
			v.Customers = append(v.Customers, g.ScopeUUID)
		}
	}
	return v
}

// OverseenBy returns the group invitations that a caller has to do with on the console: those of VisibleTo but what everybody
// sees, and those whose scope they may manage.
func OverseenBy(caller directory.Actor) Visibility {
	v := VisibleTo(caller)
	v.Public, v.Managed = false, caller.Manages()
	return v
}

// Oversees reports whether a group invitation is one of OverseenBy.
func Oversees(caller directory.Actor, g GroupInvitation) bool {
	return OverseenBy(caller).Includes(g, time.Time{}) // which does not depend on time
}

// IsEmpty reports whether the visibility can include no group invitation.
func (v Visibility) IsEmpty() bool {
	return !v.All && !v.Public && len(v.Customers) == 0 && v.Managed.IsEmpty()
}

// Includes reports whether the visibility includes a group invitation at a moment.
func (v Visibility) Includes(g GroupInvitation, now time.Time) bool {
	return v.All || slices.Contains(v.Customers, g.CustomerUUID) || (v.Managed.Has(g.Scope) && !g.Scope.Removed()) ||
		(v.Public && g.IsPublic && g.IsActiveAt(now))
}

// isKnown reports whether a caller has a credential.
func isKnown(caller directory.Actor) bool { return caller.UUID != uuid.Nil }
