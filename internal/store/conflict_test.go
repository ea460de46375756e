package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// Where another change is committed while a decision runs, the decision runs again: with the row locked, and of what
// the other change wrote. On SQLite the other change waits.
func TestChangeDecidesAgainAfterConflict(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id := e.insert(e.newInvitation("ina@university.example"))
		isLocked := func() bool {
			if !e.postgres {
				return true
			}
			_, err := e.outside.ExecContext(t.Context(), "SELECT 1 FROM invitations WHERE uuid = $1 FOR SHARE NOWAIT", id)
			return err != nil
		}
		deliver := func(by int, meanwhile func()) error {
			return e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
				before, err := tx.FindForChange(id)
				if err != nil {
					return nil, err
				}
				meanwhile()
				after := before
				after.Delivery += by
				return []invitation.Change{{
					Before: &before, After: &after, Event: newEvent(id, invitation.EventType(fmt.Sprint(before.Delivery, "+", by))),
					Jobs: []invitation.Job{invitation.Deliver{Invitation: id, Delivery: after.Delivery}},
				}}, nil
			})
		}
		runs, winner := 0, make(chan error, 1)
		require.NoError(t, deliver(10, func() {
			runs++
			if runs > 1 {
				require.True(t, isLocked(), "the second run locks the row")
				return
			}
			if !e.postgres {
				go func() { winner <- deliver(1, func() {}) }()
				requireWaits(t, winner, "SQLite has one writer at a time")
				return
			}
			require.False(t, isLocked(), "the first run locks nothing")
			require.NoError(t, deliver(1, func() {}))
		}))
		if e.postgres {
			require.Equal(t, 2, runs)
			require.Equal(t, []invitation.EventType{"1+10", "0+1"}, e.events(id))
		} else {
			require.NoError(t, <-winner)
			require.Equal(t, 1, runs)
			require.Equal(t, []invitation.EventType{"10+1", "0+10"}, e.events(id))
		}
		require.Equal(t, 11, e.mustFind(id).Delivery)
		require.Len(t, storetest.Jobs(t, e.db, invitation.Deliver{}.Kind()), 2, "the run that lost enqueues nothing")
	})
}

// FindForChange waits for the transaction that has locked the row, and reads what that transaction committed: the row
// and the role that the row refers to now.
func TestFindForChangeReadsWhatItWaitedFor(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id, link := e.insert(e.newInvitation("ina@university.example")), uuid.New()
		update := func() (commit func()) {
			tx, err := e.outside.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(t.Context(), fmt.Sprintf("UPDATE invitations SET role_uuid = '%s', email = 'Una@x.example',"+
				" email_folded = 'una@x.example', link_uuid = '%s' WHERE uuid = '%s'", memberRoleID, link, id))
			require.NoError(t, err)
			return func() { assert.NoError(t, tx.Commit()) }
		}
		var found invitation.Invitation
		runs := 0
		decide := func(tx invitation.Tx) ([]invitation.Change, error) {
			runs++
			if runs == 1 && e.postgres { // the first run takes no lock: overtake it
				before, err := tx.FindForChange(id)
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				_, err = e.outside.ExecContext(ctx, "UPDATE invitations SET delivery = 1")
				require.NoError(t, err)
				return []invitation.Change{{Before: &before, After: &before}}, err
			}
			commit, done := func() {}, make(chan struct{})
			if e.postgres {
				commit = update()
			}
			begun := time.Now()
			time.AfterFunc(200*time.Millisecond, func() { defer close(done); commit() })
			var err error
			found, err = tx.FindForChange(id)
			took := time.Since(begun)
			<-done
			if e.postgres {
				require.GreaterOrEqual(t, took, 190*time.Millisecond, "another transaction has locked the row")
			}
			return nil, err
		}
		if e.postgres {
			require.NoError(t, e.db.Invitations().Change(t.Context(), decide))
			require.Equal(t, 2, runs)
		} else {
			commit, waited := update(), make(chan error, 1)
			go func() { waited <- e.db.Invitations().Change(t.Context(), decide) }()
			requireWaits(t, waited, "SQLite has one writer at a time")
			commit()
			require.NoError(t, <-waited)
		}
		require.Equal(t, memberRoleID, found.RoleUUID)
		require.Equal(t, "PROJECT.MEMBER", found.Role.Name)
		require.Equal(t, "Una@x.example", found.Email)
		require.Equal(t, &link, found.LinkUUID)
		e.read(func(tx invitation.Tx) {
			linked, err := tx.FindByLink(link)
			require.NoError(t, err)
			require.Equal(t, id, linked)
			_, err = tx.FindByLink(id)
			require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
		})
	})
}

func TestConcurrentChangesAllCount(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id := e.insert(e.newInvitation("ina@university.example"))
		var writers sync.WaitGroup
		for range 8 {
			writers.Go(func() {
				for range 10 {
					assert.NoError(t, e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
						before, err := tx.FindForChange(id)
						if err != nil {
							return nil, err
						}
						after := before
						after.Delivery++
						return []invitation.Change{{
							Before: &before, After: &after, Event: newEvent(id, "counted"),
							Jobs: []invitation.Job{invitation.Deliver{Invitation: id}},
						}}, nil
					}))
				}
			})
		}
		writers.Wait()
		require.Equal(t, 80, e.mustFind(id).Delivery)
		require.Len(t, e.events(id), 80)
		require.Len(t, storetest.Jobs(t, e.db, invitation.Deliver{}.Kind()), 80)
	})
}

// Two changes that lock each other's scopes: PostgreSQL ends one, which is run again.
func TestChangeRunsAgainAfterDeadlock(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		if !e.postgres {
			return // SQLite has one writer at a time
		}
		locked, proceed := make(chan struct{}, 2), make(chan struct{})
		results, runs := make(chan error, 2), make(chan struct{}, 10)
		ids := []uuid.UUID{uuid.New(), uuid.New()}
		for i, scopes := range [][2]uuid.UUID{{customerID, projectID}, {projectID, customerID}} {
			go func() {
				first := true
				results <- e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
					runs <- struct{}{}
					if err := tx.LockScope(scopes[0]); err != nil {
						return nil, err
					}
					if first {
						first = false
						locked <- struct{}{}
						<-proceed
					}
					if err := tx.LockScope(scopes[1]); err != nil {
						return nil, err
					}
					return []invitation.Change{{Event: newEvent(ids[i], "locked")}}, nil
				})
			}()
		}
		<-locked
		<-locked
		close(proceed)
		require.NoError(t, <-results)
		require.NoError(t, <-results)
		require.Len(t, runs, 3)
		for _, id := range ids {
			require.Equal(t, []invitation.EventType{"locked"}, e.events(id))
		}
	})
}

func TestLockScopeAdmitsOneTransaction(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		lock := func(meanwhile func()) error {
			return e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
				err := tx.LockScope(projectID)
				meanwhile()
				return nil, err
			})
		}
		second := make(chan error, 1)
		require.NoError(t, lock(func() {
			go func() { second <- lock(func() {}) }()
			requireWaits(t, second, "the second transaction did not wait for the scope")
		}))
		require.NoError(t, <-second)
	})
}

// FindOpen waits for no lock: two updates that want each other's address find each other.
func TestFindOpenDoesNotWaitForLocks(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id := e.insert(e.newInvitation("ina@university.example"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.NoError(t, e.db.Write(t.Context(), func(tx *gorm.DB, _ time.Time) error {
			require.NoError(t, tx.Exec("UPDATE invitations SET delivery = delivery + 1 WHERE uuid = ?", id).Error)
			return e.db.Invitations().Read(ctx, func(other invitation.Tx) error {
				found, err := other.FindOpen("ina@university.example", adminRoleID, projectID)
				require.Equal(t, id, found.UUID)
				return err
			})
		}))
	})
}

// requireWaits fails the test where a result arrives within 200 ms.
func requireWaits(t *testing.T, result <-chan error, message string) {
	t.Helper()
	select {
	case err := <-result:
		require.Fail(t, message, "%v", err)
	case <-time.After(200 * time.Millisecond):
	}
}
