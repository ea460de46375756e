package api_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

func validateEmail(p *invitation.Policy) { p.ValidateEmail = true }

// details asks for the details of an invitation and tells whether they are shown.
func (w *world) details(user string, id uuid.UUID) bool {
	w.t.Helper()
	answer := w.request("GET", at(id.String(), "details"), user, nil)
	if answer.Status == http.StatusOK {
		return true
	}
	answer.is(http.StatusNotFound, notFound)
	return false
}

func TestDetailsSayWhatIsOffered(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "Anna@Alpha.example", admin, apollo, "full_name", "Anna", "extra_invitation_text", "Hi")
		w.request("GET", at(made.UUID.String(), "details"), "stranger", nil).is(http.StatusOK, `{
			"scope_uuid": "`+apollo+`", "scope_name": "Apollo", "scope_description": "To the moon",
			"scope_type": "project", "customer_uuid": "`+acme+`", "customer_name": "Acme",
			"role_name": "PROJECT.ADMIN", "role_description": "System administrator",
			"created_by_full_name": "Olivia Owner", "created_by_username": "owner",
			"created_by_image": "https://example.com/olivia.png",
			"email": "Anna@Alpha.example", "error_message": "", "execution_state": "Scheduled", "state": "pending"}`)
	})
}

func TestWhoSeesDetailsInEachState(t *testing.T) {
	inEachWorld(t, func(w *world) {
		all := everyState(w) // by it the stranger has come to be a member of apollo
		for state, id := range all {
			w.run(state, func(w *world) {
				offered := state == "pending" || state == "expired" || state == "canceled"
				inApollo := state != "project"
				for user, sees := range map[string]bool{
					"staff": true, "support": true, "owner": true, // see all, see all, may manage
					"reader":   offered, // sees it in the list, but holds no role in the scope and may not manage
					"manager":  offered || inApollo,
					"member":   offered || inApollo, // holds a role in the scope
					"stranger": offered || inApollo,
					"sibling":  offered || !inApollo,
					"rival":    offered,
					"invitee":  offered,
				} {
					require.Equal(w.t, sees, w.details(user, id), user)
				}
			})
		}
	}, onlyStaff)
}

func TestDetailsOfAnInvitationWithACivilNumber(t *testing.T) {
	inEachWorld(t, func(w *world) {
		theirs := w.create("owner", "x@x.example", admin, apollo, "civil_number", " 1234 ")
		other := w.create("owner", "invitee@university.example", member, apollo, "civil_number", "12345")
		for user, expected := range map[string][2]bool{
			"invitee": {true, false}, "stranger": {false, false}, "rival": {false, false}, "reader": {false, false},
			"member": {true, true}, "manager": {true, true}, "owner": {true, true}, "staff": {true, true}, "support": {true, true},
		} {
			require.Equal(w.t, expected, [2]bool{w.details(user, theirs.UUID), w.details(user, other.UUID)}, user)
		}
	})
}

func TestDetailsWhereTheEmailIsEnforced(t *testing.T) {
	inEachWorld(t, func(w *world) {
		theirs := w.create("owner", "INVITEE@university.EXAMPLE", admin, apollo)
		civil := w.create("owner", "invitee@university.example", member, apollo, "civil_number", "99")
		other := w.create("owner", "x@x.example", admin, apollo, "civil_number", "1234")
		for user, expected := range map[string][3]bool{
			"invitee": {true, false, false}, "stranger": {}, "reader": {},
			"member": {true, true, true}, "owner": {true, true, true}, "support": {true, true, true},
		} {
			require.Equal(w.t, expected,
				[3]bool{w.details(user, theirs.UUID), w.details(user, civil.UUID), w.details(user, other.UUID)}, user)
		}
	}, validateEmail)
}

func TestDetailsByWhatOneMayManage(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(moreRoles)
		planned := w.create("staff", "a@x.example", admin, artemis)
		for user, sees := range map[string]bool{
			"founder": true, "planner": true, // manage it, though they do not see it in a list
			"seller": false, "lister": false, "inviter": false, "former": false, "invitee": false,
		} {
			require.Equal(w.t, sees, w.details(user, planned.UUID), user)
		}
	})
}

// A removed scope has no managers, but its invitations are still there.
func TestDetailsOfARemovedScope(t *testing.T) {
	inEachWorld(t, func(w *world) {
		planned := w.create("staff", "a@x.example", admin, artemis)
		w.rewrite("uuid: "+artemis, "uuid: "+artemis+"\n        is_removed: true")
		for user, sees := range map[string]bool{
			"staff": true, "support": true, "owner": false, "sibling": true, // holds a role there
		} {
			require.Equal(w.t, sees, w.details(user, planned.UUID), user)
		}
	})
}

func TestDetailsOfWhatIsNotThere(t *testing.T) {
	inEachWorld(t, func(w *world) {
		require.False(w.t, w.details("staff", uuid.New()))
		w.request("GET", at("nonsense", "details"), "staff", nil).is(http.StatusNotFound, notFound)
	})
}
