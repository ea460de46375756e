package joining

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Request is one user's wish to take up one group invitation, as it is stored.
type Request struct {
	UUID                uuid.UUID `gorm:"primaryKey"`
	GroupInvitationUUID uuid.UUID
	Group               GroupInvitation `gorm:"foreignKey:GroupInvitationUUID;references:UUID"`
	State               State
	Created             time.Time
	CreatedByUUID       uuid.UUID
	CreatedBy           directory.User  `gorm:"foreignKey:CreatedByUUID;references:UUID"`
	ReviewedByUUID      *uuid.UUID      // nil: not reviewed, or the reviewer's user was deleted
	ReviewedBy          *directory.User `gorm:"foreignKey:ReviewedByUUID;references:UUID"`
	ReviewedAt          *time.Time      // nil: not reviewed
	ReviewComment       string          // empty: none
	ScopeUUID           uuid.UUID       // of the group invitation; copied here for filters
	CustomerUUID        uuid.UUID
	ProjectName         string // that the requester gave; empty: none. See projectName
	ProjectDescription  string
	MembershipUUID      *uuid.UUID // that the approval made; nil: none
	// IsExclusive: no other exclusive request of the user may be pending in the scope.
	IsExclusive bool
}

// TableName implements gorm's Tabler.
func (Request) TableName() string { return "permission_requests" }

// RequestVisibility describes the permission requests that a user sees. The store's list and Includes read the same value.
type RequestVisibility struct {
	All       bool
	User      uuid.UUID   // who made them
	Customers []uuid.UUID // every one of these customers
}

// RequestsVisibleTo returns the permission requests that a user sees: staff and support all, others their own and those of
// customers in which they hold any role.
func RequestsVisibleTo(user directory.Actor) RequestVisibility {
	v := RequestVisibility{All: user.SeesAll(), User: user.UUID}
	for _, g := range user.Grants {
		if g.ScopeType == directory.Customer {
			v.Customers = append(v.Customers, g.ScopeUUID)
		}
	}
	return v
}

// Includes reports whether the visibility includes a request.
func (v RequestVisibility) Includes(r Request) bool {
	return v.All || v.User == r.CreatedByUUID || slices.Contains(v.Customers, r.CustomerUUID)
}

// createProject is the permission that makes approvers of project-making group invitations.
var createProject = directory.Project.CreatePermission()

// IsApprover reports whether a user decides about the requests of a group invitation: for a project-making one, staff and
// users whose role in its customer carries PROJECT.CREATE_PERMISSION; for any other, those who may manage its scope.
func IsApprover(user directory.Actor, g GroupInvitation) bool {
	if !g.MakesProjects {
		return user.MayManage(g.Scope)
	}
	return !g.Scope.Removed() && (user.IsStaff || slices.ContainsFunc(user.Grants, func(held directory.Grant) bool {
		return held.ScopeUUID == g.CustomerUUID && slices.Contains(held.Permissions, createProject)
	}))
}

// mayGrant reports whether an approver may grant a role that carries these permissions by a group invitation.
func (p Policy) mayGrant(user directory.Actor, g GroupInvitation, permissions []string) bool {
	return IsApprover(user, g) && (!p.RoleCeiling || user.HoldsAll(permissions, g.grantedIn()))
}

// standing holds the facts that the restrictions of a group invitation and of its scope depend on.
type standing struct {
	issuers  []string // by which the user has signed in
	admitted admission
}

// checkMaySubmit returns fault.KindRejected, with the reason, where a user can't take a group invitation up, whomever it is for.
// hasRequest: another request of the user in the scope is pending, or was approved and its membership is in force.
func (p Policy) checkMaySubmit(g GroupInvitation, user directory.Actor, hasRequest bool, now time.Time) error {
	switch {
	case !g.IsActiveAt(now):
		return fault.Rejected(string(RefusedInactive))
	case holdsRole(user, g.RoleUUID, g.ScopeUUID):
		return fault.Rejected(string(RefusedHeld))
	case p.DisableMultipleRoles && user.HoldsRoleIn(g.ScopeUUID):
		return fault.Rejected(string(RefusedSecond))
	case !g.MultipleRequests && hasRequest:
		return fault.Rejected(string(RefusedRequested))
	}
	return nil
}

// checkRestrictions returns fault.KindRejected, with the reason, where a user is not one of those whom a group invitation, or its
// scope, is for. To find out can take long, so checkMaySubmit comes first.
func checkRestrictions(g GroupInvitation, s standing) error {
	switch {
	case !isMeantFor(g, s):
		return fault.Rejected(string(RefusedNotMeant))
	case s.admitted.refusedBy != "":
		return fault.Rejected(string(RefusedBy(s.admitted.refusedBy)))
	}
	return nil
}

// isMeantFor reports whether a user meets one of the restrictions of a group invitation, or it has none. Nothing that is kept
// of users has an affiliation yet: a group invitation with affiliations alone is meant for nobody.
func isMeantFor(g GroupInvitation, s standing) bool {
	if !g.isRestricted() || (len(g.EmailPatterns) > 0 && s.admitted.byInvitation) {
		return true
	}
	return slices.ContainsFunc(g.IdentitySources, func(source string) bool { return slices.Contains(s.issuers, source) })
}

// holdsRole reports whether a user holds a role in a scope.
func holdsRole(user directory.Actor, role, scope uuid.UUID) bool {
	return slices.ContainsFunc(user.Grants, func(g directory.Grant) bool { return g.ScopeUUID == scope && g.RoleUUID == role })
}

// newRequest returns the request of a user. What they say of a project is dropped where the group invitation doesn't ask.
func newRequest(g GroupInvitation, user directory.User, name, description string, now time.Time) Request {
	r := Request{
		UUID: uuid.New(), GroupInvitationUUID: g.UUID, Group: g, State: Pending, Created: now, CreatedByUUID: user.UUID, CreatedBy: user,
		ScopeUUID: g.ScopeUUID, CustomerUUID: g.CustomerUUID, IsExclusive: !g.MultipleRequests,
	}
	if g.CustomDetails {
		r.ProjectName, r.ProjectDescription = name, description
	}
	return r
}

// checkName returns fault.KindInvalid where a requester gives a name that projects may not have; empty: the requester gives
// none.
func (p Policy) checkName(name string) error {
	wrong := fault.Fields{}
	if utf8.RuneCountInString(name) > MaxProjectName {
		wrong.Add("project_name", fmt.Sprintf("Ensure this field has no more than %d characters.", MaxProjectName))
	}
	if directory.HasInvisible(name) {
		wrong.Add("project_name", msgInvisible)
	}
	if p.ProjectName != nil && name != "" && !p.ProjectName.MatchString(name) {
		wrong.Add("project_name", "Project names have to match the pattern "+p.ProjectName.String()+".")
	}
	return wrong.Err()
}

// msgInvisible is about a name that would look the same as another project's and not equal it, or run the other way.
const msgInvisible = "This field may not contain invisible characters."

// checkFilledIn refuses a name that a template makes too long or unlike what it looks. A name that was cut could be that of
// another project.
func checkFilledIn(name string) error {
	switch {
	case utf8.RuneCountInString(name) > MaxProjectName:
		return fault.Rejected(string(RefusedLongName))
	case directory.HasInvisible(name):
		return fault.Rejected(string(RefusedInvisible))
	}
	return nil
}

// projectName returns the name of the project that an approval of the request finds or makes: the requester's, else the
// group invitation's template filled in, else the username. isFixed: the creator of the group invitation chose the whole name.
// Users may choose their usernames and full names too.
func projectName(r Request) (name string, isFixed bool) {
	if r.ProjectName != "" {
		return r.ProjectName, false
	}
	if template := r.Group.NameTemplate; template != nil {
		by := r.CreatedBy
		name = directory.Trim(strings.NewReplacer("{username}", by.Username, "{email}", by.Email, "{full_name}", by.FullName).
			Replace(*template))
		isFixed = !placeholder.MatchString(*template)
	}
	if name == "" {
		return r.CreatedBy.Username, false
	}
	return name, isFixed
}

// checkFound decides about a project that has the name of a request's project, case aside: whether the approval makes another one
// beside it. madeFor is the requester, where the requester controls a part of the name: such a name leads only to what was made
// for this requester. Otherwise requesters could get a role in any project, or wait in one for those whose name they took. A name
// that the creator fixed (madeFor is nil) leads to every project of exactly this name, because the creator had the right to
// invite into all projects of the customer; and to one that an approval made whatever the case, because approvals make one of a
// name. It never leads to a project that was made for a requester, who may have taken the name to be there first.
func checkFound(found directory.Scope, name string, madeFor *uuid.UUID) (makesAnother bool, err error) {
	switch {
	case madeFor != nil && found.MadeForUUID != nil && *found.MadeForUUID == *madeFor:
		return false, nil
	case madeFor != nil || found.MadeForUUID != nil:
		return false, fault.Rejected(string(RefusedName))
	}
	return found.GroupInvitationUUID == nil && found.Name != name, nil
}

// GrantedProject returns the name of the project that an approval of the request finds or makes; empty where the group
// invitation makes no projects.
func (r Request) GrantedProject() string {
	if !r.Group.MakesProjects {
		return ""
	}
	name, _ := projectName(r)
	return name
}

// newProject returns the project that the approval of a request makes. For madeFor see checkFound.
func newProject(r Request, name string, madeFor *uuid.UUID, now time.Time) directory.Scope {
	return directory.Scope{
		UUID: uuid.New(), Type: directory.Project, Name: name, NameFolded: directory.Fold(name), Slug: directory.Slug(name),
		Description: r.ProjectDescription, DescriptionFolded: directory.Fold(r.ProjectDescription),
		CustomerUUID: r.CustomerUUID, Customer: r.Group.Scope.Customer, Created: now,
		GroupInvitationUUID: &r.GroupInvitationUUID, MadeForUUID: madeFor,
	}
}

// A grant is the role that an approval gives a requester in a scope.
type grant struct {
	role       directory.Role
	scope      directory.Scope
	requester  directory.Actor
	hasManager bool // the role is the manager's, and the project has the only one that the policy allows
	admitted   admission
}

// isHeld reports whether the requester holds the role already: then nothing more is granted.
func (g grant) isHeld() bool { return holdsRole(g.requester, g.role.UUID, g.scope.UUID) }

// checkGrant returns fault.KindRejected, with the reason, where a rule forbids to grant a role.
func (p Policy) checkGrant(g grant) error {
	switch {
	case g.role.ScopeType != g.scope.Type:
		return fault.Rejected("Role is not valid for this scope.")
	case !g.role.IsActive:
		return fault.Rejected(string(RefusedRole))
	case g.hasManager:
		return fault.Rejected(string(RefusedManager))
	case p.DisableMultipleRoles && g.requester.HoldsRoleIn(g.scope.UUID):
		return fault.Rejected(string(RefusedSecond))
	case g.admitted.refusedBy != "":
		return fault.Rejected(string(RefusedBy(g.admitted.refusedBy)))
	}
	return nil
}

// dependsOnMembers reports whether a rule depends on who else is a member of a scope.
func (p Policy) dependsOnMembers() bool { return p.DisableMultipleRoles || p.OneProjectManager }

// checkPending returns fault.KindConflict where a request is not pending any more.
func checkPending(r Request) error {
	if !CanDo(ActionApprove, r.State) {
		return fault.Conflict("Valid states for operation: pending.")
	}
	return nil
}

// review returns a request as its reviewer leaves it.
func review(r Request, to State, reviewer directory.User, comment string, now time.Time) Request {
	r.State, r.ReviewedByUUID, r.ReviewedBy, r.ReviewedAt, r.ReviewComment = to, &reviewer.UUID, &reviewer, &now, comment
	return r
}

// approve returns the change by which a reviewer grants what a request asks for. before is nil where the request is new.
// made is the project that is made; nil: none.
func (p Policy) approve(before *Request, r Request, g grant, made *directory.Scope, reviewer directory.User, comment string, now time.Time) (Change, error) {
	if !g.requester.IsActive {
		return Change{}, fault.Rejected(string(RefusedRequester))
	}
	approved := review(r, Approved, reviewer, comment, now)
	c := Change{RequestBefore: before, RequestAfter: &approved, Project: made}
	if !g.isHeld() {
		if err := p.checkGrant(g); err != nil {
			return Change{}, err
		}
		c.Member = &directory.Membership{
			UUID: uuid.New(), UserUUID: r.CreatedByUUID, RoleUUID: g.role.UUID, ScopeUUID: g.scope.UUID,
			CreatedByUUID: &reviewer.UUID, Created: now,
		}
		approved.MembershipUUID = &c.Member.UUID
	}
	c.Event = recordApproval(approved, r.State, g, reviewer)
	return c, nil
}

// reject returns the change by which a reviewer refuses a request, and tells the requester.
func reject(r Request, reviewer directory.User, comment string, now time.Time) Change {
	rejected := review(r, Rejected, reviewer, comment, now)
	return Change{
		RequestBefore: &r, RequestAfter: &rejected, Event: recordRequest(EventRejected, rejected, r.State, reviewer),
		Jobs: []Job{Notify{Notice: NoticeRejected, Request: r.UUID, User: r.CreatedByUUID}},
	}
}

// cancelRequest returns the change by which the requester or staff take a request back.
func cancelRequest(r Request, user directory.User) (Change, error) {
	if !CanDo(ActionCancel, r.State) {
		return Change{}, fault.Rejected("Only pending or draft requests can be canceled.")
	}
	canceled := r
	canceled.State = Canceled
	return Change{RequestBefore: &r, RequestAfter: &canceled, Event: recordRequest(EventRequestCanceled, canceled, r.State, user)}, nil
}

// EraseRequest returns the change by which the pending request of a user ends who is erased; false where the request is not
// pending. Nobody is mailed.
func EraseRequest(r Request) (Change, bool) {
	if !CanDo(ActionCancel, r.State) {
		return Change{}, false
	}
	canceled := r
	canceled.State = Canceled
	return Change{RequestBefore: &r, RequestAfter: &canceled, Event: recordOf(EventRequestCanceled, canceled, r.State, nil,
		fmt.Sprintf("Permission request of %s for %s has been canceled: the user was erased.",
			directory.ErasedUsername(r.CreatedByUUID), r.Group.Scope.Name))}, true
}
