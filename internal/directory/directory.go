package directory

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// ScopeType is the kind of thing that a role is held in.
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

// Permissions that decide about invitations, by Waldur's names. Roles may carry others; they mean nothing here.
const (
	InvitationList           = "INVITATION.LIST"
	CustomerCreatePermission = "CUSTOMER.CREATE_PERMISSION"
)

// ProjectManager is the role that a policy can limit to one user for each project.
const ProjectManager = "PROJECT.MANAGER"

// CreatePermission is the permission that lets a member invite into scopes of this type; empty for a type that
// there is not.
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

// User is somebody who can call the API, invite and be invited.
type User struct {
	UUID                 uuid.UUID `gorm:"primaryKey"`
	Username             string    // unique
	FullName             string
	FullNameFolded       string // Fold(FullName)
	Email                string
	EmailFolded          string // Fold(Email)
	CivilNumber          string
	Image                string // URL, or empty
	IsStaff              bool   // manages everything
	IsSupport            bool   // sees everything
	IsActive             bool   // an inactive user's keys do not work
	NotificationsEnabled bool   // staff only: gets mail about requests to approve
	Created              time.Time
	// Held is what the user holds by what a request was authenticated with; nil: it was not.
	Held *[]Grant `gorm:"-"`
}

// DisplayName is how a person is named to others: the full name, else the username.
func (u User) DisplayName() string {
	if u.FullName != "" {
		return u.FullName
	}
	return u.Username
}

// SeesAll tells whether the user sees every scope and every invitation.
func (u User) SeesAll() bool { return u.IsStaff || u.IsSupport }

// APIToken is what is kept of an API key.
type APIToken struct {
	Digest   string `gorm:"primaryKey"` // token.Digest of the key
	UserUUID uuid.UUID
	Created  time.Time
	Expires  *time.Time // nil: never
}

// TableName is the table of API tokens.
func (APIToken) TableName() string { return "api_tokens" }

// Role is a named bundle of permissions for scopes of one type. A role that is not active can't be given any
// more; who holds it keeps it.
type Role struct {
	UUID              uuid.UUID `gorm:"primaryKey"`
	Name              string    // unique
	NameFolded        string    // Fold(Name)
	Description       string
	DescriptionFolded string // Fold(Description)
	ScopeType         ScopeType
	Permissions       []string `gorm:"serializer:json"`
	IsActive          bool
}

// Scope is a thing that roles are held in. Every scope belongs to one customer; a customer is its own.
type Scope struct {
	UUID              uuid.UUID `gorm:"primaryKey"`
	Type              ScopeType
	Name              string
	NameFolded        string // Fold(Name)
	Description       string
	DescriptionFolded string // Fold(Description)
	CustomerUUID      uuid.UUID
	Customer          *Scope     `gorm:"foreignKey:CustomerUUID;references:UUID"`
	StartDate         *time.Time // 00:00 UTC of the day a project starts; nil: started
	UserEmailPatterns []string   `gorm:"serializer:json"` // regular expressions; none: any e-mail
	IsRemoved         bool
	Created           time.Time
}

// StartsAfter tells whether the scope is a project that has not started at now.
func (s Scope) StartsAfter(now time.Time) bool {
	return s.Type == Project && s.StartDate != nil && s.StartDate.After(now)
}

// Removed tells whether the scope, or the customer that it belongs to, was removed.
func (s Scope) Removed() bool { return s.IsRemoved || (s.Customer != nil && s.Customer.IsRemoved) }

// Membership says that a user holds a role in a scope, until it is revoked or its own time is over.
type Membership struct {
	UUID          uuid.UUID `gorm:"primaryKey"`
	UserUUID      uuid.UUID
	RoleUUID      uuid.UUID
	ScopeUUID     uuid.UUID
	CreatedByUUID *uuid.UUID // who gave the role; nil where nobody or not known
	Created       time.Time
	Expires       *time.Time // nil: never
	Revoked       *time.Time // nil: in force
}

// Grant is one active membership with what it is worth: the role's permissions in the scope.
type Grant struct {
	ScopeUUID    uuid.UUID
	ScopeType    ScopeType
	CustomerUUID uuid.UUID
	RoleUUID     uuid.UUID
	Permissions  []string `gorm:"serializer:json"`
}

func (g Grant) carries(permission string) bool { return slices.Contains(g.Permissions, permission) }
