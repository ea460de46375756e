package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// Lists order and compare times to the microsecond. As text, with trailing zeros left out, the times below would sort
// otherwise.
func TestListKeepsMicroseconds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		second := time.Date(2026, 11, 23, 9, 30, 5, 0, time.UTC)
		offsets := []time.Duration{ // in order of time
			-time.Second, -time.Microsecond, 0, time.Microsecond, 100 * time.Microsecond, 100 * time.Millisecond,
			500 * time.Millisecond, 999999 * time.Microsecond, time.Second, time.Minute,
		}
		ids := make([]uuid.UUID, len(offsets))
		for i, offset := range offsets {
			one := e.newInvitation(fmt.Sprintf("user%d@university.example", i))
			one.Created = second.Add(offset).In(time.FixedZone("", 3600)) // the zone makes no difference
			ids[i] = e.insert(one)
			require.Equal(t, second.Add(offset), e.mustFind(ids[i]).Created.UTC())
		}
		e.read(func(tx invitation.Tx) {
			rows, total, err := tx.List(invitation.Query{
				Visible: everything, Window: directory.Window{Limit: 100}, Order: []directory.Order{{By: invitation.ByCreated}},
			})
			require.NoError(t, err)
			require.Len(t, rows, len(ids))
			require.Equal(t, len(ids), total)
			for i, each := range rows {
				require.Equal(t, ids[i], each.UUID, "%s at place %d", each.Created, i)
			}
		})
		// Invitations that were created up to the cutoff are expired.
		for i, offset := range offsets {
			for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 3600)} {
				q := invitation.Query{
					Visible: everything, Window: directory.Window{Limit: 100},
					Cutoff: second.Add(offset).In(zone), States: []invitation.State{invitation.Expired},
				}
				e.read(func(tx invitation.Tx) {
					rows, expired, err := tx.List(q)
					require.NoError(t, err)
					require.Len(t, rows, i+1)
					require.Equal(t, i+1, expired, offset)
					counted, err := tx.Count(q)
					require.NoError(t, err)
					require.Equal(t, i+1, counted, offset)
				})
			}
		}
	})
}

// A window past the end has no rows, and no total.
func TestListPastTheEnd(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id := e.insert(e.newInvitation("ina@university.example"))
		require.NoError(t, e.change(invitation.Change{Event: newEvent(id, invitation.EventCreated)}))
		past := directory.Window{Offset: 1, Limit: 10}
		for _, q := range []invitation.Query{{Visible: everything, Window: past}, {Visible: everything, Window: past, Email: "ina"}} {
			e.read(func(tx invitation.Tx) {
				rows, total, err := tx.List(q)
				require.NoError(t, err)
				require.Empty(t, rows)
				require.Zero(t, total)
				events, total, err := tx.ListEvents(id, past)
				require.NoError(t, err)
				require.Empty(t, events)
				require.Zero(t, total)
			})
		}
	})
}

// A connection keeps a number of prepared statements: more texts than that replace each other while others run.
func TestManyStatementsAtOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		const many = 200
		changes := make([]invitation.Change, many)
		for i := range changes {
			each := e.newInvitation(fmt.Sprintf("ina%d@university.example", i))
			changes[i].After = &each
		}
		require.NoError(t, e.change(changes...))
		var readers sync.WaitGroup
		for start := range 8 {
			readers.Go(func() {
				for i := range many {
					offset := (start*many/8 + i) % many // is part of the text of the statement
					assert.NoError(t, e.db.Invitations().Read(t.Context(), func(tx invitation.Tx) error {
						rows, total, err := tx.List(invitation.Query{
							Visible: everything, Window: directory.Window{Offset: offset, Limit: 3},
						})
						assert.Len(t, rows, min(3, many-offset))
						assert.Equal(t, many, total)
						return err
					}))
				}
			})
		}
		readers.Wait()
	})
}
