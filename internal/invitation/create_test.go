package invitation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// creations are the ways to create an invitation, and the first state of each.
var creations = []struct {
	name      string
	onlyStaff bool // the policy OnlyStaffCanInvite
	creator   directory.User
	scope     directory.Scope
	state     State
}{
	{"into a project", false, people.creator, testProject(), Pending},
	{"into a customer", false, people.creator, testCustomer(), Pending},
	{"into a project that starts now", false, people.creator, startingAt(testTime), Pending},
	{"into a project that starts later", false, people.creator, startingAt(testTime.Add(time.Microsecond)), Project},
	{"by staff", false, people.staff, testProject(), Pending},
	{"by staff, into a project that starts later", false, people.staff, startingAt(tomorrow), Project},
	{"only staff can invite", true, people.creator, testProject(), Requested},
	{"only staff can invite, into a project that starts later", true, people.creator, startingAt(tomorrow), Requested},
	{"only staff can invite, by staff", true, people.staff, testProject(), Pending},
	{"only staff can invite, by staff, into a later project", true, people.staff, startingAt(tomorrow), Project},
}

var testDraft = Draft{
	Role: testRole.UUID, ScopeURL: "https://anywhere.example/api/projects/x/", Email: "Gil@Acme.example",
	FullName: "Gil Guest", NativeName: "Гил", PhoneNumber: "+372 5555", Organization: "Acme", JobTitle: "Guest",
	CivilNumber: "38001085718", ExtraInvitationText: "Welcome.",
}

// A new invitation goes out at once, waits for its project, or waits for approval.
func TestCreate(t *testing.T) {
	t.Parallel()
	for _, c := range creations {
		for _, webhooks := range onOff {
			p := testPolicy
			p.OnlyStaffCanInvite, p.UseWebhooks = c.onlyStaff, webhooks
			p.AllowedFields = []string{
				"full_name", "native_name", "phone_number", "organization", "job_title", "civil_number",
			}
			made := p.newInvitation(testDraft, c.scope, testRole, c.creator, testTime)
			requireRandom(t, made.UUID)
			require.Equal(t, Invitation{
				UUID: made.UUID, StoredState: c.state, Created: testTime, ExecutionState: Scheduled,
				RoleUUID: testRole.UUID, Role: testRole,
				ScopeUUID: c.scope.UUID, Scope: c.scope, CustomerUUID: c.scope.CustomerUUID,
				CreatedByUUID: &c.creator.UUID, CreatedBy: &c.creator,
				Email: "Gil@Acme.example", EmailFolded: "gil@acme.example",
				FullName: "Gil Guest", NativeName: "Гил", PhoneNumber: "+372 5555", Organization: "Acme", JobTitle: "Guest",
				CivilNumber: "38001085718", ExtraInvitationText: "Welcome.",
			}, made, c.name)

			var jobs []Job
			switch c.state {
			case Pending:
				jobs = []Job{Deliver{Invitation: made.UUID, Webhook: webhooks && c.scope.Type == directory.Project}}
			case Requested:
				jobs = []Job{Notify{Notice: NoticeRequested, Invitation: made.UUID, User: people.staff.UUID, Gathered: true}}
			default:
				jobs = nil
			}
			event := wantEvent(EventCreated, &c.creator, "", c.state, made)
			if c.state != Requested {
				event = mailing(event, made)
			}
			require.Equal(t, Change{
				After: &made, Event: event, Jobs: jobs,
			}, p.create(made, c.creator, []directory.User{people.staff}), c.name)
		}
	}
}

// Every invitation has a UUID of its own.
func TestNewInvitationsDiffer(t *testing.T) {
	t.Parallel()
	made := func() Invitation {
		return testPolicy.newInvitation(testDraft, testProject(), testRole, people.creator, testTime)
	}
	one, another := made(), made()
	require.NotEqual(t, one.UUID, another.UUID)
}

// Of the fields about the invitee, those are stored that the operator allows.
func TestNewInvitationHasTheAllowedFields(t *testing.T) {
	t.Parallel()
	fields := []struct {
		name  string
		value func(Invitation) string
		want  string
	}{
		{"full_name", func(i Invitation) string { return i.FullName }, testDraft.FullName},
		{"native_name", func(i Invitation) string { return i.NativeName }, testDraft.NativeName},
		{"phone_number", func(i Invitation) string { return i.PhoneNumber }, testDraft.PhoneNumber},
		{"organization", func(i Invitation) string { return i.Organization }, testDraft.Organization},
		{"job_title", func(i Invitation) string { return i.JobTitle }, testDraft.JobTitle},
		{"civil_number", func(i Invitation) string { return i.CivilNumber }, testDraft.CivilNumber},
	}
	for _, allowed := range fields {
		p := testPolicy
		p.AllowedFields = []string{allowed.name}
		made := p.newInvitation(testDraft, testProject(), testRole, people.creator, testTime)
		for _, field := range fields {
			want := ""
			if field.name == allowed.name {
				want = field.want
			}
			require.Equal(t, want, field.value(made), "%s where %s is allowed", field.name, allowed.name)
		}
		require.Equal(t, testDraft.ExtraInvitationText, made.ExtraInvitationText)
	}
}

// A role is given in scopes of its own type only, and only while the role is active.
func TestRoleFitsScope(t *testing.T) {
	t.Parallel()
	misfit := error(fault.Field("non_field_errors", "Role and scope should belong to the same content type."))
	inactive := testRole
	inactive.IsActive = false
	require.NoError(t, checkRoleFits(testRole, testProject()))
	require.Equal(t, misfit, checkRoleFits(testRole, testCustomer()))
	require.Equal(t, misfit, checkRoleFits(inactive, testProject()))
	require.Equal(t, misfit, checkRoleFits(inactive, testCustomer()))
}
