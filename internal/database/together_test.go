package database_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/fault"
)

// together runs f in a transaction for all units of work.
func (e *env) together(ctx context.Context, f func(ctx context.Context) error) error {
	return e.db.WriteTogether(ctx, func(*gorm.DB) error { return nil }, f)
}

// add writes a note as one unit of work of a context, and then ends the unit as end says.
func (e *env) add(ctx context.Context, id int64, body string, end error) error {
	return e.db.Write(ctx, func(tx *gorm.DB, _ time.Time) error {
		if err := tx.Create(newNote(id, body)).Error; err != nil {
			return err
		}
		return end
	})
}

func TestUnitsOfWorkAreCommittedTogether(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		sees := func(ctx context.Context) (ids []int64) {
			for _, read := range []func(context.Context, func(*gorm.DB, time.Time) error) error{e.db.Read, e.listsOf(uuid.New())} {
				require.NoError(t, read(ctx, func(tx *gorm.DB, _ time.Time) error {
					ids = nil
					require.ErrorIs(t, tx.Create(newNote(99, "x")).Error, database.ErrReadOnly)
					return tx.Model(&note{}).Order("id").Pluck("id", &ids).Error
				}))
			}
			return ids
		}
		require.NoError(t, e.together(t.Context(), func(ctx context.Context) error {
			require.Empty(t, sees(ctx))
			require.ErrorIs(t, e.add(ctx, 1, "a", errOnPurpose), errOnPurpose)
			e.insert(newNote(9, "z")) // of another transaction, which has nothing to wait for
			e.exec("DELETE FROM notes")
			require.NoError(t, e.add(ctx, 1, "a", nil))
			require.ErrorIs(t, e.add(ctx, 2, "b", errOnPurpose), errOnPurpose)
			require.ErrorIs(t, e.add(ctx, 3, "a", nil), gorm.ErrDuplicatedKey) // PostgreSQL refuses the rest of such a unit
			require.NoError(t, e.add(ctx, 4, "d", nil))
			require.Equal(t, []int64{1, 4}, sees(ctx))
			require.Zero(t, e.count(), "nobody else sees it yet")
			return nil
		}))
		require.Equal(t, []int64{1, 4}, sees(t.Context()))

		for range 25 { // more than there are connections: none is lost
			require.ErrorIs(t, e.together(t.Context(), func(ctx context.Context) error {
				require.NoError(t, e.add(ctx, 5, "e", nil))
				return errOnPurpose
			}), errOnPurpose)
			require.PanicsWithValue(t, "on purpose", func() {
				_ = e.together(t.Context(), func(ctx context.Context) error {
					require.NoError(t, e.add(ctx, 5, "e", nil))
					panic("on purpose")
				})
			})
			ended, cancel := e.cancelable()
			require.ErrorIs(t, e.together(ended, func(ctx context.Context) error {
				require.NoError(t, e.add(ctx, 5, "e", nil))
				cancel()
				return nil
			}), context.Canceled)
		}
		require.NoError(t, e.together(t.Context(), func(context.Context) error { return nil }), "nothing was begun")
		require.Equal(t, 2, e.count())
	})
}

// The savepoint of each unit of work is over before that of the next one begins: they do not nest.
func TestSavepointsAreReleased(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		err := e.together(t.Context(), func(ctx context.Context) error {
			require.NoError(t, e.add(ctx, 1, "a", nil))
			require.NoError(t, e.add(ctx, 2, "b", nil))
			require.ErrorIs(t, e.add(ctx, 3, "c", errOnPurpose), errOnPurpose)
			require.Error(t, e.db.Write(ctx, func(tx *gorm.DB, _ time.Time) error {
				require.NoError(t, tx.Exec("RELEASE SAVEPOINT unit_of_work").Error)
				require.Error(t, tx.Exec("RELEASE SAVEPOINT unit_of_work").Error)
				return nil
			}))
			return nil
		})
		require.Error(t, err)
		require.Zero(t, e.count())
	})
}

// A transaction that the engine has ended is not gone on with: its later statements would be committed one by one.
func TestEndedTransactionIsNotGoneOnWith(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		err := e.together(t.Context(), func(ctx context.Context) error {
			require.NoError(t, e.add(ctx, 1, "a", nil))
			require.ErrorIs(t, e.db.Write(ctx, func(tx *gorm.DB, _ time.Time) error {
				require.NoError(t, tx.Exec("ROLLBACK").Error)
				return errOnPurpose
			}), errOnPurpose)
			require.Error(t, e.add(ctx, 2, "b", nil))
			require.Error(t, e.db.Read(ctx, func(*gorm.DB, time.Time) error { return nil }))
			return nil
		})
		require.ErrorIs(t, err, errOnPurpose)
		require.Zero(t, e.count())

		begun := 0
		require.Equal(t, fault.Forbidden(), e.db.WriteTogether(t.Context(), func(tx *gorm.DB) error {
			begun++
			require.NoError(t, tx.Create(newNote(3, "c")).Error)
			return fault.Forbidden()
		}, func(ctx context.Context) error {
			for range 2 {
				require.Equal(t, fault.Forbidden(), e.add(ctx, 1, "a", nil))
			}
			return errOnPurpose
		}))
		require.Equal(t, 1, begun)
		require.Zero(t, e.count())
	})
}

// A unit of work that lost a deadlock runs again, and what the units before it wrote stays.
func TestUnitOfWorkIsRepeatedAfterDeadlock(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) { // SQLite has one writer at a time
		e.insert(newNote(1, "a"))
		e.insert(newNote(2, "b"))
		var all errgroup.Group
		holding, proceed := make(chan struct{}, 2), make(chan struct{})
		for i, ids := range [][2]int64{{1, 2}, {2, 1}} {
			all.Go(func() error {
				return e.together(t.Context(), func(ctx context.Context) error {
					if err := e.add(ctx, int64(10+i), uuid.NewString(), nil); err != nil {
						return err
					}
					hold := sync.OnceFunc(func() { holding <- struct{}{}; <-proceed })
					return e.db.Write(ctx, func(tx *gorm.DB, _ time.Time) error {
						if _, err := lockNote(tx, ids[0]); err != nil {
							return err
						}
						hold()
						_, err := lockNote(tx, ids[1])
						return err
					})
				})
			})
		}
		<-holding
		<-holding
		close(proceed)
		require.NoError(t, all.Wait())
		require.Equal(t, 4, e.count())
	})
}

// More of them at once than there are connections wait for each other's connections only until the others are done: each
// needs one at a time, also for the clock.
func TestUnitsOfWorkNeedOneConnection(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		var all errgroup.Group
		for i := range int64(50) {
			all.Go(func() error {
				return e.together(t.Context(), func(ctx context.Context) error {
					for unit := range int64(3) {
						if err := e.add(ctx, 3*i+unit+1, uuid.NewString(), nil); err != nil {
							return err
						}
						for _, read := range []func(context.Context, func(*gorm.DB, time.Time) error) error{e.db.Read, e.listsOf(uuid.Nil)} {
							if err := read(ctx, func(tx *gorm.DB, _ time.Time) error { return tx.Take(&note{}, 3*i+unit+1).Error }); err != nil {
								return err
							}
						}
						if unit == 0 && i%10 == 0 {
							database.ForgetTime(e.db) // the next reading of the clock is a statement
						}
					}
					return nil
				})
			})
		}
		require.NoError(t, all.Wait())
		require.Equal(t, 150, e.count())
	})
}
