package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/lifecycle"
	"invited/internal/storetest"
)

// A sweep deletes old events that nobody waits for, however many are in front of them, and says how far. What was sent to the
// webhook is deleted with its event, and what is still to be sent stays until it was.
func TestOldEventsAreDeleted(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		const retention = 30 * 24 * time.Hour
		clock := storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))
		e.db = storetest.Open(t, e.url, clock.Now)
		s := &lifecycle.Service{Store: e.db.Lifecycle(), Retention: retention}
		waiting, sent := uuid.New(), uuid.New()
		for range 120 { // more than a batch, in front of all
			e.write(invitation.EventCreated, waiting)
		}
		e.write(invitation.EventCreated, sent)
		e.write(invitation.EventRefused, sent) // not sent
		assignPositions(t, s)
		finish := func(id uuid.UUID) {
			next, err := s.Next(t.Context(), lifecycle.Deliver{Invitation: id})
			require.NoError(t, err)
			_, _, err = s.Finish(t.Context(), *next, false)
			require.NoError(t, err)
		}
		finish(sent)
		group := func() {
			require.NoError(t, e.db.Joining().Change(t.Context(), func(joining.Tx) ([]joining.Change, error) {
				return []joining.Change{{Event: &joining.Event{GroupInvitationUUID: sent, Type: joining.EventCreated}}}, nil
			}))
		}
		for range 101 {
			group()
		}
		e.write(invitation.EventUpdated, sent) // has no position
		require.NoError(t, s.Sweep(t.Context()))
		clock.Advance(retention)
		require.NoError(t, s.Sweep(t.Context()))
		require.Equal(t, 123, e.count("SELECT count(*) FROM invitation_events"), "nothing is older than the retention")

		clock.Advance(time.Second)
		e.write(invitation.EventExpired, sent)
		group()
		require.NoError(t, (&lifecycle.Service{Store: e.db.Lifecycle()}).Sweep(t.Context()))
		require.Equal(t, 124, e.count("SELECT count(*) FROM invitation_events"), "without a retention everything is kept")
		deleted := func() int64 {
			position, err := s.DeletedThrough(t.Context())
			require.NoError(t, err)
			return position
		}
		require.Zero(t, deleted())

		require.NoError(t, s.Sweep(t.Context()))
		require.Equal(t, 122, e.count("SELECT count(*) FROM invitation_events"))
		require.Equal(t, []string{"expired", "updated"}, e.texts("SELECT event_type FROM invitation_events WHERE invitation_uuid = '"+
			sent.String()+"' ORDER BY event_type"))
		require.Equal(t, int64(122), deleted())
		require.Equal(t, 1, e.count("SELECT count(*) FROM group_invitation_events"))
		require.Zero(t, e.count("SELECT count(*) FROM event_deliveries WHERE state = 'sent'"))

		// What waited is deleted as soon as it was sent, and what had no position as soon as it has been. No position comes
		// again.
		finish(waiting)
		_, err := s.AssignPositions(t.Context(), false)
		require.NoError(t, err)
		require.NoError(t, s.Sweep(t.Context()))
		require.Equal(t, 120, e.count("SELECT count(*) FROM invitation_events"))
		require.Equal(t, int64(123), deleted())
		found, err := e.db.Lifecycle().ListFeed(t.Context(), uuid.New(), lifecycle.Query{After: 120, Limit: 10})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, int64(124), *found[0].Position)
	})
}

// A sweep that deletes nothing reads one part of the events, however many there are.
func TestOldEventsAreFoundByTheirIDs(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id := uuid.New()
		e.write(invitation.EventCreated, id)
		require.NoError(t, e.db.Joining().Change(t.Context(), func(joining.Tx) ([]joining.Change, error) {
			return []joining.Change{{Event: &joining.Event{GroupInvitationUUID: id, Type: joining.EventCreated}}}, nil
		}))
		if e.postgres {
			for _, table := range []string{"invitation_events", "group_invitation_events"} {
				columns := strings.Join(e.texts("SELECT column_name FROM information_schema.columns WHERE table_name = '"+table+
					"' AND column_name NOT IN ('id', 'position')"), ", ")
				require.NoError(t, e.exec("INSERT INTO %s (%s) SELECT %s FROM %s, generate_series(1, 5000)", table, columns, columns, table))
			}
			require.NoError(t, e.exec("ANALYZE"))
		}
		for _, table := range []string{"invitation_events", "group_invitation_events"} {
			query := "SELECT id, created FROM " + table + " WHERE id > 0 ORDER BY id LIMIT 100"
			var plan string
			if e.postgres {
				plan = strings.Join(e.texts("EXPLAIN "+query), "\n")
			} else {
				plan = e.plan(query)
			}
			require.NotContains(t, plan, "Sort")
			require.NotContains(t, plan, "TEMP B-TREE")
			if e.postgres {
				require.Contains(t, plan, table+"_pkey")
			} else {
				require.Contains(t, plan, "SEARCH "+table+" USING INTEGER PRIMARY KEY")
			}
		}
	})
}

// The feed of the version before has lost nothing.
func TestMigrationCountsNoEventAsDeleted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		db, address := openAt(t, engine, 28)
		e := &env{t: t, url: address, db: db, outside: outside(t, address)}
		require.NoError(t, e.exec("UPDATE event_feed SET position = 7"))
		_, err := db.Migrate(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"7 0"}, e.texts("SELECT CAST(position AS text) || ' ' || CAST(deleted AS text) FROM event_feed"))
		require.NoError(t, e.exec("UPDATE event_feed SET position = 8"), "as a replica of the version before does")
	})
}
