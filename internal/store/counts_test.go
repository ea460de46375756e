package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// Triggers count the invitations of each state as rows are written. The counts are exact, whatever is written at once,
// rolled back or deleted.
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

		for _, state := range invitation.States {
			rows := e.count("SELECT count(*) FROM invitations WHERE state = '" + string(state) + "'")
			require.NotZero(t, rows)
			q := invitation.Query{Visible: everything, States: []invitation.State{state}, Window: directory.Window{Limit: 1}}
			e.read(func(tx invitation.Tx) {
				_, total, err := tx.List(q)
				require.NoError(t, err)
				require.Equal(t, rows, total, state)
				total, err = tx.Count(q)
				require.NoError(t, err)
				require.Equal(t, rows, total, state)
			})
		}
	})
}
