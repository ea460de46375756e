package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
)

// pairs returns the body of check-duplicates. each has e-mails and roles in turn.
func pairs(scope string, each ...string) map[string]any {
	invitations := []map[string]string{}
	for i := 0; i+1 < len(each); i += 2 {
		invitations = append(invitations, map[string]string{"email": each[i], "role": each[i+1]})
	}
	return map[string]any{"scope": scopeURL(scope), "invitations": invitations}
}

// duplicates returns a line for each duplicate: e-mail, role and the existing invitation, where there is one.
func (e *env) duplicates(user string, body any) []string {
	e.t.Helper()
	var found server.InvitationDuplicateCheckResponse
	e.request("POST", base+"check-duplicates/", user, body).is(http.StatusOK, "").decode(&found)
	all := []string{}
	for _, each := range found.Duplicates {
		line := each.Email + " " + each.Role.String()
		if each.ExistingInvitationUUID != nil {
			line += " " + each.ExistingInvitationUUID.String()
		}
		all = append(all, line)
	}
	return all
}

// Who holds a role in the scope is said for each of their planned invitations, whatever the case of the address.
func TestCheckDuplicatesSaysWhoIsAMember(t *testing.T) {
	onEachEngine(t, func(e *env) {
		existing := func(user, scope string, each ...string) []server.InvitationExistingRole {
			var found server.InvitationDuplicateCheckResponse
			e.request("POST", base+"check-duplicates/", user, pairs(scope, each...)).is(http.StatusOK, "").decode(&found)
			require.NotNil(e.t, found.ExistingRoles)
			return found.ExistingRoles
		}
		held := server.InvitationExistingRole{
			Email: "Manager@ACME.example", Role: uuid.MustParse(admin), ExistingRole: uuid.MustParse(manager),
			ExistingRoleName: "PROJECT.MANAGER", ExistingRoleDescription: "Project manager",
		}
		same := held
		same.Role, same.IsSameRole = held.ExistingRole, true
		require.Equal(e.t, []server.InvitationExistingRole{held, same},
			existing("owner", apollo, "new@x.example", admin, "Manager@ACME.example", admin, "manager@acme.example", admin, "Manager@ACME.example", manager))
		require.Empty(e.t, existing("owner", artemis, "manager@acme.example", admin), "another scope")
		require.Empty(e.t, existing("owner", apollo))
		e.exec("UPDATE users SET is_active = FALSE WHERE username = 'manager'")
		require.Empty(e.t, existing("owner", apollo, "manager@acme.example", admin))
		e.exec("UPDATE users SET is_active = TRUE WHERE username = 'manager'")
		e.exec("UPDATE memberships SET revoked = created")
		e.apply("customers: [{name: Acme, members: [{user: staff, role: CUSTOMER.READER}]}]")
		require.Empty(e.t, existing("staff", apollo, "manager@acme.example", admin))
	})
}

// Open invitations are duplicates, closed ones are not. The time decides, not the state in the row.
func TestCheckDuplicatesByState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for state, id := range oneInEachState(e) {
			scope := apollo
			if state == "project" {
				scope = artemis
			}
			want := []string{}
			if state == "pending" || state == "project" || state == "requested" {
				want = append(want, strings.ToUpper(state)+"@States.example "+admin+" "+id.String())
			}
			email := strings.ToUpper(state) + "@States.example"
			require.Equal(e.t, want, e.duplicates("owner", pairs(scope, email, admin)), state)
			require.Empty(e.t, e.duplicates("owner", pairs(scope, email, manager)), "another role")
			require.Empty(e.t, e.duplicates("owner", pairs(strict, email, admin)), "another scope")
		}
	}, onlyStaff)
}

func TestCheckDuplicatesOrder(t *testing.T) {
	onEachEngine(t, func(e *env) {
		z, a := e.create("owner", "Z@x.example", admin, apollo), e.create("owner", "a@x.example", admin, apollo)
		for i := range 20 {
			e.create("owner", fmt.Sprintf("other%d@x.example", i), admin, apollo)
		}
		require.Equal(e.t, []string{
			"z@X.example " + admin + " " + z.UUID.String(),
			"Twice@x.example " + admin,
			"a@x.example " + admin + " " + a.UUID.String(),
			"twice@x.example " + manager,
		}, e.duplicates("manager", pairs(apollo,
			"z@X.example", admin, "new@x.example", admin, "Twice@x.example", admin, " a@x.example\t", admin, "a@x.example", manager,
			"TWICE@x.example", admin, "twice@x.example", manager, "twice@x.example", manager, "twice@x.example", manager,
			"Z@x.example", admin, "z@x.example", strings.ReplaceAll(admin, "-", ""))))
		require.Equal(e.t, []string{}, e.duplicates("owner", pairs(apollo)))
		require.Empty(e.t, e.duplicates("owner", pairs(apollo, "a@x.example", uuid.NewString())), "the role does not exist")
	})
}

func TestCheckDuplicatesRequiresManager(t *testing.T) {
	onEachEngine(t, func(e *env) {
		path, body := base+"check-duplicates/", pairs(apollo, "a@x.example", admin)
		made := e.create("owner", "a@x.example", admin, apollo)
		for _, user := range []string{"rival", "stranger"} { // do not see the scope
			e.request("POST", path, user, body).is(http.StatusBadRequest, scopeError(scopeURL(apollo)))
		}
		for _, user := range []string{"reader", "member", "support"} {
			e.request("POST", path, user, body).is(http.StatusNotFound, notFound)
		}
		for _, user := range []string{"staff", "owner", "manager"} {
			require.Equal(e.t, []string{"a@x.example " + admin + " " + made.UUID.String()}, e.duplicates(user, body))
		}
		e.request("POST", path, "staff", pairs(dropped, "a@x.example", admin)).is(http.StatusBadRequest, scopeError(scopeURL(dropped)))
		body["scope"] = "nonsense"
		e.request("POST", path, "staff", body).is(http.StatusBadRequest, scopeError("nonsense"))
	})
}

func TestCheckDuplicatesLimit(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(1000)
		many := func(n int) map[string]any {
			var each []string
			for i := range n {
				each = append(each, fmt.Sprintf("n%03d@fill.example", n-i-1), admin)
			}
			return pairs(apollo, each...)
		}
		require.Len(e.t, e.duplicates("owner", many(1000)), 1000)
		tooMany := fieldError("invitations", "Ensure this field has no more than 1000 elements.")
		e.request("POST", base+"check-duplicates/", "owner", many(1001)).is(http.StatusBadRequest, tooMany)
		// The items of a list that is too long are not validated.
		e.request("POST", base+"check-duplicates/", "owner", `{"scope": 5, "invitations": [`+strings.Repeat("{},", 300_000)+`{}]}`).
			is(http.StatusBadRequest, tooMany)
		wrong := e.request("POST", base+"check-duplicates/", "owner",
			`{"scope": "x", "invitations": [`+strings.Repeat("{},", 999)+`{}]}`)
		require.Equal(e.t, []string{"invitations"}, wrong.invalidFields())
		var said map[string][]string
		wrong.decode(&said)
		require.Len(e.t, said["invitations"], 2000)
	})
}

func TestCheckDuplicatesNamesInvalidItems(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for body, want := range map[string]string{
			`{}`: `{"scope": ["This field is required."], "invitations": ["This field is required."]}`,
			`{"scope": "", "invitations": null}`: `{"scope": ["This field may not be blank."],
				"invitations": ["This field may not be null."]}`,
			`{"scope": "x", "invitations": {}}`: `{"invitations": ["This value is not valid."]}`,
			`{"scope": "x", "invitations": [{"email": "a@x.example", "role": "` + admin + `"}, {"email": " ", "role": "x"}, 5, null,
				{"EMAIL": "a@x.example", "role": null}]}`: `{"invitations": ["Item 2, email: This field may not be blank.",
				"Item 2, role: Object with uuid=x does not exist.", "Item 3: Invalid data. Expected a dictionary.", "Item 4: This field may not be null.",
				"Item 5, role: This field may not be null.", "Item 5, email: This field is required."]}`,
		} {
			e.request("POST", base+"check-duplicates/", "owner", body).is(http.StatusBadRequest, want)
		}
		good, err := json.Marshal(pairs(apollo, "a@x.example", admin))
		require.NoError(e.t, err)
		odd := strings.Replace(string(good), `{"email"`, `{"EMAIL": 5, "Role": [], "more": {"token": " "}, "email"`, 1)
		require.NotEqual(e.t, string(good), odd)
		require.Empty(e.t, e.duplicates("owner", odd))
		e.request("POST", base+"check-duplicates/", "owner", nil).is(http.StatusBadRequest, "")
	})
}
