package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/fault"
	"invited/internal/storetest"
)

// Numbers of connections by default.
var (
	shortConnections = map[bool]int{true: 12, false: 4} // by env.postgres
	listConnections  = map[bool]int{true: 4, false: 4}
)

// held is a number of lists or reads that hold a connection each, until they are let go.
type held struct {
	running chan struct{} // one value for each that has its connection
	done    chan error
	letGo   chan struct{}
}

// hold begins a number of lists or reads at once. Each has a query whose rows are not read.
func hold(t *testing.T, count int, run func(context.Context, func(*gorm.DB, time.Time) error) error) *held {
	t.Helper()
	h := &held{make(chan struct{}, count), make(chan error, count), make(chan struct{})}
	for range count {
		go func() {
			h.done <- run(t.Context(), func(tx *gorm.DB, _ time.Time) error {
				rows, err := tx.Raw("SELECT 1").Rows()
				if err != nil {
					return err
				}
				defer func() { _ = rows.Close() }()
				h.running <- struct{}{}
				<-h.letGo
				return rows.Err()
			})
		}()
	}
	return h
}

// have waits until a number of the lists hold their connection, and requires that no other gets one.
func (h *held) have(t *testing.T, count int) {
	t.Helper()
	for range count {
		select {
		case <-h.running:
		case err := <-h.done:
			require.Fail(t, "ended before it was let go", "%v", err)
		case <-time.After(20 * time.Second):
			require.Fail(t, "got no connection")
		}
	}
	select {
	case <-h.running:
		require.Fail(t, "one more got a connection", "than %d", count)
	case <-time.After(200 * time.Millisecond):
	}
}

// finish lets all go and requires that each of them ends well.
func (h *held) finish(t *testing.T) {
	t.Helper()
	close(h.letGo)
	for range cap(h.done) {
		require.NoError(t, <-h.done)
	}
}

// listsOf returns ReadList of a caller.
func (e *env) listsOf(caller uuid.UUID) func(context.Context, func(*gorm.DB, time.Time) error) error {
	return func(ctx context.Context, f func(*gorm.DB, time.Time) error) error {
		return e.db.ReadList(ctx, caller, f)
	}
}

// requireRuns requires that a query gets a connection at once.
func (e *env) requireRuns(what string, run func(context.Context, func(*gorm.DB, time.Time) error) error) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(e.t, run(ctx, func(tx *gorm.DB, _ time.Time) error { return tx.Find(&[]note{}).Error }), what)
}

func (e *env) requireQueueRuns() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 5*time.Second)
	defer cancel()
	var one int
	require.NoError(e.t, e.db.QueuePool().QueryRowContext(ctx, "SELECT 1").Scan(&one), "the queue")
}

func TestCallerHasHalfOfTheListConnections(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		lists := listConnections[e.postgres]
		greedy, other := uuid.New(), uuid.New()
		first := hold(t, 16, e.listsOf(greedy))
		half := (lists + 1) / 2
		first.have(t, half)

		e.requireRuns("a list of another caller", e.listsOf(other))
		e.requireRuns("a short request of the same caller", e.db.Read)
		e.requireRuns("a write of the same caller", e.db.Write)
		rest := hold(t, lists-half, e.listsOf(other))
		rest.have(t, lists-half)
		require.Equal(t, 2, e.db.ListCallers())

		rest.finish(t)
		first.finish(t) // all 16
		require.Zero(t, e.db.ListCallers())
	})
}

// A list that waits for its caller's others does not keep another caller's list waiting behind it.
func TestWaitingListKeepsNoPlaceOfOthers(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		lists := listConnections[e.postgres]
		half := (lists + 1) / 2
		greedy := hold(t, half+10, e.listsOf(uuid.New()))
		greedy.have(t, half)
		for range 3 { // one after the other: each ends before the next begins
			others := hold(t, lists-half, e.listsOf(uuid.New()))
			others.have(t, lists-half)
			others.finish(t)
		}
		greedy.finish(t)
	})
}

func TestListsLeaveOtherPoolsAlone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		lists := hold(t, 40, func(ctx context.Context, f func(*gorm.DB, time.Time) error) error {
			return e.db.ReadList(ctx, uuid.New(), f) // as many callers
		})
		lists.have(t, listConnections[e.postgres])
		e.requireRuns("a short request", e.db.Read)
		e.requireRuns("a write", e.db.Write)
		e.requireQueueRuns()
		lists.finish(t)
	})
}

func TestShortRequestsLeaveOtherPoolsAlone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.requireRuns("a short request", e.db.Read) // asks for the time, which a later one needs no connection for
		short := hold(t, 40, e.db.Read)
		short.have(t, shortConnections[e.postgres])
		e.requireRuns("a list", e.listsOf(uuid.New()))
		e.requireQueueRuns()

		// A request that finds no connection waits until its time is up.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := e.db.Read(ctx, func(tx *gorm.DB, _ time.Time) error { return tx.Find(&[]note{}).Error })
		require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		short.finish(t)
	})
}

// On SQLite the queue writes by the pool of everybody who writes.
func TestQueueLeavesOtherPoolsAlone(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) {
		rows := eachConnection(t, e.db.QueuePool(), 4, "SELECT 1")
		e.requireRuns("a short request", e.db.Read)
		e.requireRuns("a write", e.db.Write)
		e.requireRuns("a list", e.listsOf(uuid.New()))
		for _, row := range rows {
			var one int
			require.NoError(t, row.Scan(&one))
		}
	})
}

const tooLong = "The list took too long: ask for fewer rows with filters, or leave out the order."

func TestListThatTakesTooLong(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, database.Options{ListTimeout: 200 * time.Millisecond})
		endless := "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 - i / 1000 FROM n) SELECT count(*) FROM n"
		for range 2 * listConnections[e.postgres] { // more than there are: no connection is lost
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			begun := time.Now()
			err := e.db.ReadList(ctx, uuid.New(), func(tx *gorm.DB, _ time.Time) error {
				var count int
				return tx.Raw(endless).Scan(&count).Error
			})
			require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
			require.ErrorIs(t, err, database.ErrUnavailable)
			var refusal *fault.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, tooLong, refusal.Message)
			require.Less(t, time.Since(begun), 10*time.Second)
			cancel()
		}
		if e.postgres {
			require.Eventually(t, func() bool {
				var running int
				require.NoError(t, e.outside.QueryRow(`SELECT count(*) FROM pg_stat_activity
					WHERE datname = current_database() AND query LIKE '%RECURSIVE n%' AND state = 'active' AND pid <> pg_backend_pid()`).Scan(&running))
				return running == 0
			}, 20*time.Second, 20*time.Millisecond, "the server goes on with a list that nobody waits for")
		}
	})
}

// A list that waits longer than its request may take is refused with the same words, and a caller who leaves is not told.
func TestListThatWaitsTooLong(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		lists := listConnections[e.postgres]
		greedy, others := uuid.New(), uuid.New()
		nothing := func(*gorm.DB, time.Time) error { return nil }
		first := hold(t, (lists+1)/2, e.listsOf(greedy))
		first.have(t, (lists+1)/2)
		second := hold(t, lists/2, e.listsOf(others))
		second.have(t, lists/2)
		for what, caller := range map[string]uuid.UUID{"for its caller's": greedy, "for everybody's": uuid.New()} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			err := e.db.ReadList(ctx, caller, nothing)
			cancel()
			var refusal *fault.Error
			require.ErrorAs(t, err, &refusal, what)
			require.Equal(t, fault.KindUnavailable, refusal.Kind, what)
			require.Equal(t, tooLong, refusal.Message, what)

			leaving, leave := e.cancelable()
			leave()
			err = e.db.ReadList(leaving, caller, nothing)
			require.ErrorIs(t, err, context.Canceled, what)
			require.False(t, fault.Is(err, fault.KindUnavailable), what)
		}
		require.Equal(t, 2, e.db.ListCallers())
		first.finish(t)
		second.finish(t)
		require.Zero(t, e.db.ListCallers())
	})
}

// Neither a refusal nor a panic keeps a connection, or changes.
func TestListThatFails(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		caller := uuid.New()
		for range 25 {
			require.Equal(t, fault.NotFound(), e.db.ReadList(t.Context(), caller, func(*gorm.DB, time.Time) error { return fault.NotFound() }))
			require.PanicsWithValue(t, "on purpose", func() {
				_ = e.db.ReadList(t.Context(), caller, func(*gorm.DB, time.Time) error { panic("on purpose") })
			})
		}
		e.requireRuns("a list", e.listsOf(caller))
		require.Zero(t, e.db.ListCallers())
	})
}

func TestPoolsAreDivided(t *testing.T) {
	t.Parallel()
	for n, want := range map[int32][3]int32{ // short, lists, queue
		3: {2, 0, 1}, 4: {2, 1, 1}, 9: {7, 1, 1}, 10: {6, 2, 2}, 20: {12, 4, 4}, 100: {76, 20, 4},
	} {
		require.Equal(t, want, database.Sizes(n), "%d", n)
	}
}
