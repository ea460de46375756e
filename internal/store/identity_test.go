package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// An invitation that waits for its invitee, or waited for them when it expired, opens an account. A request that staff never
// approved opens none, and neither does an invitation of long ago.
func TestWasInvited(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		clock := storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))
		db := storetest.Open(t, e.url, clock.Now)
		for name, test := range map[string]struct {
			state invitation.State
			age   time.Duration
			ended invitation.State // of the event that says, now, that the invitation expired; empty: there is none
			want  bool
		}{
			"project":                    {invitation.Project, time.Hour, "", true},
			"project, old":               {invitation.Project, 48 * time.Hour, "", true},
			"pending":                    {invitation.Pending, time.Hour, "", true},
			"pending, old":               {invitation.Pending, 48 * time.Hour, "", false},
			"requested":                  {invitation.Requested, time.Hour, "", false},
			"rejected":                   {invitation.Rejected, time.Hour, "", false},
			"canceled":                   {invitation.Canceled, time.Hour, "", false},
			"expired":                    {invitation.Expired, time.Hour, invitation.Pending, true},
			"expired, old":               {invitation.Expired, 48 * time.Hour, invitation.Pending, false},
			"expired request":            {invitation.Expired, time.Hour, invitation.Requested, false},
			"expired in its life before": {invitation.Expired, 0, invitation.Pending, false},
		} {
			i := e.newInvitation("ina@university.example")
			i.StoredState, i.Created = test.state, clock.Now().Add(-test.age)
			ended := newEvent(i.UUID, invitation.EventExpired)
			ended.FromState, ended.ToState = test.ended, invitation.Expired
			change := invitation.Change{After: &i}
			if test.ended != "" {
				change.Event = ended
			}
			require.NoError(t, db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
				return []invitation.Change{change}, nil
			}))
			require.NoError(t, db.Identities().Read(t.Context(), func(tx identity.Tx) error {
				got, err := tx.WasInvited(i.EmailFolded, clock.Now().Add(-24*time.Hour))
				require.Equal(t, test.want, got, name)
				return err
			}))
			require.NoError(t, db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
				return []invitation.Change{{Before: &i}}, nil
			}))
		}
	})
}
