package joining

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// The refusals of a submission, in their order: each case would be refused for the reasons after its own too.
func TestCheckMaySubmit(t *testing.T) {
	t.Parallel()
	holder := directory.Actor{Grants: []directory.Grant{{ScopeUUID: project.UUID, RoleUUID: member.UUID}}}
	other := directory.Actor{Grants: []directory.Grant{{ScopeUUID: project.UUID, RoleUUID: owner.UUID}}}
	oneRole := Policy{DisableMultipleRoles: true}
	multiple := func(g *GroupInvitation) { g.MultipleRequests = true }
	for name, test := range map[string]struct {
		policy Policy
		g      GroupInvitation
		user   directory.Actor
		want   Refusal
	}{
		"inactive":       {oneRole, group(project, member, canceled), holder, RefusedInactive},
		"holds the role": {oneRole, group(project, member), holder, RefusedHeld},
		"holds another":  {oneRole, group(project, member), other, RefusedSecond},
		"has asked":      {Policy{}, group(project, member), other, RefusedRequested},
		"may ask again":  {Policy{}, group(project, member, multiple), other, ""},
	} {
		requireRejected(t, test.want, test.policy.checkMaySubmit(test.g, test.user, true, now), name)
	}
	require.NoError(t, Policy{}.checkMaySubmit(group(project, member), other, false, now))
}

// One restriction is enough, and the scope's come after the group invitation's.
func TestCheckRestrictions(t *testing.T) {
	t.Parallel()
	patterns := func(g *GroupInvitation) { g.EmailPatterns = []string{"x"} }
	sources := func(g *GroupInvitation) { g.IdentitySources = []string{"https://issuer.example"} }
	affiliations := func(g *GroupInvitation) { g.Affiliations = []string{"staff"} }
	refused := standing{admitted: admission{refusedBy: directory.Customer}}
	matching := standing{admitted: admission{byInvitation: true}}
	for name, test := range map[string]struct {
		g     GroupInvitation
		found standing
		want  Refusal
	}{
		"not meant":             {group(project, member, patterns), refused, RefusedNotMeant},
		"not admitted":          {group(project, member), refused, RefusedBy(directory.Customer)},
		"a pattern matches":     {group(project, member, patterns, affiliations), matching, ""},
		"no patterns, only":     {group(project, member, affiliations), matching, RefusedNotMeant},
		"signed in there":       {group(project, member, patterns, sources), standing{issuers: []string{"x", "https://issuer.example"}}, ""},
		"signed in elsewhere":   {group(project, member, sources), standing{issuers: []string{"x"}}, RefusedNotMeant},
		"without a restriction": {group(project, member), standing{}, ""},
	} {
		requireRejected(t, test.want, checkRestrictions(test.g, test.found), name)
	}
}

// requireRejected requires a refusal with a message; empty: no refusal.
func requireRejected(t *testing.T, want Refusal, err error, name string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err, name)
		return
	}
	var f *fault.Error
	require.ErrorAs(t, err, &f, name)
	require.Equal(t, fault.KindRejected, f.Kind, name)
	require.Equal(t, want, Refusal(f.Message), name)
}

func TestProjectName(t *testing.T) {
	t.Parallel()
	ann := directory.User{Username: "ann", Email: "ann@x.example", FullName: "Ann {username}"}
	template := func(text string) func(*GroupInvitation) { return func(g *GroupInvitation) { g.NameTemplate = &text } }
	details := func(g *GroupInvitation) { g.CustomDetails = true }
	for _, test := range []struct {
		g          GroupInvitation
		user       directory.User
		name, want string
		isFixed    bool
	}{
		{group(customer, member), ann, "Lab", "ann", false}, // nobody asked for a name
		{group(customer, member, details), ann, "Lab", "Lab", false},
		{group(customer, member, details, template("Lab")), ann, "Moon", "Moon", false},
		{group(customer, member, details, template("Lab")), ann, "", "Lab", true},
		{group(customer, member, details, template("Lab of {username}")), ann, "", "Lab of ann", false},
		{group(customer, member, template("{full_name} <{email}>")), ann, "", "Ann {username} <ann@x.example>", false}, // filled in once
		{group(customer, member, template(" {full_name} ")), directory.User{Username: "bob"}, "", "bob", false},
		{group(customer, member, template(" ")), directory.User{Username: "bob"}, "", "bob", false},
	} {
		name, isFixed := projectName(newRequest(test.g, test.user, test.name, "", now))
		require.Equal(t, test.want, name)
		require.Equal(t, test.isFixed, isFixed, test.want)
	}
}

// A name is refused where it is too long, and not cut: a name that was cut could be that of another project.
func TestProjectNameLength(t *testing.T) {
	t.Parallel()
	for length, fits := range map[int]bool{0: true, 1: true, 255: true, 256: false, 500: false} {
		name := strings.Repeat("ä", length)
		require.Equal(t, fits, checkFilledIn(name) == nil, length)
		require.Equal(t, fits, Policy{}.checkName(name) == nil, length)
	}
	both := Policy{ProjectName: regexp.MustCompile("^[a-z]+$")}.checkName(strings.Repeat("ä", 256))
	require.EqualError(t, both, "project_name: Ensure this field has no more than 255 characters. Project names have to match the pattern ^[a-z]+$.")
}

// A name that only looks like another one is refused, whether it is given or filled in.
func TestInvisibleProjectNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Ap\u200bollo", "Apollo\u202e", "\u2066Apollo", "Ap\u00adollo", "Ap\u034follo", "Apollo\ufe0f"} {
		require.EqualError(t, Policy{}.checkName(name), "project_name: "+msgInvisible, "%q", name)
		requireRejected(t, RefusedInvisible, checkFilledIn(name), name)
		wrong := fault.Fields{}
		checkTemplate(name, wrong)
		require.EqualError(t, wrong.Err(), "project_name_template: "+msgInvisible, "%q", name)
	}
	for _, name := range []string{"Apollo 11", "Größe", "پروژه", "🚀"} {
		require.NoError(t, Policy{}.checkName(name))
		require.NoError(t, checkFilledIn(name))
	}
}

// Which project that has the name, case aside, an approval takes, beside which it makes another one, and which refuses it.
func TestChoose(t *testing.T) {
	t.Parallel()
	group, own, other := uuid.New(), uuid.New(), uuid.New()
	const takes, makes, refuses = "takes", "makes", "refuses"
	for _, test := range []struct {
		madeBy, madeFor         *uuid.UUID
		name                    string
		whereFixed, whereChosen string
	}{
		{&group, &own, "Lab", refuses, takes},
		{&group, &own, "lab", refuses, takes},
		{&group, &other, "Lab", refuses, refuses},
		{&group, &other, "lab", refuses, refuses},
		{&group, nil, "Lab", takes, refuses},
		{&group, nil, "lab", takes, refuses}, // approvals make one of a name
		{nil, nil, "Lab", takes, refuses},
		{nil, nil, "lab", makes, refuses},
	} {
		for want, madeFor := range map[*string]*uuid.UUID{&test.whereFixed: nil, &test.whereChosen: &own} {
			found := directory.Scope{Name: test.name, GroupInvitationUUID: test.madeBy, MadeForUUID: test.madeFor}
			another, err := checkFound(found, "Lab", madeFor)
			got := takes
			if another {
				got = makes
			}
			if err != nil {
				require.ErrorContains(t, err, string(RefusedName))
				got = refuses
			}
			require.Equal(t, *want, got, "%+v, made for %v", test, madeFor)
		}
	}
}

// What refuses a grant, in its order, and what a change of an approval writes.
func TestApprove(t *testing.T) {
	t.Parallel()
	r := newRequest(group(project, member), directory.User{UUID: uuid.New()}, "", "", now)
	inactive := member
	inactive.IsActive = false
	active := directory.User{IsActive: true}
	good := grant{role: member, scope: project, requester: directory.Actor{User: active}}
	holder := directory.Actor{User: active, Grants: []directory.Grant{{ScopeUUID: project.UUID, RoleUUID: member.UUID}}}
	other := directory.Actor{User: active, Grants: []directory.Grant{{ScopeUUID: project.UUID, RoleUUID: owner.UUID}}}
	for want, g := range map[Refusal]grant{
		RefusedRequester:                    {role: member, scope: project, requester: directory.Actor{Grants: holder.Grants}},
		"Role is not valid for this scope.": {role: inactive, scope: customer, hasManager: true, requester: good.requester},
		RefusedRole:                         {role: inactive, scope: project, hasManager: true, requester: good.requester},
		RefusedManager:                      {role: member, scope: project, hasManager: true, requester: other},
		RefusedSecond:                       {role: member, scope: project, requester: other, admitted: admission{refusedBy: directory.Project}},
		RefusedBy(directory.Project):        {role: member, scope: project, requester: good.requester, admitted: admission{refusedBy: directory.Project}},
	} {
		_, err := Policy{DisableMultipleRoles: true}.approve(&r, r, g, nil, directory.User{}, "", now)
		require.ErrorContains(t, err, string(want))
	}
	reviewer := directory.User{UUID: uuid.New(), Username: "rita"}
	c, err := Policy{}.approve(&r, r, good, nil, reviewer, "Welcome", now)
	require.NoError(t, err)
	require.Equal(t, Approved, c.RequestAfter.State)
	require.Equal(t, &c.Member.UUID, c.RequestAfter.MembershipUUID)
	require.Equal(t, []uuid.UUID{r.CreatedByUUID, member.UUID, project.UUID, reviewer.UUID},
		[]uuid.UUID{c.Member.UserUUID, c.Member.RoleUUID, c.Member.ScopeUUID, *c.Member.CreatedByUUID})
	good.requester = holder
	good.role.IsActive = false
	c, err = Policy{}.approve(&r, r, good, nil, reviewer, "", now)
	require.NoError(t, err, "nothing more is granted to who holds the role")
	require.Nil(t, c.Member)
	require.Nil(t, c.RequestAfter.MembershipUUID)
}

// The functions that decide about a state follow the table.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, state := range States {
		r := newRequest(group(project, member), directory.User{}, "", "", now)
		r.State = state
		require.Equal(t, CanDo(ActionApprove, state), checkPending(r) == nil, state)
		require.Equal(t, CanDo(ActionReject, state), checkPending(r) == nil, state)
		c, err := cancelRequest(r, directory.User{})
		require.Equal(t, CanDo(ActionCancel, state), err == nil, state)
		if err == nil {
			require.Equal(t, Canceled, c.RequestAfter.State)
		}
	}
	require.Equal(t, Rejected, reject(newRequest(group(project, member), directory.User{}, "", "", now), directory.User{}, "", now).RequestAfter.State)
}

func TestIsApprover(t *testing.T) {
	t.Parallel()
	inCustomer := func(permissions ...string) directory.Actor {
		return directory.Actor{Grants: []directory.Grant{{
			ScopeUUID: customer.UUID, ScopeType: directory.Customer, CustomerUUID: customer.UUID, Permissions: permissions,
		}}}
	}
	inProject := directory.Actor{Grants: []directory.Grant{{
		ScopeUUID: project.UUID, ScopeType: directory.Project, CustomerUUID: customer.UUID, Permissions: []string{"PROJECT.CREATE_PERMISSION"},
	}}}
	staff := directory.Actor{User: directory.User{IsStaff: true}}
	plain, making := group(project, member), group(project, member, makesProjects)
	gone := group(customer, member, makesProjects)
	gone.Scope.Customer = &directory.Scope{IsRemoved: true}
	goneProject := making
	goneProject.Scope.IsRemoved = true
	for name, test := range map[string]struct {
		user directory.Actor
		g    GroupInvitation
		want bool
	}{
		"staff":                            {staff, plain, true},
		"staff, for projects":              {staff, making, true},
		"staff, of a removed customer":     {staff, gone, false},
		"staff, of a removed project":      {staff, goneProject, false},
		"of projects, of a removed one":    {inCustomer("PROJECT.CREATE_PERMISSION"), goneProject, false},
		"owner":                            {inCustomer("CUSTOMER.CREATE_PERMISSION"), plain, true},
		"owner, for projects":              {inCustomer("CUSTOMER.CREATE_PERMISSION"), making, false},
		"of projects, for projects":        {inCustomer("PROJECT.CREATE_PERMISSION"), making, true},
		"of one project":                   {inProject, plain, true},
		"of one project, for new projects": {inProject, making, false},
	} {
		require.Equal(t, test.want, IsApprover(test.user, test.g), name)
	}
}
