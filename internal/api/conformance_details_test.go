package api_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// seesDetails reports whether a user gets the details of an invitation.
func (e *env) seesDetails(user string, id uuid.UUID) bool {
	e.t.Helper()
	answer := e.request("GET", at(id.String(), "details"), user, nil)
	if answer.Status == http.StatusOK {
		return true
	}
	answer.is(http.StatusNotFound, notFound)
	return false
}

func TestDetailsBody(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "Anna@Alpha.example", admin, apollo, "full_name", "Anna", "extra_invitation_text", "Hi")
		e.request("GET", at(made.UUID.String(), "details"), "stranger", nil).is(http.StatusOK, `{
			"scope_uuid": "`+apollo+`", "scope_name": "Apollo", "scope_description": "To the moon",
			"scope_type": "project", "customer_uuid": "`+acme+`", "customer_name": "Acme",
			"role_name": "PROJECT.ADMIN", "role_description": "System administrator",
			"created_by_full_name": "Olivia Owner", "created_by_username": "owner",
			"created_by_image": "https://example.com/olivia.png",
			"email": "Anna@Alpha.example", "error_message": "", "execution_state": "Scheduled", "state": "pending",
			"declined_at": null, "membership_expires": null}`)
	})
}

func TestDetailsByStateAndUser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		all := oneInEachState(e) // the stranger accepted one, and is a member of apollo
		for state, id := range all {
			e.run(state, func(e *env) {
				offered := state == "pending" || state == "expired" || state == "canceled"
				inApollo := state != "project"
				for user, sees := range map[string]bool{
					"staff": true, "support": true, "owner": true, // the first two see everything, the owner manages the scope
					"reader":   offered, // sees it in the list, but holds no role in the scope and does not manage it
					"manager":  offered || inApollo,
					"member":   offered || inApollo, // holds a role in the scope
					"stranger": offered || inApollo,
					"sibling":  offered || !inApollo,
					"rival":    offered,
					"invitee":  offered,
				} {
					require.Equal(e.t, sees, e.seesDetails(user, id), user)
				}
			})
		}
	}, onlyStaff)
}

func TestDetailsWithCivilNumber(t *testing.T) {
	onEachEngine(t, func(e *env) {
		theirs := e.create("owner", "x@x.example", admin, apollo, "civil_number", " 1234 ")
		other := e.create("owner", "invitee@university.example", member, apollo, "civil_number", "12345")
		for user, expected := range map[string][2]bool{
			"invitee": {true, false}, "stranger": {false, false}, "rival": {false, false}, "reader": {false, false},
			"member": {true, true}, "manager": {true, true}, "owner": {true, true}, "staff": {true, true}, "support": {true, true},
		} {
			require.Equal(e.t, expected, [2]bool{e.seesDetails(user, theirs.UUID), e.seesDetails(user, other.UUID)}, user)
		}
	})
}

func TestDetailsWithEmailValidation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		theirs := e.create("owner", "INVITEE@university.EXAMPLE", admin, apollo)
		civil := e.create("owner", "invitee@university.example", member, apollo, "civil_number", "99")
		other := e.create("owner", "x@x.example", admin, apollo, "civil_number", "1234")
		for user, expected := range map[string][3]bool{
			"invitee": {true, false, false}, "stranger": {}, "reader": {},
			"member": {true, true, true}, "owner": {true, true, true}, "support": {true, true, true},
		} {
			require.Equal(e.t, expected,
				[3]bool{e.seesDetails(user, theirs.UUID), e.seesDetails(user, civil.UUID), e.seesDetails(user, other.UUID)}, user)
		}
	}, validateEmail)
}

func TestDetailsForManagers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(moreRoles)
		planned := e.create("staff", "a@x.example", admin, artemis)
		for user, sees := range map[string]bool{
			"founder": true, "planner": true, // manage it, but do not see it in the list
			"seller": false, "lister": false, "inviter": false, "former": false, "invitee": false,
		} {
			require.Equal(e.t, sees, e.seesDetails(user, planned.UUID), user)
		}
	})
}

// A removed scope has no managers, but its members still see its invitations.
func TestDetailsInRemovedScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		planned := e.create("staff", "a@x.example", admin, artemis)
		e.applyReplaced("uuid: "+artemis, "uuid: "+artemis+"\n        is_removed: true")
		for user, sees := range map[string]bool{
			"staff": true, "support": true, "owner": false, "sibling": true, // holds a role there
		} {
			require.Equal(e.t, sees, e.seesDetails(user, planned.UUID), user)
		}
	})
}

func TestDetailsNotFound(t *testing.T) {
	onEachEngine(t, func(e *env) {
		require.False(e.t, e.seesDetails("staff", uuid.New()))
		e.request("GET", at("nonsense", "details"), "staff", nil).is(http.StatusNotFound, notFound)
	})
}
