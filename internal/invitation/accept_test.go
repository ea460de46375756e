package invitation

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// An acceptance holds the arguments of accept: a guest, an invitation that is offered to them, and the policy.
type acceptance struct {
	policy     Policy
	row        Invitation
	user       directory.Actor
	hasManager bool
}

func newAcceptance() acceptance {
	return acceptance{policy: testPolicy, row: pendingInvitation(), user: directory.Actor{User: people.guest}}
}

func (a acceptance) decide() (Change, error) {
	return a.policy.accept(a.policy.view(a.row, testTime), a.user, a.row.Scope.RefusesEmail(a.user.Email), a.hasManager, testTime)
}

func (a *acceptance) grant(role, scope uuid.UUID) {
	a.user.Grants = append(a.user.Grants, directory.Grant{RoleUUID: role, ScopeUUID: scope})
}

// acceptRules are the rules of accept in the order in which accept applies them: a way to break each, and the refusal.
var acceptRules = []struct {
	name    string
	breaks  func(*acceptance)
	refusal string
}{
	{
		"the user does not hold the role",
		func(a *acceptance) { a.grant(testRole.UUID, a.row.ScopeUUID) },
		"User has already the same role in this scope.",
	}, {
		"the strict check finds the same address",
		func(a *acceptance) {
			a.policy.StrictCheck, a.row.Email, a.row.EmailFolded = true, otherEmail, directory.FoldEmail(otherEmail)
		},
		"User’s email and email of the invitation are not equal.",
	}, {
		"the user holds no other role where one is allowed",
		func(a *acceptance) {
			a.policy.DisableMultipleRoles = true
			a.grant(testID(11), a.row.ScopeUUID)
			a.grant(testID(11), testID(22))
		},
		"User already has role within this scope.",
	}, {
		"the scope admits the user's address",
		func(a *acceptance) { a.row.Scope.UserEmailPatterns = []string{`.*@globex\.example`} },
		"User email, affiliation, or identity source does not match the project restrictions.",
	}, {
		"the role is active",
		func(a *acceptance) { a.row.Role.IsActive = false },
		"Role is not active.",
	}, {
		"the project has no manager where one is allowed",
		func(a *acceptance) { a.hasManager = true },
		"Project already has an active project manager.",
	},
}

// Each rule alone refuses the invitation, and of two rules that are broken the first one does.
func TestAcceptAppliesItsRulesInOrder(t *testing.T) {
	t.Parallel()
	for n, first := range acceptRules {
		for _, second := range acceptRules[n:] {
			a := newAcceptance()
			second.breaks(&a)
			first.breaks(&a)
			change, err := a.decide()
			require.Equal(t, error(fault.Rejected(first.refusal)), err, "broken: %s; %s", first.name, second.name)
			require.Equal(t, Change{}, change, first.name)
		}
	}
}

// What the rules do not forbid is accepted.
func TestAcceptAllows(t *testing.T) {
	t.Parallel()
	otherRole, otherScope := testID(11), testID(22)
	for name, allow := range map[string]func(*acceptance){
		"anything that no rule forbids":            func(*acceptance) {},
		"another address without the strict check": func(a *acceptance) { a.user.EmailFolded = "other@acme.example" },
		"the same address with the strict check":   func(a *acceptance) { a.policy.StrictCheck = true },
		"another role in the scope":                func(a *acceptance) { a.grant(otherRole, a.row.ScopeUUID) },
		"the same role in another scope":           func(a *acceptance) { a.grant(testRole.UUID, otherScope) },
		"a role elsewhere where one is allowed in each": func(a *acceptance) {
			a.policy.DisableMultipleRoles = true
			a.grant(otherRole, otherScope)
		},
		"an address that scope and customer admit": func(a *acceptance) {
			a.row.Scope.UserEmailPatterns = []string{`.*@acme\.example`}
		},
		"an invitation whose creator was deleted": func(a *acceptance) { a.row = withoutCreator(a.row) },
	} {
		a := newAcceptance()
		allow(&a)
		change, err := a.decide()
		require.NoError(t, err, name)
		require.Equal(t, isAccepted.wantChange(ActionAccept, a.policy, a.row, &people.guest), withoutRandom(t, change, a.row), name)
	}
}

// The pattern of the customer refuses an address too.
func TestAcceptChecksTheCustomersPatterns(t *testing.T) {
	t.Parallel()
	a := newAcceptance()
	a.row.Scope.Customer.UserEmailPatterns = []string{`.*@globex\.example`}
	_, err := a.decide()
	const refusal = "User email, affiliation, or identity source does not match the customer restrictions."
	require.Equal(t, error(fault.Rejected(refusal)), err)
}

// An invitation is meant for whoever has the link, unless it names a civil number or the policy asks for the address.
// Whoever has only the UUID needs the address.
func TestMeantFor(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		civilNumber      string // "": none, "same": the user's, otherwise somebody else's
		byLink           bool
		validateEmail    bool
		sameEmail, meant bool
	}{
		{"", true, false, false, true},
		{"", true, false, true, true},
		{"", true, true, false, false},
		{"", true, true, true, true},
		{"", false, false, false, false},
		{"", false, false, true, true},
		{"", false, true, false, false},
		{"", false, true, true, true},

		{"same", true, false, false, true},
		{"same", true, false, true, true},
		{"same", true, true, false, false},
		{"same", true, true, true, true},
		{"same", false, false, false, false},
		{"same", false, false, true, true},

		{"other", true, false, false, false},
		{"other", true, false, true, false},
		{"other", true, true, true, false},
		{"other", false, false, true, false},
	} {
		p, row := testPolicy, pendingInvitation()
		p.ValidateEmail = each.validateEmail
		row.CivilNumber = each.civilNumber
		if each.civilNumber == "same" {
			row.CivilNumber = people.guest.CivilNumber
		}
		if !each.sameEmail {
			row.Email, row.EmailFolded = otherEmail, directory.FoldEmail(otherEmail)
		}
		require.Equal(t, each.meant, p.meantFor(row, each.byLink, people.guest), "%+v", each)
		require.Equal(t, each.meant, p.offered(viewNow(row), each.byLink, people.guest), "%+v", each)
	}

	// A user without a civil number is not meant by an invitation that names one.
	row, anonymous := pendingInvitation(), people.guest
	row.CivilNumber, anonymous.CivilNumber = "38001085718", ""
	require.False(t, testPolicy.meantFor(row, true, anonymous))
}

// An invitation that is not pending, or whose scope was removed, is offered to nobody.
func TestOffered(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		_, accepts := s.allows[ActionAccept]
		require.Equal(t, accepts, testPolicy.offered(viewNow(s.row), true, people.guest), s.name)
	}
}
