package invitation

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
)

// Two policies depend on who else is a member; no other does.
func TestDependsOnMembers(t *testing.T) {
	t.Parallel()
	others := Policy{
		OnlyStaffCanInvite: true, ValidateEmail: true, StrictCheck: true, CreateMissingUser: true, UseWebhooks: true,
	}
	for _, multiple := range onOff {
		for _, manager := range onOff {
			p := others
			p.DisableMultipleRoles, p.OneProjectManager = multiple, manager
			require.Equal(t, multiple || manager, p.dependsOnMembers(), "%+v", p)
		}
	}
}

// An invitation is visible in the scopes of a visibility, and to the invitee while it waits for them.
func TestIsVisible(t *testing.T) {
	t.Parallel()
	project, customer := testProject(), testCustomer()
	inScopes := func(scopes ...uuid.UUID) directory.Visibility {
		return directory.Visibility{ScopeSet: directory.ScopeSet{Scopes: scopes}}
	}
	ofCustomers := func(customers ...uuid.UUID) directory.Visibility {
		return directory.Visibility{ScopeSet: directory.ScopeSet{Customers: customers}}
	}
	everything := directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}
	guest := directory.Visibility{Email: people.guest.EmailFolded}
	other := directory.Visibility{Email: people.staff.EmailFolded}
	for _, s := range situations {
		v := viewNow(s.row)
		for name, each := range map[string]struct {
			to   directory.Visibility
			want bool
		}{
			"everything":             {everything, true},
			"nothing":                {directory.Visibility{}, false},
			"the project":            {inScopes(project.UUID), s.row.ScopeUUID == project.UUID},
			"the customer":           {ofCustomers(customer.UUID), true},
			"another scope":          {inScopes(testID(29)), false},
			"the invitee's address":  {guest, (s.state == Pending || s.state == Project) && !s.row.Scope.Removed()},
			"another address":        {other, false},
			"everything, an address": {directory.Visibility{ScopeSet: everything.ScopeSet, Email: other.Email}, true},
		} {
			require.Equal(t, each.want, v.isVisible(each.to), "%s: %s", s.name, name)
		}
	}
	// A user without an address is no invitee, not even of a row without an address.
	row := pendingInvitation()
	row.Email, row.EmailFolded = "", ""
	require.False(t, viewNow(row).isVisible(directory.Visibility{}))
}

// The details are shown to the invitee until somebody accepts, and to whoever belongs to the scope at any time.
func TestMaySeeDetails(t *testing.T) {
	t.Parallel()
	support, stranger := people.guest, people.guest
	support.IsSupport = true
	for _, s := range situations {
		v := viewNow(s.row)
		v.CivilNumber = people.creator.CivilNumber
		grant := directory.Grant{ScopeUUID: v.ScopeUUID, ScopeType: v.Scope.Type, CustomerUUID: v.CustomerUUID}
		manages := directory.Grant{
			ScopeUUID: v.CustomerUUID, ScopeType: directory.Customer, CustomerUUID: v.CustomerUUID,
			Permissions: []string{directory.CustomerCreatePermission},
		}
		shown := s.state == Pending || s.state == Expired || s.state == Canceled
		managed := !v.Scope.Removed() // nobody manages a removed scope
		for name, each := range map[string]struct {
			user directory.Actor
			want bool
		}{
			"staff":              {directory.Actor{User: people.staff}, true},
			"support":            {directory.Actor{User: support}, true},
			"the invitee":        {directory.Actor{User: people.creator}, shown},
			"a member":           {directory.Actor{User: stranger, Grants: []directory.Grant{grant}}, true},
			"somebody else":      {directory.Actor{User: stranger}, false},
			"a customer's owner": {directory.Actor{User: stranger, Grants: []directory.Grant{manages}}, managed},
		} {
			require.Equal(t, each.want, testPolicy.maySeeDetails(v, true, each.user), "%s: %s", s.name, name)
		}
		// Whoever has only the UUID needs the address.
		require.False(t, testPolicy.maySeeDetails(v, false, directory.Actor{User: people.creator}), s.name)
	}
}
