package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
)

// What is counted as rows are written is what there is, whatever was written at once, taken back or deleted.
func TestCountsAreExact(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		var writers sync.WaitGroup
		for writer := range 8 {
			writers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(writer), 1))
				var mine []invitation.Invitation
				for round := range 40 {
					err := p.db.Write(t.Context(), func(tx *store.Tx) error {
						switch {
						case len(mine) == 0 || random.IntN(3) == 0:
							made := p.draft(fmt.Sprintf("%d.%d@university.example", writer, round))
							made.StoredState = invitation.States[random.IntN(len(invitation.States))]
							if err := tx.Insert(made, invitation.Event{}); err != nil {
								return err
							}
							mine = append(mine, made)
						case random.IntN(4) == 0:
							gone := mine[0]
							mine = mine[1:]
							return tx.Delete(gone.UUID, invitation.Event{})
						case random.IntN(4) == 0:
							batch := make([]invitation.Change, 0, len(mine))
							for i, each := range mine {
								changed := each
								changed.StoredState = invitation.States[random.IntN(len(invitation.States))]
								batch = append(batch, invitation.Change{Old: each, Changed: changed})
								if i == 5 {
									break
								}
							}
							if err := tx.ReplaceAll(batch); err != nil {
								return err
							}
							if random.IntN(3) == 0 {
								return errTakenBack
							}
							for i, each := range batch {
								mine[i] = each.Changed
							}
						default:
							at := random.IntN(len(mine))
							changed := mine[at]
							changed.StoredState = invitation.States[random.IntN(len(invitation.States))]
							if err := tx.Replace(mine[at], changed, invitation.Event{}); err != nil {
								return err
							}
							if random.IntN(3) == 0 {
								return errTakenBack
							}
							mine[at] = changed
						}
						return nil
					})
					if !errors.Is(err, errTakenBack) {
						assert.NoError(t, err)
					}
				}
			})
		}
		writers.Wait()

		pool := outside(t, p.url)
		for _, state := range invitation.States {
			var there, total int
			require.NoError(t, pool.QueryRow("SELECT count(*) FROM invitations WHERE state = '"+string(state)+"'").Scan(&there))
			require.NoError(t, p.db.Read(t.Context(), func(tx *store.Tx) (err error) {
				_, total, err = tx.List(invitation.Query{
					Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, States: []invitation.State{state}, Window: directory.Window{Limit: 1},
				})
				return err
			}))
			require.NotZero(t, there)
			require.Equal(t, there, total, state)
		}
	})
}

var errTakenBack = errors.New("taken back")
