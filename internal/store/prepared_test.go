package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
)

// More statements than are kept prepared push each other out while others run.
func TestManyStatementsAtOnce(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		const many = 200
		require.NoError(t, p.db.Write(t.Context(), func(tx *store.Tx) error {
			for i := range many {
				if err := tx.Insert(p.draft(fmt.Sprintf("ina%d@university.example", i)), invitation.Event{}); err != nil {
					return err
				}
			}
			return nil
		}))
		var all sync.WaitGroup
		for start := range 8 {
			all.Go(func() {
				for i := range many {
					at := (start*many/8 + i) % many // stands in the text of the statement
					assert.NoError(t, p.db.Read(t.Context(), func(tx *store.Tx) error {
						rows, total, err := tx.List(invitation.Query{
							Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, Window: directory.Window{Offset: at, Limit: 3},
						})
						assert.Len(t, rows, min(3, many-at))
						assert.Equal(t, many, total)
						return err
					}))
				}
			})
		}
		all.Wait()
	})
}
