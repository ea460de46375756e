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
			end   time.Duration // from now to the fixed end; zero: there is none
		}{
			"project, its end has passed":          {invitation.Project, time.Hour, "", false, -time.Microsecond},
			"project, its end is to come":          {invitation.Project, 48 * time.Hour, "", true, time.Hour},
			"pending, ended a short time ago":      {invitation.Pending, 48 * time.Hour, "", true, time.Microsecond - 12*time.Hour},
			"pending, ended a long time ago":       {invitation.Pending, 13 * time.Hour, "", false, -12 * time.Hour},
			"expired, its end is a short time ago": {invitation.Expired, 48 * time.Hour, invitation.Pending, true, -time.Hour},
			"expired, its end is a long time ago":  {invitation.Expired, 13 * time.Hour, invitation.Pending, false, -12 * time.Hour},

			"project":                    {invitation.Project, time.Hour, "", true, 0},
			"project, old":               {invitation.Project, 48 * time.Hour, "", true, 0},
			"pending":                    {invitation.Pending, time.Hour, "", true, 0},
			"pending, old":               {invitation.Pending, 48 * time.Hour, "", false, 0},
			"requested":                  {invitation.Requested, time.Hour, "", false, 0},
			"rejected":                   {invitation.Rejected, time.Hour, "", false, 0},
			"canceled":                   {invitation.Canceled, time.Hour, "", false, 0},
			"expired":                    {invitation.Expired, time.Hour, invitation.Pending, true, 0},
			"expired, old":               {invitation.Expired, 48 * time.Hour, invitation.Pending, false, 0},
			"expired request":            {invitation.Expired, time.Hour, invitation.Requested, false, 0},
			"expired in its life before": {invitation.Expired, 0, invitation.Pending, false, 0},
		} {
			i := e.newInvitation("ina@university.example")
			i.StoredState, i.Created = test.state, clock.Now().Add(-test.age)
			if test.end != 0 {
				i.ExpiresAt = new(clock.Now().Add(test.end))
			}
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
				got, err := tx.WasInvited(i.EmailFolded, clock.Now().Add(-12*time.Hour), 12*time.Hour)
				require.Equal(t, test.want, got, name)
				return err
			}))
			require.NoError(t, db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
				return []invitation.Change{{Before: &i}}, nil
			}))
		}
	})
}
