package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// Invitations and events of the version before are not declined and have no reason, and a replica of that version goes on
// writing.
func TestMigrationOfDeclines(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		db, address := openAt(t, engine, 16)
		e := &env{t: t, url: address, db: db, outside: outside(t, address)}
		require.NoError(t, e.exec(`INSERT INTO roles (uuid, name, description, scope_type, is_active)
			VALUES ('%s', 'PROJECT.ADMIN', '', 'project', true)`, adminRoleID))
		for _, id := range []uuid.UUID{customerID, projectID} {
			kind := map[uuid.UUID]string{customerID: "customer", projectID: "project"}[id]
			require.NoError(t, e.exec(`INSERT INTO scopes (uuid, type, name, name_folded, description, description_folded, customer_uuid, is_removed, created)
				VALUES ('%s', '%s', 'A', 'a', '', '', '%s', false, '2026-11-23T09:30:00.000000Z')`, id, kind, customerID))
		}
		ids := map[string]uuid.UUID{"pending": uuid.New(), "canceled": uuid.New(), "expired": uuid.New()}
		write := func(state string) {
			id := ids[state]
			require.NoError(t, e.exec(`INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message, reminded, role_uuid,
				scope_uuid, customer_uuid, email, email_folded, full_name, native_name, phone_number, organization, job_title, civil_number, extra_invitation_text)
				VALUES ('%s', '%s', '2026-11-23T09:30:00.000000Z', 0, 'OK', '', false, '%s', '%s', '%s', 'a@x.example', 'a@x.example', '', '', '', '', '', '', '')`,
				id, state, adminRoleID, projectID, customerID))
			require.NoError(t, e.exec(`INSERT INTO invitation_events (invitation_uuid, created, event_type, user_username, user_full_name, from_state, to_state,
				email, role_uuid, role_name, execution_state, error_message, notice, channel, recipient, request_id)
				VALUES ('%s', '2026-11-23T09:30:00.000000Z', 'created', '', '', '', '%s', 'a@x.example', '%s', 'PROJECT.ADMIN', 'OK', '', '', '', '', '')`,
				id, state, adminRoleID))
		}
		write("pending")
		write("canceled")
		_, err := db.Migrate(t.Context())
		require.NoError(t, err)
		write("expired")
		require.NoError(t, db.Invitations().Read(t.Context(), func(tx invitation.Tx) error {
			for state, id := range ids {
				found, err := tx.Find(id)
				require.NoError(t, err)
				require.EqualValues(t, state, found.StoredState)
				require.Nil(t, found.DeclinedAt)
				require.Empty(t, found.DeclineReason)
				require.Nil(t, found.RenewalAskedAt)
				created, err := tx.FindEvent(id, time.Time{}, invitation.EventCreated)
				require.NoError(t, err)
				require.Empty(t, created.Reason)
			}
			return nil
		}))
		// The migrated rows can be declined.
		require.NoError(t, db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
			before, err := tx.FindForChange(ids["pending"])
			declined := before
			declined.StoredState, declined.DeclinedAt, declined.DeclineReason = invitation.Canceled, new(tx.Now()), "No."
			return []invitation.Change{{Before: &before, After: &declined}}, err
		}))
		require.Equal(t, "No.", e.mustFind(ids["pending"]).DeclineReason)
	})
}

// FindEvent finds the oldest event of the types and the time.
func TestFindEvent(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		clock := storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))
		db := storetest.Open(t, e.url, clock.Now)
		id, other := uuid.New(), uuid.New()
		for n, kind := range []invitation.EventType{
			invitation.EventApproved, invitation.EventCanceled, invitation.EventRejected, invitation.EventApproved,
		} {
			require.NoError(t, db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
				event := newEvent(id, kind)
				event.Reason = fmt.Sprint(n)
				return []invitation.Change{{Event: event}, {Event: newEvent(other, kind)}}, nil
			}))
			clock.Advance(time.Minute)
		}
		start := clock.Now().Add(-4 * time.Minute)
		for _, each := range []struct {
			since time.Time
			types []invitation.EventType
			want  string // the reason; empty: none
		}{
			{time.Time{}, []invitation.EventType{invitation.EventApproved, invitation.EventRejected}, "0"},
			{start, []invitation.EventType{invitation.EventApproved, invitation.EventRejected}, "0"},
			{start.Add(time.Microsecond), []invitation.EventType{invitation.EventApproved, invitation.EventRejected}, "2"},
			{start.Add(time.Microsecond), []invitation.EventType{invitation.EventApproved}, "3"},
			{start.Add(3*time.Minute + time.Microsecond), []invitation.EventType{invitation.EventApproved}, ""},
			{time.Time{}, []invitation.EventType{invitation.EventDeclined}, ""},
		} {
			require.NoError(t, db.Invitations().Read(t.Context(), func(tx invitation.Tx) error {
				found, err := tx.FindEvent(id, each.since, each.types...)
				require.Equal(t, each.want == "", fault.Is(err, fault.KindNotFound), each)
				require.Equal(t, each.want, found.Reason, each)
				if each.want != "" {
					require.NoError(t, err)
					require.Equal(t, time.UTC, found.Created.Location())
				}
				return nil
			}))
		}
	})
}
