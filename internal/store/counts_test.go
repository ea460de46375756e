package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/idempotency"
	"invited/internal/invitation"
)

// The invitations of each state are counted as rows are written. The counts are exact, whatever is written at once, rolled back
// or deleted.
func TestCountsAreExact(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		var writers sync.WaitGroup
		for writer := range 8 {
			writers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(writer), 1))
				anyState := func() invitation.State { return invitation.States[random.IntN(len(invitation.States))] }
				var own []invitation.Invitation
				// update writes own[i] with another state for each i, or writes that and rolls back.
				update := func(indexes ...int) error {
					changes, changed := make([]invitation.Change, len(indexes)), make([]invitation.Invitation, len(indexes))
					for n, i := range indexes {
						before := own[i]
						changed[n] = before
						changed[n].StoredState = anyState()
						changes[n] = invitation.Change{Before: &before, After: &changed[n]}
					}
					if random.IntN(3) == 0 {
						missing := e.newInvitation("missing@university.example")
						missing.UUID = uuid.New()
						err := e.change(append(changes, invitation.Change{Before: &missing, After: &missing})...)
						if !errors.Is(err, invitation.ErrConflict) {
							return fmt.Errorf("a change of a missing row: %w", err)
						}
						return nil
					}
					if err := e.change(changes...); err != nil {
						return err
					}
					for n, i := range indexes {
						own[i] = changed[n]
					}
					return nil
				}
				for round := range 40 {
					var err error
					switch {
					case len(own) == 0 || random.IntN(3) == 0:
						created := e.newInvitation(fmt.Sprintf("%d.%d@university.example", writer, round))
						created.StoredState = anyState()
						err = e.change(invitation.Change{After: &created})
						own = append(own, created)
					case random.IntN(4) == 0:
						err = e.change(invitation.Change{Before: &own[0]})
						own = own[1:]
					case random.IntN(4) == 0: // a batch
						var indexes []int
						for i := range min(len(own), 6) {
							indexes = append(indexes, i)
						}
						err = update(indexes...)
					default:
						err = update(random.IntN(len(own)))
					}
					assert.NoError(t, err)
				}
			})
		}
		writers.Wait()

		e.requireExactCounts(invitation.States...)
	})
}

// requireExactCounts compares the counts of states with the rows. Each of some states has to have rows.
func (e *env) requireExactCounts(withRows ...invitation.State) {
	e.t.Helper()
	for _, state := range invitation.States {
		rows := e.count("SELECT count(*) FROM invitations WHERE state = '" + string(state) + "'")
		if slices.Contains(withRows, state) {
			require.NotZero(e.t, rows, state)
		}
		q := invitation.Query{Visible: everything, States: []invitation.State{state}, Window: directory.Window{Limit: 1}}
		e.read(func(tx invitation.Tx) {
			_, total, err := tx.List(q)
			require.NoError(e.t, err)
			require.Equal(e.t, rows, total, state)
			total, err = tx.Count(q)
			require.NoError(e.t, err)
			require.Equal(e.t, rows, total, state)
		})
	}
}

// Changes that are one transaction are counted at its end, and those that are rolled back are not.
func TestCountsOfChangesTogether(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		refusal := errors.New("the request is refused")
		for _, refused := range []error{nil, refusal} {
			id := idempotency.ID{UserUUID: oliviaID, Digest: fmt.Sprint(refused)}
			err := e.db.Idempotency().WriteTogether(t.Context(), id, func(ctx context.Context) error {
				change := func(c invitation.Change) error {
					return e.db.Invitations().Change(ctx, func(invitation.Tx) ([]invitation.Change, error) { return []invitation.Change{c}, nil })
				}
				kept := e.newInvitation(fmt.Sprintf("kept.%v@university.example", refused))
				require.NoError(t, change(invitation.Change{After: &kept}))
				duplicate := kept
				duplicate.UUID = uuid.New()
				require.ErrorIs(t, change(invitation.Change{After: &duplicate}), invitation.ErrDuplicate)
				accepted := kept
				accepted.StoredState = invitation.Accepted
				require.NoError(t, change(invitation.Change{Before: &kept, After: &accepted}))
				return refused
			})
			require.ErrorIs(t, err, refused)
			e.requireExactCounts(invitation.Accepted)
		}
		require.Equal(t, 1, e.count("SELECT count(*) FROM invitations"))
	})
}

// What another program wrote is counted by the next repair, also where several processes repair at once.
func TestRepairCounts(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		for n := range 10 {
			e.insert(e.newInvitation(fmt.Sprintf("%d@university.example", n)))
		}
		require.NoError(t, e.exec("UPDATE invitations SET state = 'canceled' WHERE email < '3'"))
		require.NoError(t, e.exec("DELETE FROM invitations WHERE email >= '8'"))
		var repairs sync.WaitGroup
		for range 4 {
			repairs.Go(func() { assert.NoError(t, e.db.Invitations().RepairCounts(t.Context())) })
			repairs.Go(func() {
				created := e.newInvitation(uuid.NewString() + "@university.example")
				assert.NoError(t, e.change(invitation.Change{After: &created}))
			})
		}
		repairs.Wait()
		e.requireExactCounts(invitation.Canceled, invitation.Pending)
	})
}
