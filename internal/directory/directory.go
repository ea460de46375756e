package directory

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// ScopeType is the type of a scope.
type ScopeType string

// The scope types, as the API names them. A customer is an organization.
const (
	Customer ScopeType = "customer"
	Project  ScopeType = "project"
	Offering ScopeType = "offering"
	Call     ScopeType = "call"
	Proposal ScopeType = "proposal"
)

// ScopeTypes lists every scope type.
var ScopeTypes = []ScopeType{Customer, Project, Offering, Call, Proposal}

// Permissions that concern invitations, by Waldur's names. Roles may carry others, which this program ignores.
const (
	InvitationList           = "INVITATION.LIST"
	CustomerCreatePermission = "CUSTOMER.CREATE_PERMISSION"
)

// CreateProject is the permission, by Waldur's name, that lets a member of a customer make projects. This program makes
// none; clients ask for the customers in which the caller has it.
const CreateProject = "PROJECT.CREATE"

// Roles that have a meaning by their names, which are Waldur's.
const (
	CustomerOwner  = "CUSTOMER.OWNER"
	ProjectManager = "PROJECT.MANAGER" // the policy OneProjectManager limits it to one user for each project
)

// CreatePermission returns the permission that lets a member invite into scopes of this type; empty for an unknown type.
func (t ScopeType) CreatePermission() string {
	switch t {
	case Customer:
		return CustomerCreatePermission
	case Project:
		return "PROJECT.CREATE_PERMISSION"
	case Offering:
		return "OFFERING.CREATE_PERMISSION"
	case Call:
		return "CALL.CREATE_PERMISSION"
	case Proposal:
		return "PROPOSAL.MANAGE"
	default:
		return ""
	}
}

// isCreatePermission reports whether a permission lets a member invite into scopes of some type.
func isCreatePermission(permission string) bool {
	return slices.ContainsFunc(ScopeTypes, func(t ScopeType) bool { return t.CreatePermission() == permission })
}

// UserKind says whether a user is a person or a program. The zero value is a person.
type UserKind string

// ServiceUser is the kind of a program, which calls the API with tokens and never signs in.
const ServiceUser UserKind = "service"

// User is a person or a program that can call the API, invite and be invited.
type User struct {
	UUID                 uuid.UUID `gorm:"primaryKey"`
	Username             string    // unique
	FullName             string
	FullNameFolded       string // Fold(FullName)
	Email                string
	EmailFolded          string // FoldEmail(Email)
	CivilNumber          string
	Image                string // URL, or empty
	IsStaff              bool   // manages everything
	IsSupport            bool   // sees everything
	IsActive             bool   // the API keys of an inactive user do not work
	NotificationsEnabled bool   // staff only: gets mail about requests to approve
	Kind                 UserKind
	MadeBySignIn         bool // chose the username: a name alone in the directory file does not mean this user
	Created              time.Time
}

// DisplayName is the name that other people see: the full name, else the username.
func (u User) DisplayName() string {
	if u.FullName != "" {
		return u.FullName
	}
	return u.Username
}

// IsService reports whether the user is a program.
func (u User) IsService() bool { return u.Kind == ServiceUser }

// SeesAll reports whether the user sees every scope and every invitation.
func (u User) SeesAll() bool { return u.IsStaff || u.IsSupport }

// APIToken is the stored part of an API key. The key itself is not stored.
type APIToken struct {
	Digest   string    `gorm:"primaryKey"` // token.Digest of the key
	UUID     uuid.UUID // unique; people name the token by it
	UserUUID uuid.UUID
	Name     string // what the token is for; may be empty
	Created  time.Time
	Expires  *time.Time // nil: never
	LastUsed *time.Time // to about a minute; nil: not known
	SignedIn bool       // its user got it by signing in for a front end: it ends as a session does
	// Scopes are what the token is limited to. None: the token is not limited; see Actor.CheckScope.
	Scopes       []TokenScope `gorm:"serializer:json"`
	IssuedByUUID *uuid.UUID   // the service user who asked for the token; nil: none did
}

// WorksAt reports whether the token has not expired at a time.
func (t APIToken) WorksAt(now time.Time) bool { return t.Expires == nil || t.Expires.After(now) }

// TableName implements gorm's Tabler.
func (APIToken) TableName() string { return "api_tokens" }

// Role is a named bundle of permissions for scopes of one type. An inactive role can't be given any more; users who hold
// the role keep it.
type Role struct {
	UUID              uuid.UUID `gorm:"primaryKey"`
	Name              string    // unique
	NameFolded        string    // Fold(Name)
	Description       string
	DescriptionFolded string // Fold(Description)
	ScopeType         ScopeType
	Permissions       []string `gorm:"serializer:json"`
	IsActive          bool
	UsersCount        *int `gorm:"-"` // users who hold the role; nil: not asked for
}

// Scope is a thing that roles are held in. Every scope belongs to one customer; a customer belongs to itself.
type Scope struct {
	UUID              uuid.UUID `gorm:"primaryKey"`
	Type              ScopeType
	Name              string
	NameFolded        string // Fold(Name)
	Slug              string // Slug(Name)
	Description       string
	DescriptionFolded string // Fold(Description)
	CustomerUUID      uuid.UUID
	Customer          *Scope     `gorm:"foreignKey:CustomerUUID;references:UUID"`
	StartDate         *time.Time // 00:00 UTC of the day on which a project starts; nil: the project has started
	UserEmailPatterns []string   `gorm:"serializer:json"` // regular expressions; none: every address is admitted
	IsRemoved         bool
	// GroupInvitationUUID is that of the group invitation by whose approval the project was made; nil: not made so, or taken
	// over by the directory file.
	GroupInvitationUUID *uuid.UUID
	// MadeForUUID is the requester for whom the approval made the project under a name that the requester controls; nil: the
	// project is not made, or the creator of the group invitation fixed its name. The user may have been deleted since.
	MadeForUUID   *uuid.UUID
	Created       time.Time
	Modified      *time.Time // of the last save; nil: before this was recorded
	ProjectsCount int        `gorm:"-"` // of a customer, where asked for; see ScopeCounts
	UsersCount    int        `gorm:"-"` // as ProjectsCount
}

// StartsAfter reports whether the scope is a project that starts after now.
func (s Scope) StartsAfter(now time.Time) bool {
	return s.Type == Project && s.StartDate != nil && s.StartDate.After(now)
}

// Removed reports whether the scope or its customer was removed.
func (s Scope) Removed() bool { return s.IsRemoved || (s.Customer != nil && s.Customer.IsRemoved) }

// Membership is a role that a user holds in a scope, until the membership is revoked or expires.
type Membership struct {
	UUID          uuid.UUID `gorm:"primaryKey"`
	UserUUID      uuid.UUID
	RoleUUID      uuid.UUID
	ScopeUUID     uuid.UUID
	CreatedByUUID *uuid.UUID // the user who gave the role; nil: unknown
	Created       time.Time
	Expires       *time.Time // nil: never
	Revoked       *time.Time // nil: not revoked
	Modified      *time.Time // of the last save; nil: before this was recorded
}

// Grant is an active membership with the permissions of its role.
type Grant struct {
	ScopeUUID    uuid.UUID
	ScopeType    ScopeType
	CustomerUUID uuid.UUID
	RoleUUID     uuid.UUID
	RoleName     string
	Permissions  []string
}

func (g Grant) carries(permission string) bool { return slices.Contains(g.Permissions, permission) }
