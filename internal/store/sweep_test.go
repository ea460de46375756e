package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// A sweep changes 40 invitations in as many statements as one, and each invitation has an event and a notice of its own.
func TestSweepOfManyTakesNoMoreStatementsThanOfOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		clock, statements := storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 500_000_000, time.UTC)), &storetest.Statements{}
		db := statements.Open(t, e.url, database.Options{Clock: clock.Now})
		service := &invitation.Service{Store: db.Invitations(), Policy: invitation.Policy{Lifetime: time.Hour}}
		var took []int
		var jobs int
		for _, many := range []int{1, 2, 40} {
			created := make([]invitation.Invitation, many)
			for i := range created {
				one := e.newInvitation(fmt.Sprintf(`"%d"<é>@university.example`, i))
				one.Created, one.Delivery, one.ErrorMessage = clock.Now().Add(time.Duration(i)), i, `a "reason"`
				one.ExecutionState = []invitation.ExecutionState{invitation.OK, invitation.Erred}[i%2]
				if i%3 == 2 {
					link := uuid.New()
					one.LinkUUID = &link
				}
				e.insert(one)
				created[i] = one
			}
			clock.Advance(time.Hour + time.Second)
			statements.Take()
			require.NoError(t, service.Sweep(t.Context()))
			took = append(took, len(statements.Take()))
			for _, one := range created {
				found := e.mustFind(one.UUID)
				require.Equal(t, invitation.Expired, found.StoredState)
				require.Equal(t, one.LinkUUID, found.LinkUUID)
				require.WithinDuration(t, one.Created, found.Created, time.Microsecond)
				event := e.lastEvent(one.UUID)
				require.Equal(t, invitation.Event{
					ID: event.ID, InvitationUUID: one.UUID, Created: clock.Now(), Type: invitation.EventExpired,
					FromState: invitation.Pending, ToState: invitation.Expired, Email: one.Email, RoleUUID: adminRoleID, RoleName: "PROJECT.ADMIN",
					ExecutionState: one.ExecutionState, ErrorMessage: one.ErrorMessage,
					ScopeUUID: new(projectID), CustomerUUID: new(customerID),
				}, event)
			}
			jobs += many
			require.Len(t, storetest.Jobs(t, db, invitation.Notify{}.Kind()), jobs)
		}
		require.NotZero(t, took[0])
		require.Equal(t, took[0], took[1])
		require.Equal(t, took[0], took[2])
	})
}

// LockDue passes over the rows that another transaction has locked, so that two sweeps do different batches.
func TestLockDueSkipsLockedRows(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		if !e.postgres {
			return // SQLite has one writer at a time
		}
		now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
		var ids []uuid.UUID
		for i := range 4 {
			each := e.newInvitation(fmt.Sprintf("%d@university.example", i))
			each.Created = now.Add(time.Duration(i) * time.Second)
			ids = append(ids, e.insert(each))
		}
		lockDue := func(want []uuid.UUID, from time.Time, limit int, meanwhile func()) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.NoError(t, e.db.Invitations().Change(ctx, func(tx invitation.Tx) ([]invitation.Change, error) {
				found, err := tx.LockDue(invitation.DueExpiry, now.Add(time.Hour), from, limit)
				require.NoError(t, err)
				got := []uuid.UUID{}
				for _, each := range found {
					got = append(got, each.UUID)
					require.Equal(t, "PROJECT.ADMIN", each.Role.Name)
					require.Equal(t, directory.Project, each.Scope.Type)
				}
				require.Equal(t, want, got)
				meanwhile()
				return nil, nil
			}))
		}
		nothing := func() {}
		lockDue(ids[:2], time.Time{}, 2, func() {
			lockDue(ids[2:], time.Time{}, 2, func() { lockDue([]uuid.UUID{}, time.Time{}, 2, nothing) })
			lockDue(ids[2:3], time.Time{}, 1, nothing)
		})
		lockDue(ids[:3], time.Time{}, 3, nothing)
		lockDue(ids[1:], now.Add(time.Second), 10, nothing)
	})
}

// A sweep writes one invitation by itself whatever its row says: it reads each column that it compares.
func TestSweepOfOneInvitation(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		clock := storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))
		db := (&storetest.Statements{}).Open(t, e.url, database.Options{Clock: clock.Now})
		service := &invitation.Service{Store: db.Invitations(), Policy: invitation.Policy{Lifetime: time.Hour}}
		one := e.newInvitation("one@university.example")
		one.Created, one.InviterNotified, one.OfferedByUUID = clock.Now(), true, &oliviaID
		// As a replica of the version before leaves a row that was declined and sent again.
		one.DeclinedAt, one.DeclineReason, one.RenewalAskedAt = new(clock.Now()), "No.", new(clock.Now())
		e.insert(one)
		clock.Advance(time.Hour)
		require.NoError(t, service.Sweep(t.Context()))
		require.Equal(t, invitation.Expired, e.mustFind(one.UUID).StoredState)
	})
}

// An invitation whose fixed end has passed does not go out with its project, however much of what has ended a sweep has left.
func TestPastItsFixedEndNothingStarts(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
		db := storetest.Open(t, e.url, storetest.NewClock(now).Now)
		var want []uuid.UUID
		for i, end := range []*time.Time{nil, new(now), new(now.Add(time.Microsecond)), new(now.Add(-time.Hour))} {
			each := e.newInvitation(fmt.Sprintf("%d@university.example", i))
			each.StoredState, each.Created, each.ExpiresAt = invitation.Project, now.Add(-2*time.Hour), end
			if id := e.insert(each); end == nil || end.After(now) {
				want = append(want, id)
			}
		}
		require.NoError(t, db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
			found, err := tx.LockDue(invitation.DueActivation, now, time.Time{}, 10)
			var got []uuid.UUID
			for _, each := range found {
				got = append(got, each.UUID)
			}
			require.ElementsMatch(t, want, got)
			return nil, err
		}))
	})
}

// The index invitations_fixed_end has what a sweep looks for among the invitations with a fixed end, in its order.
func TestPlansOfTheSweep(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		if e.postgres {
			return // it chooses a plan by the number of rows
		}
		statements := &storetest.Statements{}
		db := statements.Open(t, e.url, database.Options{})
		for _, due := range []invitation.Due{invitation.DueFixedExpiry, invitation.DueFixedReminder} {
			statements.Take()
			require.NoError(t, db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
				_, err := tx.LockDue(due, tx.Now(), time.Time{}, 10)
				return nil, err
			}))
			texts := statements.Take()
			plan := e.plan(texts[len(texts)-1], 0, 0, 0, 0, 0, 0, 0, 0)
			require.Contains(t, plan, "SEARCH invitations USING INDEX invitations_fixed_end (<expr>>? AND <expr><?)")
			require.NotContains(t, plan, "TEMP B-TREE")
		}
	})
}
