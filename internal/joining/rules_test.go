package joining

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

var (
	now      = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	customer = directory.Scope{UUID: uuid.New(), Type: directory.Customer, Name: "Acme"}
	project  = directory.Scope{UUID: uuid.New(), Type: directory.Project, Name: "Apollo", CustomerUUID: customer.UUID, Customer: &customer}
	owner    = directory.Role{UUID: uuid.New(), Name: "CUSTOMER.OWNER", ScopeType: directory.Customer, IsActive: true}
	member   = directory.Role{UUID: uuid.New(), Name: "PROJECT.MEMBER", ScopeType: directory.Project, IsActive: true}
)

func init() { customer.CustomerUUID, customer.Customer = customer.UUID, &customer }

// group returns a group invitation with a role in a scope, changed by some functions.
func group(scope directory.Scope, role directory.Role, changes ...func(*GroupInvitation)) GroupInvitation {
	g := NewGroupInvitation(directory.User{UUID: uuid.New(), Username: "olivia"}, now)
	g.Scope, g.ScopeUUID, g.CustomerUUID, g.Role, g.RoleUUID = scope, scope.UUID, scope.CustomerUUID, role, role.UUID
	for _, change := range changes {
		change(&g)
	}
	return g
}

func public(g *GroupInvitation)        { g.IsPublic = true }
func makesProjects(g *GroupInvitation) { g.MakesProjects = true }
func autoApprove(g *GroupInvitation)   { g.AutoApprove = true }
func forMembers(g *GroupInvitation)    { g.ProjectRole, g.ProjectRoleUUID = &member, &member.UUID }
func canceled(g *GroupInvitation)      { g.NotCanceled = false }
func endsNow(g *GroupInvitation)       { g.Expires = &now }
func endsLater(g *GroupInvitation)     { g.Expires = new(now.Add(time.Microsecond)) }
func removed(g *GroupInvitation)       { g.Scope.IsRemoved = true }

// wrongField returns the field and the message of a refusal about one field; empty: err is nil.
func wrongField(t *testing.T, err error) (field, message string) {
	t.Helper()
	if err == nil {
		return "", ""
	}
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.KindInvalid, f.Kind)
	for field, messages := range f.Fields {
		return field, messages[0]
	}
	return "", ""
}

func TestFieldsThatDoNotGoTogether(t *testing.T) {
	t.Parallel()
	anybody, staff := directory.Actor{}, directory.Actor{User: directory.User{IsStaff: true}}
	for name, test := range map[string]struct {
		g         GroupInvitation
		actor     directory.Actor
		wasPublic bool
		field     string
	}{
		"a role of the scope":                {group(project, member), anybody, false, ""},
		"a role of another type":             {group(customer, member), anybody, false, fault.NonField},
		"a customer's role in a project":     {group(project, owner, makesProjects), anybody, false, fault.NonField},
		"a project's role where one is made": {group(customer, member, makesProjects), anybody, false, ""},
		"public by staff":                    {group(customer, member, makesProjects, public), staff, false, ""},
		"public by another":                  {group(customer, member, makesProjects, public), anybody, false, "is_public"},
		"no longer public by another":        {group(customer, member, makesProjects), anybody, true, "is_public"},
		"no longer public by staff":          {group(customer, member, makesProjects), staff, true, ""},
		"public without projects":            {group(project, member, public), staff, false, "auto_create_project"},
		"public with a customer's role":      {group(customer, owner, public, makesProjects, forMembers), staff, false, "role"},
		"projects without a role":            {group(customer, owner, makesProjects), anybody, false, "project_role"},
		"projects with a role":               {group(customer, owner, makesProjects, forMembers), anybody, false, ""},
	} {
		err := checkPublic(test.g, test.wasPublic, test.actor)
		if err == nil {
			err = checkRoleFits(test.g)
		}
		if err == nil {
			err = checkProjectRole(test.g)
		}
		field, _ := wrongField(t, err)
		require.Equal(t, test.field, field, name)
	}
}

// What restricts nobody is an open door: no restriction, or a pattern that matches a random address.
func TestIsOpenDoor(t *testing.T) {
	t.Parallel()
	admits := func(patterns []string, scope directory.Scope, email string) (admission, error) {
		return newQuestion(patterns, scope, email).answer(), nil
	}
	affiliations := func(g *GroupInvitation) { g.Affiliations = []string{"staff@acme.example"} }
	patterns := func(list ...string) func(*GroupInvitation) {
		return func(g *GroupInvitation) { g.EmailPatterns = list }
	}
	for name, test := range map[string]struct {
		g    GroupInvitation
		want bool
	}{
		"no restriction":            {group(project, member, autoApprove), true},
		"approved by a person":      {group(project, member), false},
		"affiliations":              {group(project, member, autoApprove, affiliations), false},
		"a domain":                  {group(project, member, autoApprove, patterns(`.*@acme\.example`)), false},
		"everybody":                 {group(project, member, autoApprove, patterns(`.*@acme\.example`, `.*`)), true},
		"everybody but .invalid":    {group(project, member, autoApprove, patterns(`.*@.*[^d]`)), true},
		"everybody of .de":          {group(project, member, autoApprove, patterns(`.*\.de`)), true},
		"everybody, in other words": {group(project, member, autoApprove, patterns(`[A-Z]+@[^@]+\.[a-z]{2,}`)), true},
		"affiliations or everybody": {group(project, member, autoApprove, affiliations, patterns(`.+@.+`)), true},
	} {
		open, err := Policy{RestrictAutoApprove: true}.isOpenDoor(admits, test.g)
		require.NoError(t, err)
		require.Equal(t, test.want, open, name)
		open, err = Policy{}.isOpenDoor(admits, test.g)
		require.NoError(t, err)
		require.False(t, open, name)
	}
}

func TestIsActiveAt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		g    GroupInvitation
		want bool
	}{
		"new":                {group(project, member), true},
		"canceled":           {group(project, member, canceled), false},
		"ends now":           {group(project, member, endsNow), false},
		"ends later":         {group(project, member, endsLater), true},
		"scope removed":      {group(project, member, removed), false},
		"customer removed":   {group(project, member, func(g *GroupInvitation) { g.Scope.Customer = &directory.Scope{IsRemoved: true} }), false},
		"canceled, and ends": {group(project, member, canceled, endsLater), false},
	} {
		require.Equal(t, test.want, test.g.IsActiveAt(now), name)
		_, err := cancel(test.g, directory.User{}, now)
		require.Equal(t, test.want, err == nil, name)
		_, err = remove(test.g, directory.User{}, now)
		require.Equal(t, test.want, err != nil, name)
		require.Equal(t, test.want, checkActive(test.g, now) == nil, name)
	}
}

func TestMayOffer(t *testing.T) {
	t.Parallel()
	holds := func(scope directory.Scope, permissions ...string) directory.Actor {
		return directory.Actor{Grants: []directory.Grant{{
			ScopeUUID: scope.UUID, ScopeType: scope.Type, CustomerUUID: customer.UUID, Permissions: permissions,
		}}}
	}
	const inProjects, everywhere = "PROJECT.CREATE_PERMISSION", "CUSTOMER.CREATE_PERMISSION"
	ceiling := Policy{RoleCeiling: true}
	for name, test := range map[string]struct {
		policy      Policy
		user        directory.Actor
		g           GroupInvitation
		permissions []string
		want        bool
	}{
		"owner, into a project":             {Policy{}, holds(customer, everywhere), group(project, member), nil, true},
		"manager, into the project":         {Policy{}, holds(project, inProjects), group(project, member), nil, true},
		"manager, into the customer":        {Policy{}, holds(project, inProjects), group(customer, owner), nil, false},
		"manager, to make projects":         {Policy{}, holds(project, inProjects), group(project, member, makesProjects), nil, false},
		"of all projects, to make them":     {Policy{}, holds(customer, inProjects), group(project, member, makesProjects), nil, true},
		"of all projects, for the customer": {Policy{}, holds(customer, inProjects), group(customer, member, makesProjects), nil, false},
		"owner, to make projects":           {Policy{}, holds(customer, everywhere), group(customer, member, makesProjects), nil, true},
		"a removed scope":                   {Policy{}, holds(project, inProjects), group(project, member, removed), nil, false},
		"a role above the ceiling":          {ceiling, holds(project, inProjects), group(project, member), []string{"X"}, false},
		"a role below the ceiling":          {ceiling, holds(project, inProjects, "X"), group(project, member), []string{"X"}, true},
		"a role in projects above the ceiling": {
			ceiling, holds(customer, everywhere), group(customer, member, makesProjects), []string{"X"}, false,
		},
		"staff": {ceiling, directory.Actor{User: directory.User{IsStaff: true}}, group(customer, member, makesProjects), []string{"X"}, true},
	} {
		require.Equal(t, test.want, test.policy.mayOffer(test.user, test.g, test.permissions), name)
	}
}

func TestTemplatesAndPatterns(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"Workshop":                          "",
		"{username} {email} {full_name}":    "",
		"{name} {x.y} {name} of {username}": "Invalid placeholders in template: name, x.y. Allowed placeholders are: email, full_name, username",
		"{}":                                "Invalid placeholders in template: . Allowed placeholders are: email, full_name, username",
		"{open":                             "",
	} {
		wrong := fault.Fields{}
		checkTemplate(template, wrong)
		_, got := wrongField(t, wrong.Err())
		require.Equal(t, want, got, template)
	}
	for _, test := range []struct {
		patterns []string
		want     string
	}{
		{nil, ""},
		{[]string{`.*@acme\.example`, `(ann|bob)@.*`}, ""},
		{[]string{"(", "x", "["}, "Invalid regex patterns: ['(', '[']"},
		{[]string{`\pL{1000}`}, "Potentially dangerous patterns (nested quantifiers or too long): ['\\pL{1000}']"},
		{[]string{"[" + strings.Repeat(`\pL`, 300) + "]"}, "Potentially dangerous patterns (nested quantifiers or too long): ['[" + strings.Repeat(`\pL`, 19) + "\\p…']"},
		{slices.Repeat([]string{"(abcdefghi){800}"}, 3), "Potentially dangerous patterns (nested quantifiers or too long): ['(abcdefghi){800}']"}, // together
		{[]string{"((x{100}){100}){100}"}, "Invalid regex patterns: ['((x{100}){100}){100}']"},
		{[]string{"(wxyz{0,30}){30}(wxyz{0,30}){30}[a-z]{900}(wxyz){900}(wxyz){900}(wxyz){900}(wxyz){900}"}, "Potentially dangerous patterns (nested quantifiers or too long): ['(wxyz{0,30}){30}(wxyz{0,30}){30}[a-z]{900}(wxyz){900}(wxyz){…']"},
	} {
		wrong := fault.Fields{}
		checkPatterns(test.patterns, wrong)
		_, got := wrongField(t, wrong.Err())
		require.Equal(t, test.want, got, "%q", test.patterns)
	}
}
