package harness

import "fmt"

// The directory that Env.Apply loads. The API key of a user is Key of the username.
const (
	ProjectUUID = "20000000-0000-4000-8000-000000000001" // of the project Apollo
	RoleUUID    = "40000000-0000-4000-8000-000000000001" // of PROJECT.ADMIN

	Directory = `
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: ` + RoleUUID + `, scope_type: project}
users:
  - {username: sam, email: sam@staff.example, is_staff: true, tokens: [sam` + keySuffix + `]}
  - {username: olivia, email: olivia@acme.example, full_name: Olivia Owner, tokens: [olivia` + keySuffix + `]}
  - {username: ina, email: ina@university.example, tokens: [ina` + keySuffix + `]}
customers:
  - name: Acme
    members: [{user: olivia, role: CUSTOMER.OWNER}]
    projects: [{name: Apollo, uuid: ` + ProjectUUID + `}]
`
)

// keySuffix makes keys long enough for a directory file.
const keySuffix = "-key-of-these-tests"

// Key returns the API key of a user of Directory.
func Key(user string) string { return user + keySuffix }

// SecretKey is the INVITED_SECRET_KEY of an Env. Password stands in test URLs. Neither may show up in any output.
const (
	SecretKey = "a-secret-key-that-nobody-may-ever-see-in-a-log"
	Password  = "pa55word"
)

// InvitationsPath is the path of the collection of invitations.
const InvitationsPath = "/api/user-invitations/"

// InvitationBody returns the body of a request that invites email into Apollo as PROJECT.ADMIN.
func InvitationBody(email string) string { return InvitationBodyFor(email, ProjectUUID) }

// InvitationBodyFor returns the body of a request that invites email into a project as PROJECT.ADMIN.
func InvitationBodyFor(email, projectUUID string) string {
	return fmt.Sprintf(`{"email": %q, "role": %q, "scope": "http://any.example/api/projects/%s/"}`, email, RoleUUID, projectUUID)
}
