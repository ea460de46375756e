package dirfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/token"
)

const fullFile = `---
# The directory of an example.
roles:
  - name: PROJECT.ADMIN
    uuid: 5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11
    description: System administrator
    scope_type: project
    permissions: [INVITATION.LIST]
    is_active: false
  - {name: CUSTOMER.OWNER, scope_type: customer}

users: # people
  - username: alice
    email: Alice@example.com
    full_name: "Alice Owner "
    civil_number: 0123
    image: https://example.com/alice.png
    is_staff: true
    is_support: true
    is_active: false
    notifications_enabled: false
    tokens: [alice-token]
  - username: bob
    email:
customers:
- name: Acme
  uuid: 9E0C1A526F0D4A3E8D9E2F6F6F3A7B10
  description: |
    An organization

    of some size
  user_email_patterns: ['.*@acme\.com']
  is_removed: true
  members: [{user: alice, role: CUSTOMER.OWNER}]
  projects:
    - name: Apollo
      start_date: 2027-01-01
      members:
      - user: bob
        role: PROJECT.ADMIN
        expiration_time: 2027-01-01T12:00:00.1234567+01:00
        is_active: false
  scopes:
    - {type: offering, name: GPU nodes, description: ''}
`

func TestDecodeReadsEveryKey(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, pieceSize} {
		file, err := decodeBytes([]byte(fullFile), size)
		require.NoError(t, err)
		require.Equal(t, 9, file.Records())

		require.Equal(t, directory.Role{
			UUID: uuid.MustParse("5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11"), Name: "PROJECT.ADMIN",
			NameFolded: "project.admin", Description: "System administrator", DescriptionFolded: "system administrator",
			ScopeType: directory.Project, Permissions: []string{directory.InvitationList},
		}, file.roles[0].Role)
		require.Equal(t, directory.Role{
			Name: "CUSTOMER.OWNER", NameFolded: "customer.owner", ScopeType: directory.Customer, Permissions: []string{}, IsActive: true,
		}, file.roles[1].Role)

		require.Equal(t, directory.User{
			Username: "alice", FullName: "Alice Owner", FullNameFolded: "alice owner", Email: "Alice@example.com", EmailFolded: "alice@example.com",
			CivilNumber: "0123", Image: "https://example.com/alice.png", IsStaff: true, IsSupport: true,
		}, file.users[0].User)
		require.Equal(t, []string{token.Digest("alice-token")}, file.users[0].tokens)
		require.Equal(t, directory.User{Username: "bob", IsActive: true, NotificationsEnabled: true}, file.users[1].User)
		require.Equal(t, 23, file.users[1].line)

		acme, apollo, gpu := file.scopes[0], file.scopes[1], file.scopes[2]
		require.Equal(t, directory.Scope{
			UUID: uuid.MustParse("9e0c1a52-6f0d-4a3e-8d9e-2f6f6f3a7b10"), Type: directory.Customer, Name: "Acme", NameFolded: "acme", Slug: "acme",
			Description: "An organization\n\nof some size", DescriptionFolded: "an organization\n\nof some size",
			UserEmailPatterns: []string{`.*@acme\.com`}, IsRemoved: true,
		}, acme.Scope)
		start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		require.Equal(t, directory.Scope{
			Type: directory.Project, Name: "Apollo", NameFolded: "apollo", Slug: "apollo", StartDate: &start, UserEmailPatterns: []string{},
		}, apollo.Scope)
		require.Equal(t, directory.Offering, gpu.Type)
		require.Equal(t, []int{noCustomer, 0, 0}, []int{acme.customer, apollo.customer, gpu.customer})

		require.Len(t, file.members, 2)
		require.Equal(t, "customers[0].projects[0].members[0].role", file.members[1].path("role"))
		require.Equal(t, 1, file.members[1].scope)
		require.False(t, file.members[1].isActive)
		require.Equal(t, time.Date(2027, 1, 1, 11, 0, 0, 123456000, time.UTC), *file.members[1].expires)
	}
}

func TestDecodeAcceptsEmptyFiles(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "users:\n", "{}", "users: []\nroles: ~\n"} {
		file, err := Decode(strings.NewReader(text))
		require.NoError(t, err, text)
		require.Zero(t, file.Records())
	}
}

func TestDecodeReturnsTheReadersError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := Decode(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
}

// generator is a reader of any number of bytes. It fails after the last of them, so a Decode that ignores its limit ends.
type generator struct{ left int }

var errGenerated = errors.New("the generator has no more bytes")

func (g *generator) Read(p []byte) (int, error) {
	n := min(len(p), g.left)
	if n == 0 {
		return 0, errGenerated
	}
	for i := range p[:n] {
		p[i] = '\n'
	}
	g.left -= n
	return n, nil
}

func TestDecodeRefusesLargeFiles(t *testing.T) {
	t.Parallel()
	require.Equal(t, 256<<20, maxFileSize)
	const limit = 1 << 20 // instead of maxFileSize, which would take memory and time
	file, err := decode(strings.NewReader(strings.Repeat("\n", limit)), limit)
	require.NoError(t, err)
	require.Zero(t, file.Records())

	_, err = decode(&generator{left: limit + 1}, limit)
	require.EqualError(t, err, "is larger than 1 MiB")
	var problems *Error
	require.ErrorAs(t, err, &problems)

	endless := &generator{left: 10 * limit}
	_, err = decode(endless, limit)
	require.EqualError(t, err, "is larger than 1 MiB")
	require.Equal(t, 9*limit-1, endless.left, "reading ends one byte after the limit")
}

// The costs of a scope's patterns are limited together, and the problem has the line of the list.
func TestDecodeRefusesCostlyPatterns(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		format string
		n      int
		valid  bool
	}{
		{`(a{10}){90}(b{10}){90}%d`, 300, true},
		{`(a{10}){90}(b{10}){90}%d`, 2_000, false},
		{`.*@department-%d\.university\.example`, 10_000, true},
	} {
		var file strings.Builder
		file.WriteString("customers:\n- name: C\n  projects:\n  - name: P\n    user_email_patterns:\n")
		for i := range each.n {
			fmt.Fprintf(&file, "    - '"+each.format+"'\n", i)
		}
		_, err := Decode(strings.NewReader(file.String()))
		if each.valid {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "customers[0].projects[0].user_email_patterns: take too long to be matched together: "+
				"there must be fewer, or shorter ones (line 6)")
		}
	}
}

func TestDecodeReportsEachProblem(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 256)
	role, user, customer := "roles: [{name: R, scope_type: project, %s}]", "users: [{username: u, %s}]", "customers: [{name: C, %s}]"
	project := fmt.Sprintf(customer, "projects: [{name: Q}, {name: P, %s}]")
	member := fmt.Sprintf(project, "members: [{user: u, role: R, %s}]")
	in := func(format, text string) string { return fmt.Sprintf(format, text) }
	for _, each := range []struct{ text, want string }{
		{"users", "must be a mapping, not text (line 1)"},
		{"[]", "must be a mapping, not a list (line 1)"},
		{"folks: []", "folks: is no key of the file (line 1)"},
		{"users: []\nusers: []", "users: stands twice (line 2)"},
		{"? [users]\n: []", "has a key that is no text (line 1)"},
		{"users: {}", "users: must be a list, not a mapping (line 1)"},
		{"users: alice", "users: must be a list, not text (line 1)"},
		{"users:\n- alice", "users[0]: must be a mapping, not text (line 2)"},
		{"users:\n-\n", "users[0]: must be a mapping, not empty (line 2)"},
		{"users: []\n---\nusers: []", "is not YAML that can be read: a second document begins; the file must be one (line 2)"},
		{"users: [", "is not YAML that can be read: did not find expected node content (line 1)"},
		{"users: *x", "is not YAML that can be read: unknown anchor 'x' referenced"},

		{"roles: [{scope_type: project}]", "roles[0].name: is missing (line 1)"},
		{"roles: [{name: R}]", "roles[0].scope_type: is missing (line 1)"},
		{"users: [{username: u, kind: robot}]", "users[0].kind: must be person or service, not robot (line 1)"},
		{"users: [{username: u, kind: [service]}]", "users[0].kind: must be text, not a list (line 1)"},
		{"roles: [{name: R, scope_type: team}]", "roles[0].scope_type: must be one of customer, project, offering, call, proposal, not team (line 1)"},
		{"roles: [{name: R, scope_type: [project]}]", "roles[0].scope_type: must be text, not a list (line 1)"},
		{in(role, "permissions: ALL"), "roles[0].permissions: must be a list, not text (line 1)"},
		{in(role, "permissions: [A, ' ']"), "roles[0].permissions[1]: must not be empty (line 1)"},
		{in(role, "permissions: [[A]]"), "roles[0].permissions[0]: must be text, not a list (line 1)"},
		{in(role, "uuid: x"), "roles[0].uuid: is not a uuid: x (line 1)"},
		{in(role, "is_active: maybe"), "roles[0].is_active: must be true or false (line 1)"},
		{
			"users: [{username: u, is_active: null}]",
			"users[0].is_active: can't be null: write true to give access, false to take it away (line 1)",
		},
		{
			"customers: [{name: C, members: [{user: u, role: R, is_active: }]}]",
			"customers[0].members[0].is_active: can't be null: write true to give access, false to take it away (line 1)",
		},
		{in(role, "is_staff: true"), "roles[0].is_staff: is no key of a role (line 1)"},
		{"roles:\n- {name: R, scope_type: project}\n- {name: R, scope_type: call}", "roles[1].name: is the same as that of roles[0] (line 3)"},

		{"users: [{}]", "users[0].username: is missing (line 1)"},
		{"users: [{username: }]", "users[0].username: must not be empty (line 1)"},
		{"users: [{username: '  '}]", "users[0].username: must not be empty (line 1)"},
		{"users: [{username: {a: b}}]", "users[0].username: must be text, not a mapping (line 1)"},
		{`users: [{username: "a\nb"}]`, "users[0].username: has a control character (line 1)"},
		{`users: [{username: "a\0b"}]`, "users[0].username: has a control character (line 1)"},
		{`users: [{username: "a\Lb"}]`, "users[0].username: has a control character (line 1)"},
		{"users: [{username: !!binary YQ==}]", "users[0].username: has a tag that is not read: !!binary (line 1)"},
		{"users: [{username: !x a}]", "users[0].username: has a tag that is not read: !x (line 1)"},
		{"users: [{username: " + long + "}]", "users[0].username: has more than 255 characters (line 1)"},
		{in(user, "username: v"), "users[0].username: stands twice (line 1)"},
		{in(user, "<<: {email: a@b.c}"), "users[0].<<: is no key of a user (line 1)"},
		{in(user, `"e\nmail": a@b.c`), `users[0]."e\nmail": is no key of a user (line 1)`},
		{in(user, "full_name: "+long[:202]), "users[0].full_name: has more than 100 characters (line 1)"},
		{in(user, "civil_number: "+long[:102]), "users[0].civil_number: has more than 50 characters (line 1)"},
		{in(user, "email: nobody"), "users[0].email: is not an e-mail address: nobody (line 1)"},
		{in(user, "image: 'javascript:alert(1)'"), "users[0].image: is not an http or https URL: javascript:alert(1) (line 1)"},
		{in(user, "image: /a.png"), "users[0].image: is not an http or https URL: /a.png (line 1)"},
		{in(user, "image: http://"), "users[0].image: is not an http or https URL: http:// (line 1)"},
		{in(user, "uuid: 00000000-0000-0000-0000-000000000000"), "users[0].uuid: is not a uuid: 00000000-0000-0000-0000-000000000000 (line 1)"},
		{in(user, "uuid: '{5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11}'"), "users[0].uuid: is not a uuid: {5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11} (line 1)"},
		{in(user, "is_staff: 1"), "users[0].is_staff: must be true or false (line 1)"},
		{in(user, "is_staff: [true]"), "users[0].is_staff: must be true or false (line 1)"},
		{in(user, "tokens: [t, '']"), "users[0].tokens[1]: must not be empty (line 1)"},
		{in(user, "tokens: [a b]"), "users[0].tokens[0]: has a space or a control character (line 1)"},
		{in(user, "tokens: [a, a]"), "users[0].tokens[1]: is the same as that of users[0] (line 1)"},
		{"users:\n- {username: a, tokens: [t]}\n- {username: b, tokens: [t]}", "users[1].tokens[0]: is the same as that of users[0] (line 3)"},
		{"users:\n- username: a\n- username: b\n- username: a", "users[2].username: is the same as that of users[0] (line 4)"},
		{"users:\n- {username: a, uuid: 5d3f6f0e1c8b4b579a430c1f8a5f2a11}\n- {username: b, uuid: 5d3f6f0e-1c8b-4b57-9a43-0c1f8a5f2a11}", "users[1].uuid: is the same as that of users[0] (line 3)"},

		{"customers: [{}]", "customers[0].name: is missing (line 1)"},
		{in(customer, "type: customer"), "customers[0].type: is no key of a customer (line 1)"},
		{in(customer, "start_date: 2027-01-01"), "customers[0].start_date: is no key of a customer (line 1)"},
		{in(customer, `description: "a\0"`), "customers[0].description: has a control character (line 1)"},
		{in(customer, "description: "+strings.Repeat("x", 10_001)), "customers[0].description: has more than 10000 characters (line 1)"},
		{in(customer, "user_email_patterns: ['(']"), "customers[0].user_email_patterns[0]: is not a regular expression: missing closing ): `(` (line 1)"},
		{in(customer, "user_email_patterns: ['']"), "customers[0].user_email_patterns[0]: must not be empty (line 1)"},
		{in(customer, "user_email_patterns: ['((a{99}){99}){99}']"), "customers[0].user_email_patterns[0]: is not a regular expression: invalid repeat count: `{99}` (line 1)"},
		{in(customer, "user_email_patterns: ['(a{99}){10}(b{99}){10}(.{99}){10}(.{99}){10}(.{99}){10}.{500}']"), "customers[0].user_email_patterns[0]: repeats too much to be matched fast (line 1)"},
		{in(customer, "user_email_patterns: ["+strings.Repeat("x", 501)+"]"), "customers[0].user_email_patterns[0]: has more than 500 characters (line 1)"},
		{in(customer, "user_email_patterns: ["+strings.Repeat("x,", 10_001)+"]"), "customers[0].user_email_patterns: has more than 10000 items (line 1)"},
		{"customers: [{name: C}, {name: C, uuid: 5d3f6f0e1c8b4b579a430c1f8a5f2a11}]", "customers[1].name: is also the name of customers[0]; give each its uuid (line 1)"},
		{in(project, "start_date: 2027-02-30"), "customers[0].projects[1].start_date: must be a day like 2027-01-31, not 2027-02-30 (line 1)"},
		{in(project, "start_date: 2027-01-01T00:00:00Z"), "customers[0].projects[1].start_date: must be a day like 2027-01-31, not 2027-01-01T00:00:00Z (line 1)"},
		{in(project, "projects: []"), "customers[0].projects[1].projects: is no key of a project (line 1)"},
		{in(customer, "projects: [{name: P}, {name: P}]"), "customers[0].projects[1].name: is also the name of customers[0].projects[0]; give each its uuid (line 1)"},
		{"customers: [{name: C, uuid: 5d3f6f0e1c8b4b579a430c1f8a5f2a11, projects: [{name: P, uuid: 5d3f6f0e1c8b4b579a430c1f8a5f2a11}]}]", "customers[0].projects[0].uuid: is the same as that of customers[0] (line 1)"},
		{in(customer, "scopes: [{name: S}]"), "customers[0].scopes[0].type: is missing (line 1)"},
		{in(customer, "scopes: [{name: S, type: project}]"), "customers[0].scopes[0].type: must be one of offering, call, proposal, not project (line 1)"},
		{in(customer, "scopes: [{name: S, type: call}, {name: S, type: offering}, {name: S, type: call}]"), "customers[0].scopes[2].name: is also the name of customers[0].scopes[0]; give each its uuid (line 1)"},

		{in(project, "members: [{user: u}]"), "customers[0].projects[1].members[0].role: is missing (line 1)"},
		{in(project, "members: [{role: R}]"), "customers[0].projects[1].members[0].user: is missing (line 1)"},
		{in(project, "members:\n [{user: u, role: R},\n  {user: u, role: R}]"), "customers[0].projects[1].members[1]: gives the same user the same role as customers[0].projects[1].members[0] (line 3)"},
		{in(member, "uuid: 5d3f6f0e1c8b4b579a430c1f8a5f2a11"), "customers[0].projects[1].members[0].uuid: is no key of a member (line 1)"},
		{in(member, "expiration_time: 2027-01-01"), "customers[0].projects[1].members[0].expiration_time: must be a time like 2027-01-31T12:00:00Z, not 2027-01-01 (line 1)"},
		{in(member, "expiration_time: '9999-12-31T23:59:59-01:00'"), "customers[0].projects[1].members[0].expiration_time: must be a time like 2027-01-31T12:00:00Z, not 9999-12-31T23:59:59-01:00 (line 1)"},
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			_, err := Decode(strings.NewReader(each.text))
			require.EqualError(t, err, each.want, each.text)
			var problems *Error
			require.ErrorAs(t, err, &problems)
		})
	}
}

func TestDecodeReportsNoToken(t *testing.T) {
	t.Parallel()
	_, err := Decode(strings.NewReader("users: [{username: a, tokens: [secret, secret, 'secret key']}]"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestDecodeReportsTenProblems(t *testing.T) {
	t.Parallel()
	_, err := Decode(strings.NewReader("users:\n" + strings.Repeat("- {name: x}\n", 100_000)))
	var problems *Error
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems.Problems, 10)
	require.Len(t, strings.Split(err.Error(), "\n"), 10)
	require.Equal(t, Problem{Path: "users[4].name", Line: 6, Message: "is no key of a user"}, problems.Problems[8])
}
