package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// A batch is swept in no more statements than one invitation, and each has the event and the notice that it has alone.
func TestSweepingManyTakesNoMoreStatementsThanOne(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		clock, count := storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 500_000_000, time.UTC)), &storetest.Statements{}
		db := count.Open(t, p.url, database.Options{Clock: clock.Now})
		service := &invitation.Service{Store: db.Invitations(), Policy: invitation.Policy{Lifetime: time.Hour}}
		var took []int
		var jobs int
		for _, many := range []int{1, 40} {
			made := make([]invitation.Invitation, many)
			for i := range made {
				one := p.draft(fmt.Sprintf(`"%d"<é>@university.example`, i))
				one.Created, one.Delivery, one.ErrorMessage = clock.Now().Add(time.Duration(i)), i, `a "reason"`
				one.ExecutionState = []invitation.ExecutionState{invitation.OK, invitation.Erred}[i%2]
				if i%3 == 2 {
					link := uuid.New()
					one.LinkUUID = &link
				}
				p.insert(one)
				made[i] = one
			}
			clock.Advance(time.Hour + time.Second)
			count.Take()
			require.NoError(t, service.Sweep(t.Context()))
			took = append(took, len(count.Take()))
			for _, one := range made {
				found, err := p.find(one.UUID)
				require.NoError(t, err)
				require.Equal(t, invitation.Expired, found.StoredState)
				require.Equal(t, one.LinkUUID, found.LinkUUID)
				require.WithinDuration(t, one.Created, found.Created, time.Microsecond)
				event := p.lastEvent(one.UUID)
				require.Equal(t, invitation.Event{
					ID: event.ID, InvitationUUID: one.UUID, Created: clock.Now(), Type: invitation.EventExpired,
					FromState: invitation.Pending, ToState: invitation.Expired, Email: one.Email, RoleUUID: plotRole, RoleName: "PROJECT.ADMIN",
					ExecutionState: one.ExecutionState, ErrorMessage: one.ErrorMessage,
				}, event)
			}
			jobs += many
			require.Len(t, storetest.Jobs(t, db, invitation.Notify{}.Kind()), jobs)
		}
		require.NotZero(t, took[0])
		require.Equal(t, took[0], took[1])
	})
}

// lastEvent is the newest event of an invitation.
func (p *plot) lastEvent(id uuid.UUID) (last invitation.Event) {
	p.t.Helper()
	require.NoError(p.t, p.db.Read(p.t.Context(), func(tx *store.Tx) error {
		found, _, err := tx.Events(id, directory.Window{Limit: 1})
		require.Len(p.t, found, 1)
		last = found[0]
		return err
	}))
	return last
}

// Of a batch with a row that is not what it was, all is told to be given up.
func TestABatchIsWrittenAsAWhole(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		for name, move := range map[string]func(*invitation.Invitation){
			"state":           func(i *invitation.Invitation) { i.StoredState = invitation.Project },
			"delivery":        func(i *invitation.Invitation) { i.Delivery++ },
			"execution state": func(i *invitation.Invitation) { i.ExecutionState = invitation.Processing },
			"gone":            func(i *invitation.Invitation) { i.UUID = uuid.New() },
		} {
			var changes []invitation.Change
			for i := range 3 {
				one := p.draft(fmt.Sprintf("%d.%s@university.example", i, name))
				p.insert(one)
				to := one
				to.StoredState, to.Reminded = invitation.Expired, true
				changes = append(changes, invitation.Change{Old: one, Changed: to, Event: invitation.Event{InvitationUUID: one.UUID, Type: "expired"}})
			}
			moved := changes[1]
			move(&moved.Old)
			replace := func(batch ...invitation.Change) error {
				return p.db.Write(t.Context(), func(tx *store.Tx) error { return tx.ReplaceAll(batch) })
			}
			require.ErrorIs(t, replace(changes[0], moved, changes[2]), invitation.ErrChanged, name)
			for _, each := range changes {
				found, err := p.find(each.Old.UUID)
				require.NoError(t, err)
				require.Equal(t, invitation.Pending, found.StoredState, name)
				require.Empty(t, p.events(each.Old.UUID))
			}
			require.NoError(t, replace(changes...))
			for _, each := range changes {
				found, err := p.find(each.Old.UUID)
				require.NoError(t, err)
				require.Equal(t, invitation.Expired, found.StoredState)
				require.True(t, found.Reminded)
				require.Equal(t, []invitation.EventType{"expired"}, p.events(each.Old.UUID))
			}
		}
	})
}

// Jobs that are inserted at once are those that the queue's own driver would have inserted.
func TestJobsAreThoseOfTheQueue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := e.Fresh(t)
		db, pool := storetest.Open(t, address, nil), outside(t, address)
		job := invitation.Notify{Notice: invitation.NoticeExpired, Invitation: uuid.New(), Delivery: 3, User: uuid.New()}
		require.NoError(t, db.Write(t.Context(), func(tx *store.Tx) error { return tx.Enqueue(job) }))
		client, err := river.NewClient(db.Queue(), &river.Config{})
		require.NoError(t, err)
		_, err = client.Insert(t.Context(), job, &river.InsertOpts{Queue: job.Queue(), MaxAttempts: 30_000})
		require.NoError(t, err)

		rows, err := pool.Query("SELECT * FROM river_job ORDER BY id")
		require.NoError(t, err)
		defer func() { require.NoError(t, rows.Close()) }()
		columns, err := rows.ColumnTypes()
		require.NoError(t, err)
		var both [][]any
		for rows.Next() {
			values := make([]any, len(columns))
			to := make([]any, len(columns))
			for i := range values {
				to[i] = &values[i]
			}
			require.NoError(t, rows.Scan(to...))
			both = append(both, values)
		}
		require.NoError(t, rows.Err())
		require.Len(t, both, 2)
		for i, each := range columns {
			switch each.Name() {
			case "id":
			case "metadata": // where the driver leaves a note to itself of which insert it was
				require.Equal(t, "{}", fmt.Sprintf("%s", both[0][i]))
			case "created_at", "scheduled_at":
				require.WithinDuration(t, both[0][i].(time.Time), both[1][i].(time.Time), time.Minute)
			default:
				require.Equal(t, both[1][i], both[0][i], each.Name())
			}
		}
		if strings.HasPrefix(address, "sqlite://") { // whose columns take any form, and compare it as it is
			var forms int
			require.NoError(t, pool.QueryRow("SELECT count(DISTINCT typeof(created_at) || substr(created_at, 11, 1) || typeof(args) ||"+
				" typeof(metadata) || typeof(tags)) FROM river_job").Scan(&forms))
			require.Equal(t, 1, forms)
		}
	})
}
