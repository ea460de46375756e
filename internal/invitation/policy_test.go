package invitation

import (
	"fmt"
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
	for _, s := range situations {
		v := viewNow(s.row)
		inScope := s.row.ScopeUUID == project.UUID
		for name, each := range map[string]struct {
			to   directory.Visibility
			want bool
		}{
			"all":              {directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, true},
			"nothing":          {directory.Visibility{}, false},
			"the project":      {directory.Visibility{ScopeSet: directory.ScopeSet{Scopes: []uuid.UUID{project.UUID}}}, inScope},
			"the customer":     {directory.Visibility{ScopeSet: directory.ScopeSet{Customers: []uuid.UUID{customer.UUID}}}, true},
			"another scope":    {directory.Visibility{ScopeSet: directory.ScopeSet{Scopes: []uuid.UUID{testID(29)}}}, false},
			"the address":      {directory.Visibility{Email: people.guest.EmailFolded}, s.state == Pending || s.state == Project},
			"another address":  {directory.Visibility{Email: people.staff.EmailFolded}, false},
			"another's, scope": {directory.Visibility{Email: people.staff.EmailFolded, ScopeSet: directory.ScopeSet{All: true}}, true},
		} {
			require.Equal(t, each.want, v.isVisible(each.to), fmt.Sprintf("%s: %s", s.name, name))
		}
	}
	// A user without an address is no invitee, not even of a row without an address.
	row := pendingInvitation()
	row.Email, row.EmailFolded = "", ""
	require.False(t, viewNow(row).isVisible(directory.Visibility{}))
}
