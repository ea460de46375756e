package invitation_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
)

func TestStateIsComputedFromTime(t *testing.T) {
	t.Parallel()
	const life = 7 * 24 * time.Hour
	created := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	start := time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)
	past := created.Add(-time.Hour)
	project := directory.Scope{Type: directory.Project, UUID: uuid.New()}

	for _, each := range []struct {
		name    string
		state   invitation.State
		start   *time.Time
		expires time.Time
		after   invitation.State
	}{
		{"pending", invitation.Pending, nil, created.Add(life), invitation.Expired},
		{"pending, its project started before", invitation.Pending, &past, created.Add(life), invitation.Expired},
		{"project", invitation.Project, &start, start.Add(life), invitation.Project},
		{"project, its start date was taken away", invitation.Project, nil, created.Add(life), invitation.Project},
		{"requested", invitation.Requested, nil, created.Add(life), invitation.Expired},
		{"accepted", invitation.Accepted, nil, created.Add(life), invitation.Accepted},
		{"canceled", invitation.Canceled, nil, created.Add(life), invitation.Canceled},
		{"rejected", invitation.Rejected, nil, created.Add(life), invitation.Rejected},
	} {
		scope := project
		scope.StartDate = each.start
		i := invitation.Invitation{StoredState: each.state, Created: created, Scope: scope}
		require.Equal(t, each.expires, i.Expires(life), each.name)
		require.Equal(t, each.state, i.StateAt(each.expires.Add(-time.Microsecond), life), each.name)
		require.Equal(t, each.after, i.StateAt(each.expires, life), each.name)
	}

	customer := directory.Scope{Type: directory.Customer, StartDate: &start}
	i := invitation.Invitation{StoredState: invitation.Pending, Created: created, Scope: customer}
	require.Equal(t, created.Add(life), i.Expires(life), "only projects have a start")
}
