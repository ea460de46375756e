package dirfile_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
)

const wholeUser = `
roles: [{name: PROJECT.ADMIN, description: Administrator, scope_type: project, permissions: [INVITATION.LIST], is_active: false}]
users:
  - {username: anna, email: anna@x.example, full_name: Anna, civil_number: '1', image: 'https://x.example/a.png', is_staff: true,
     is_support: true, is_active: false, notifications_enabled: false, tokens: [anna-token-anna-token]}
customers:
  - name: Acme
    description: Makers
    user_email_patterns: ['.*']
    projects:
      - {name: Apollo, description: Moon, start_date: 2030-01-01, user_email_patterns: ['.*@x'], is_removed: true,
         members: [{user: anna, role: PROJECT.ADMIN, expiration_time: '2099-01-01T00:00:00Z'}]}
`

// What a record leaves out stays as it is, whatever else of the record changes.
func TestApplyKeepsWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply(wholeUser)
		before := e.export()
		report := e.apply(`
roles: [{name: PROJECT.ADMIN, scope_type: project}]
users: [{username: anna, tokens: []}]
customers: [{name: Acme, projects: [{name: Apollo, members: [{user: anna, role: PROJECT.ADMIN}]}]}]
`)
		require.Equal(t, before, e.export())
		require.Equal(t, dirfile.Count{Unchanged: 1}, report.Users)
		require.Equal(t, dirfile.Count{Revoked: 1}, report.Tokens)
		require.Equal(t, []dirfile.FieldChange{{"user anna", "tokens", "1 that the file does not have", "revoked"}}, report.Fields)
	})
}

// null takes a value away: the record gets the value that a new one has.
func TestApplyNullTakesAway(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply(wholeUser)
		before := e.user("anna")
		report := e.apply(`
roles: [{name: PROJECT.ADMIN, scope_type: project, description: null, permissions: null, is_active: null}]
users:
  - {username: anna, email: null, full_name: null, civil_number: null, image: null, is_staff: null, is_support: null, is_active: true,
     notifications_enabled: null, tokens: null}
customers:
  - name: Acme
    description: null
    user_email_patterns: null
    projects:
      - {name: Apollo, description: null, start_date: null, user_email_patterns: null, is_removed: null,
         members: [{user: anna, role: PROJECT.ADMIN, expiration_time: null}]}
`)
		require.Equal(t, directory.User{
			UUID: before.UUID, Username: "anna", IsActive: true, NotificationsEnabled: true, Created: before.Created,
		}, e.user("anna"))
		for _, gone := range []string{"Makers", "Moon", "2030", "Administrator", "expiration_time", "is_removed", ".*"} {
			require.NotContains(t, e.export(), gone)
		}
		var lines []string
		for _, each := range report.Fields {
			lines = append(lines, each.String())
		}
		require.Subset(t, lines, []string{
			"role PROJECT.ADMIN: permissions: [INVITATION.LIST] → []", "role PROJECT.ADMIN: is_active: false → true",
			"user anna: email: anna@x.example → none", "user anna: is_staff: true → false",
			"user anna: tokens: 1 that the file does not have → revoked", "project Apollo: start_date: 2030-01-01 → none",
			"customer Acme: user_email_patterns: [.*] → []",
			"member anna of Apollo: expiration_time of PROJECT.ADMIN: 2099-01-01T00:00:00Z → none",
		})
		require.NotContains(t, report.String(), "anna-token")
		require.Contains(t, report.String(), "user anna: email: anna@x.example → none\n")
	})
}

// A dry run says what Apply would do, and writes nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply(wholeUser)
		before := e.export()
		const change = "users: [{username: anna, email: other@x.example}, {username: bert}]"
		report, err := dirfile.DryRun(context.Background(), e.store, decode(t, change))
		require.NoError(t, err)
		require.Equal(t, before, e.export())
		require.Equal(t, dirfile.Count{Created: 1, Changed: 1}, report.Users)
		require.Equal(t, []dirfile.FieldChange{{"user anna", "email", "anna@x.example", "other@x.example"}}, report.Fields)
		require.Equal(t, report, e.apply(change))

		_, err = dirfile.DryRun(context.Background(), e.store, decode(t, "roles: [{name: PROJECT.ADMIN, scope_type: customer}]"))
		require.ErrorContains(t, err, "can't be changed")
	})
}

// A permission that nothing knows is a warning, with the one that was most likely meant.
func TestUnknownPermissionsAreWarnings(t *testing.T) {
	t.Parallel()
	file := decode(t, `
roles:
  - {name: A, scope_type: project, permissions: [PROJECT.CREATE_PERMISION, PROJECT.CREATE_PERMISSION, ORDER.LIST, invitation.list, SOMETHING.ELSE]}
`)
	var warnings []string
	for _, each := range file.Warnings() {
		warnings = append(warnings, each.String())
	}
	require.Equal(t, []string{
		"roles[0].permissions[0]: nothing knows the permission PROJECT.CREATE_PERMISION: did you mean PROJECT.CREATE_PERMISSION? (line 3)",
		"roles[0].permissions[3]: nothing knows the permission invitation.list: did you mean INVITATION.LIST? (line 3)",
		"roles[0].permissions[4]: nothing knows the permission SOMETHING.ELSE (line 3)",
	}, warnings)
}

// The directory to start from can be applied as it is, and warns of nothing.
func TestExampleDirectory(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/directory.example.yaml")
	require.NoError(t, err)
	require.Empty(t, decode(t, string(text)).Warnings())
	eachEngine(t, func(t *testing.T, e *env) {
		report := e.apply(string(text))
		require.Equal(t, dirfile.Count{Created: 2}, report.Users)
		require.Empty(t, e.apply(string(text)).Fields)
	})
}

// Staff that the file does not call staff any more stay staff, which is told each time.
func TestApplyTellsWhoStaysStaff(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply("users: [{username: anna, is_staff: true, is_support: true}, {username: bert}]")
		const change = "users: [{username: bert}, {username: anna, is_support: false}]"
		want := []dirfile.Problem{{"users[1].is_staff", 1, "anna stays staff: write is_staff: false to take it away"}}
		report, err := dirfile.DryRun(context.Background(), e.store, decode(t, change))
		require.NoError(t, err)
		require.Equal(t, want, report.KeptStaff)
		require.Equal(t, want, e.apply(change).KeptStaff)
		require.True(t, e.user("anna").IsStaff)
		e.apply("users: [{username: anna, is_staff: false, is_support: true}]")
		require.Equal(t, []dirfile.Problem{{"users[0].is_support", 1, "anna stays support: write is_support: false to take it away"}},
			e.apply("users: [{username: anna, is_staff: null}]").KeptStaff)
	})
}

// What looks like another user's name or civil number is refused.
func TestInvisibleCharactersAreRefused(t *testing.T) {
	t.Parallel()
	for _, record := range []string{
		`{username: "an\u200bna"}`, `{username: anna, civil_number: "12 34"}`, `{username: anna, civil_number: "12\u206034"}`,
		`{username: "an\u00adna"}`, `{username: "an\u3164na"}`, `{username: "an\ufe0fna"}`, `{username: anna, civil_number: "12\u200d34"}`,
	} {
		_, err := dirfile.Decode(strings.NewReader("users: [" + record + "]"))
		require.ErrorContains(t, err, "invisible character", record)
	}
}
