package joining

import (
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// Policy holds the decisions of the operator that concern group invitations and requests.
type Policy struct {
	DisableMultipleRoles bool           // a user holds at most one role in a scope
	OneProjectManager    bool           // a project has at most one PROJECT.MANAGER
	RoleCeiling          bool           // an inviter or approver grants only roles whose permissions they hold
	RecheckInviter       bool           // who edited last must still be allowed to offer, or requests wait for a person
	RestrictAutoApprove  bool           // auto_approve needs a restriction on who may ask
	ProjectName          *regexp.Regexp // that the names which requesters give have to match; nil: any
	LimitRequests        Limit          // of one user's requests by one group invitation
	LimitUser            Limit          // of the group invitations and requests that one user makes; staff have ten times the limit
	LimitRecipient       Limit          // of the mails about requests to one approver; what is beyond is gathered; see intervalBeyondLimit
	RequestMailInterval  time.Duration  // the least time between two mails about requests to one user; see invitation.Gather
}

// Limit allows a number of something in any period.
type Limit = invitation.Limit

// checkActive refuses to edit a group invitation that is not active.
func checkActive(g GroupInvitation, now time.Time) error {
	if !g.IsActiveAt(now) {
		return fault.Field(fault.NonField, "Only active invitations can be edited.")
	}
	return nil
}

const msgAsked = "People have asked by this invitation already, so what it offers can't change: make another invitation."

// changedOffer returns the fields in which two states of a group invitation offer different things.
func changedOffer(before, after GroupInvitation) (fields []string) {
	for field, differs := range map[string]bool{
		"scope":               before.ScopeUUID != after.ScopeUUID,
		"role":                before.RoleUUID != after.RoleUUID,
		"project_role":        !reflect.DeepEqual(before.ProjectRoleUUID, after.ProjectRoleUUID),
		"auto_create_project": before.MakesProjects != after.MakesProjects,
	} {
		if differs {
			fields = append(fields, field)
		}
	}
	return fields
}

// checkPublic refuses a change of a group invitation that is or becomes public, where the caller is not staff, and what no
// public one may be. wasPublic: it is public before the change.
func checkPublic(g GroupInvitation, wasPublic bool, actor directory.Actor) error {
	switch {
	case (g.IsPublic || wasPublic) && !actor.IsStaff:
		return fault.Field("is_public", "Only staff users can create public invitations.")
	case g.IsPublic && !g.MakesProjects:
		return fault.Field("auto_create_project", "Public invitations must have auto_create_project enabled.")
	case g.IsPublic && !IsProjectRole(g.Role):
		return fault.Field("role", "Public invitations can only use project-level roles, not customer-level roles.")
	}
	return nil
}

// checkRoleFits refuses a role that can't be given in the scope.
func checkRoleFits(g GroupInvitation) error {
	inNewProject := g.MakesProjects && g.Scope.Type == directory.Customer && g.Role.ScopeType == directory.Project
	if g.Role.ScopeType != g.Scope.Type && !inNewProject {
		return fault.Field(fault.NonField, "Role and scope should belong to the same content type.")
	}
	return nil
}

// checkProjectRole refuses a project-making group invitation that has no role for its projects.
func checkProjectRole(g GroupInvitation) error {
	if g.MakesProjects && g.ProjectRole == nil && g.Role.ScopeType != directory.Project {
		return fault.Field("project_role",
			"project_role is required when auto_create_project is enabled and the invitation role is not project-scoped.")
	}
	return nil
}

const msgOpenDoor = "Add an e-mail pattern, an affiliation or an identity source: here the link alone may admit nobody."

// strangers are random addresses, others in each process. A group invitation whose restrictions one of them meets is for
// everybody: a pattern such as ".*" restricts nothing. The reverse is no proof: a pattern can be written around these endings,
// and still match nearly every address.
var strangers = func() (all []string) {
	for _, ending := range []string{".invalid", ".com", ".org", ".de"} {
		all = append(all, randomLetters()+"@"+randomLetters()+ending)
	}
	return all
}()

// randomLetters returns a dozen lower-case letters.
func randomLetters() string {
	letters := make([]byte, 12)
	_, _ = rand.Read(letters) // never fails
	for i, each := range letters {
		letters[i] = 'a' + each%26
	}
	return string(letters)
}

// isOpenDoor reports whether a group invitation would plainly approve whoever has its link, where the policy forbids that; see
// strangers.
func (p Policy) isOpenDoor(admits admitter, g GroupInvitation) (bool, error) {
	if !p.RestrictAutoApprove || !g.AutoApprove {
		return false, nil
	}
	for _, each := range strangers {
		found, err := admits(g.EmailPatterns, directory.Scope{}, each)
		if err != nil || isMeantFor(g, standing{admitted: found}) {
			return err == nil, err
		}
	}
	return false, nil
}

// mayOffer reports whether a user may make a group invitation, or edit it so that it becomes g. permissions are those of
// the role that g grants. To make projects, a user has to manage the projects of the customer: a member of a single
// project must not make others beside it.
func (p Policy) mayOffer(user directory.Actor, g GroupInvitation, permissions []string) bool {
	if !user.MayManage(g.Scope) {
		return false
	}
	if g.MakesProjects && !managesNewProjects(user, *g.Scope.Customer) {
		return false
	}
	return !p.RoleCeiling || user.HoldsAll(permissions, g.grantedIn())
}

// MayOffer reports whether a user may make a group invitation. The role that the group invitation grants has its permissions.
func (p Policy) MayOffer(user directory.Actor, g GroupInvitation) bool {
	granted := g.Granted()
	return granted.IsActive && p.mayOffer(user, g, granted.Permissions)
}

// managesNewProjects reports whether a user may invite into a project of a customer that does not exist yet.
func managesNewProjects(user directory.Actor, customer directory.Scope) bool {
	return user.MayManage(directory.Scope{Type: directory.Project, CustomerUUID: customer.UUID, Customer: &customer})
}

// Creation returns the change by which a user makes a group invitation.
func Creation(g GroupInvitation, creator directory.User) Change {
	return Change{After: &g, Event: recordGroup(EventCreated, g, creator)}
}

// cancel returns the change by which a user ends a group invitation.
func cancel(g GroupInvitation, user directory.User, now time.Time) (Change, error) {
	if !g.IsActiveAt(now) {
		return Change{}, fault.Rejected("Only pending invitation can be canceled.")
	}
	canceled := g
	canceled.NotCanceled = false
	return change(g, canceled, EventCanceled, user), nil
}

// end returns the change by which the server ends a group invitation whose scope was removed.
func end(g GroupInvitation) Change {
	ended := g
	ended.NotCanceled = false
	ended.Version++
	return Change{Before: &g, After: &ended, Event: record(EventCanceled, ended, nil,
		"Group invitation for "+g.Scope.Name+" has been canceled, because its scope was removed.")}
}

// remove returns the change by which a user deletes a group invitation with its requests.
func remove(g GroupInvitation, user directory.User, now time.Time) (Change, error) {
	if g.IsActiveAt(now) {
		return Change{}, fault.Rejected("Only canceled invitation can be deleted.")
	}
	return Change{Before: &g, Event: recordGroup(EventDeleted, g, user)}, nil
}

// change returns the Change of a group invitation by a user.
func change(before, after GroupInvitation, event EventType, user directory.User) Change {
	after.Version++
	return Change{Before: &before, After: &after, Event: recordGroup(event, after, user)}
}

// maxPatternsCost limits the patterns of one group invitation together: a submission is checked against all of them.
const maxPatternsCost = 20_000

// placeholder matches a placeholder of a template.
var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// placeholders are those that a template may have, in the order in which they are named to people.
var placeholders = []string{"email", "full_name", "username"}

// checkTemplate adds what is wrong with a template.
func checkTemplate(template string, wrong fault.Fields) {
	if directory.HasInvisible(template) {
		wrong.Add("project_name_template", msgInvisible)
	}
	var unknown []string
	for _, found := range placeholder.FindAllStringSubmatch(template, -1) {
		if !slices.Contains(placeholders, found[1]) && !slices.Contains(unknown, found[1]) {
			unknown = append(unknown, found[1])
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		wrong.Add("project_name_template", fmt.Sprintf("Invalid placeholders in template: %s. Allowed placeholders are: %s",
			strings.Join(unknown, ", "), strings.Join(placeholders, ", ")))
	}
}

// maxExpiresYear is the last year, in UTC, that SQLite can read back: later ones have five digits.
const maxExpiresYear = 9999

// checkExpires adds what is wrong with the time at which a group invitation ends; nil: it has none.
func checkExpires(expires *time.Time, now time.Time, wrong fault.Fields) {
	switch {
	case expires == nil:
	case !expires.After(now):
		wrong.Add("expires", "Enter a time in the future.")
	case expires.UTC().Year() > maxExpiresYear:
		wrong.Add("expires", "Enter a time before the year 10000 in UTC, or null for no end.")
	}
}

// checkPatterns adds what is wrong with patterns of e-mail addresses.
func checkPatterns(patterns []string, wrong fault.Fields) {
	var invalid, costly []string
	total := 0
	for _, pattern := range patterns {
		var cost int
		var err error
		if total <= maxPatternsCost { // to find the cost of a hundred patterns can take seconds
			cost, err = directory.EmailPatternCost(pattern)
			total += cost
		}
		switch {
		case errors.Is(err, directory.ErrCostlyPattern) || (err == nil && total > maxPatternsCost):
			costly = append(costly, "'"+directory.Excerpt(pattern)+"'")
		case err != nil:
			invalid = append(invalid, "'"+directory.Excerpt(pattern)+"'")
		}
	}
	if len(invalid) > 0 {
		wrong.Add("user_email_patterns", "Invalid regex patterns: ["+strings.Join(invalid, ", ")+"]")
	}
	if len(costly) > 0 {
		wrong.Add("user_email_patterns",
			"Potentially dangerous patterns (nested quantifiers or too long): ["+strings.Join(costly, ", ")+"]")
	}
}

// NewGroupInvitation returns a group invitation that its creator has not described yet.
func NewGroupInvitation(creator directory.User, now time.Time) GroupInvitation {
	return GroupInvitation{
		UUID:    uuid.New(), // random: whoever knows it can ask
		Created: now, NotCanceled: true, CreatedByUUID: &creator.UUID, CreatedBy: &creator, OfferedByUUID: &creator.UUID,
		EmailPatterns: []string{}, Affiliations: []string{}, IdentitySources: []string{},
	}
}
