package database_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/fault"
	"invited/internal/storetest"
)

func TestWriteThatFailsLeavesNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		write := func(ctx context.Context, end func() error) error {
			return e.db.Write(ctx, func(tx *gorm.DB, _ time.Time) error {
				if err := tx.Create(newNote(1, "a")).Error; err != nil {
					return err
				}
				var found note
				if err := tx.Take(&found, 1).Error; err != nil { // a transaction reads what it wrote
					return err
				}
				return end()
			})
		}
		// 25 rounds are more than there are connections: no round may lose its connection.
		for range 25 {
			require.ErrorIs(t, write(t.Context(), func() error { return errOnPurpose }), errOnPurpose)
			_, err := e.find(1)
			require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)

			require.PanicsWithValue(t, "on purpose", func() {
				_ = write(t.Context(), func() error { panic("on purpose") })
			})

			ctx, cancel := e.cancelable()
			err = write(ctx, func() error { cancel(); return nil })
			require.Error(t, err)
			require.False(t, fault.Is(err, fault.KindNotFound), "%v", err)
		}
		require.Zero(t, e.count())

		require.NoError(t, write(t.Context(), func() error { return nil }))
		_, err := e.find(1)
		require.NoError(t, err)
		require.Equal(t, 1, e.count())
	})
}

// The deadline may pass at any moment, also between the last statement and the commit.
func TestWritePastItsDeadlineIsUnavailable(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			err := e.db.Write(ctx, func(tx *gorm.DB, _ time.Time) error {
				_ = tx.Create(newNote(1, "a")).Error // before the deadline or after it
				<-ctx.Done()
				// The driver ends the transaction in the background: the commit may find the transaction ended, or open.
				time.Sleep(time.Millisecond) //nolint:forbidigo // nothing tells that the driver has ended the transaction
				return nil
			})
			cancel()
			require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
			require.ErrorIs(t, err, database.ErrUnavailable)
		}
		require.Zero(t, e.count())
	})
}

func TestWriteWithCanceledContextReturnsCanceled(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		for range 20 {
			ctx, cancel := e.cancelable()
			err := e.db.Write(ctx, func(tx *gorm.DB, _ time.Time) error {
				if err := tx.Create(newNote(1, "a")).Error; err != nil {
					return err
				}
				cancel()
				time.Sleep(time.Millisecond) //nolint:forbidigo // nothing tells that the driver has ended the transaction
				return nil
			})
			require.ErrorIs(t, err, context.Canceled)
			require.False(t, fault.Is(err, fault.KindUnavailable), "the caller left: the database is well")
		}
		require.Zero(t, e.count())
	})
}

// A refusal stays a refusal where the context has ended too.
func TestRefusalPassesUnchanged(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		refusal := fault.Forbidden()
		for _, run := range []func(context.Context, func(*gorm.DB, time.Time) error) error{
			e.db.Read, e.listsOf(uuid.New()), e.db.Snapshot, e.db.Write,
		} {
			ctx, cancel := e.cancelable()
			require.Equal(t, refusal, run(ctx, func(*gorm.DB, time.Time) error {
				cancel()
				return refusal
			}))
		}
	})
}

// An error of the program's own must not look like an outage: a later try would fail too.
func TestMistakesAreNotUnavailable(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		err := e.write(func(tx *gorm.DB) error { return tx.Exec("INSERT INTO replies VALUES (7)").Error })
		requireRefused(t, err, foreignKeyViolation)
		require.False(t, fault.Is(err, fault.KindUnavailable), "%v", err)

		err = e.write(func(tx *gorm.DB) error { return tx.Create(newNote(1, "odd")).Error })
		requireRefused(t, err, checkViolation)
		require.False(t, fault.Is(err, fault.KindUnavailable), "%v", err)

		e.exec("ALTER TABLE notes RENAME TO lost")
		_, err = e.find(1)
		require.Error(t, err)
		require.False(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		require.False(t, fault.Is(err, fault.KindNotFound), "%v", err)
	})
}

func TestDuplicateIsTheSameErrorOnBothEngines(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.insert(newNote(1, "a"))
		e.insert(newNote(2, "b"))
		for name, write := range map[string]func(*gorm.DB) error{
			"insert":      func(tx *gorm.DB) error { return tx.Create(newNote(3, "a")).Error },
			"primary key": func(tx *gorm.DB) error { return tx.Create(newNote(1, "c")).Error },
			"update":      func(tx *gorm.DB) error { return tx.Model(&note{ID: 2}).Update("body", "a").Error },
			"SQL":         func(tx *gorm.DB) error { return tx.Exec("UPDATE notes SET body = 'a'").Error },
		} {
			var inside error
			err := e.write(func(tx *gorm.DB) error {
				inside = write(tx)
				return inside
			})
			require.ErrorIs(t, inside, gorm.ErrDuplicatedKey, name)
			require.ErrorIs(t, err, gorm.ErrDuplicatedKey, name)
			require.False(t, fault.Is(err, fault.KindUnavailable), "%s: %v", name, err)
		}
		require.Equal(t, 2, e.count())
	})
}

// On PostgreSQL a statement that fails ends its transaction, also where the error is ignored. On SQLite only the statement
// fails.
func TestIgnoredErrorPreventsCommitOnPostgres(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) {
		fail := func(tx *gorm.DB) {
			require.Error(t, tx.Exec("INSERT INTO replies VALUES (7)").Error)
			_ = tx.Take(&note{}, 1).Error
		}
		for _, begun := range []bool{false, true} {
			require.Error(t, e.write(func(tx *gorm.DB) error {
				if begun {
					require.NoError(t, tx.Create(newNote(1, "a")).Error)
				}
				fail(tx)
				return tx.Create(newNote(2, "b")).Error
			}))
			require.Error(t, e.write(func(tx *gorm.DB) error {
				if begun {
					require.NoError(t, tx.Create(newNote(1, "a")).Error)
				}
				fail(tx)
				return nil
			}), "a commit that only rolled back must not look like a success")
		}
		require.Zero(t, e.count())
	})
}

func TestSnapshotShowsOneMoment(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.insert(newNote(1, "before"))
		require.NoError(t, e.db.Snapshot(t.Context(), func(tx *gorm.DB, _ time.Time) error {
			var before, after note
			require.NoError(t, tx.Take(&before, 1).Error)
			require.NoError(t, e.write(func(other *gorm.DB) error {
				return errors.Join(other.Model(&note{ID: 1}).Update("body", "after").Error, other.Create(newNote(2, "b")).Error)
			}))
			require.NoError(t, tx.Take(&after, 1).Error)
			require.Equal(t, "before", after.Body)
			var total int64
			require.NoError(t, tx.Model(&note{}).Count(&total).Error)
			require.EqualValues(t, 1, total)
			return nil
		}))
		found, err := e.find(1)
		require.NoError(t, err)
		require.Equal(t, "after", found.Body)
	})
}

// Each statement of Read sees what was committed when the statement began.
func TestReadSeesEachCommit(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		require.NoError(t, e.read(func(tx *gorm.DB) error {
			err := tx.Take(&note{}, 1).Error
			require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
			e.insert(newNote(1, "a"))
			return tx.Take(&note{}, 1).Error
		}))
	})
}

func TestReadAndSnapshotRefuseWrites(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.insert(newNote(1, "before"))
		next := int64(1)
		for way, run := range map[string]func(context.Context, func(*gorm.DB, time.Time) error) error{
			"read": e.db.Read, "list": e.listsOf(uuid.New()), "snapshot": e.db.Snapshot,
		} {
			for name, write := range map[string]func(*gorm.DB) error{
				"create": func(tx *gorm.DB) error { return tx.Create(newNote(-1, "created")).Error },
				"create a batch": func(tx *gorm.DB) error {
					return tx.CreateInBatches([]*note{newNote(-1, "c"), newNote(-2, "d")}, 1).Error
				},
				"save":            func(tx *gorm.DB) error { return tx.Save(newNote(1, "saved")).Error },
				"update":          func(tx *gorm.DB) error { return tx.Model(&note{ID: 1}).Update("body", "updated").Error },
				"update by map":   func(tx *gorm.DB) error { return tx.Model(&note{ID: 1}).Updates(map[string]any{"body": "u"}).Error },
				"update a column": func(tx *gorm.DB) error { return tx.Model(&note{ID: 1}).UpdateColumn("body", "updated").Error },
				"delete":          func(tx *gorm.DB) error { return tx.Delete(&note{ID: 1}).Error },
				"SQL":             func(tx *gorm.DB) error { return tx.Exec("DELETE FROM notes").Error },
			} {
				for range 5 { // on each connection of a pool, which must still be able to write afterwards
					var inside error
					err := run(t.Context(), func(tx *gorm.DB, _ time.Time) error {
						inside = write(tx)
						return inside
					})
					require.ErrorIs(t, inside, database.ErrReadOnly, "%s %s", way, name)
					require.ErrorIs(t, err, database.ErrReadOnly, "%s %s", way, name)
					next++
					require.NoError(t, e.write(func(tx *gorm.DB) error {
						return tx.Create(newNote(next, time.Now().Format(time.RFC3339Nano)+name)).Error
					}), name)
				}
			}
		}
		found, err := e.find(1)
		require.NoError(t, err)
		require.Equal(t, "before", found.Body)
		require.EqualValues(t, next, e.count())
	})
}

// A query that writes is a query to GORM. The engine itself refuses it in a snapshot.
func TestSnapshotRefusesQueryThatWrites(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.insert(newNote(1, "before"))
		for range 5 {
			require.Error(t, e.db.Snapshot(t.Context(), func(tx *gorm.DB, _ time.Time) error {
				var body string
				return tx.Raw("UPDATE notes SET body = 'after' RETURNING body").Scan(&body).Error
			}))
		}
		found, err := e.find(1)
		require.NoError(t, err)
		require.Equal(t, "before", found.Body)
	})
}

func TestSecondWriterWaits(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.insert(&note{ID: 1, Body: "0", At: time.Unix(0, 0)})
		increment := func(tx *gorm.DB) error {
			found, err := lockNote(tx, 1)
			if err != nil {
				return err
			}
			return tx.Model(&found).Update("at", found.At.Add(time.Second)).Error
		}
		locked, release := make(chan struct{}), make(chan struct{})
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			first <- e.write(func(tx *gorm.DB) error {
				err := increment(tx)
				close(locked)
				<-release
				return err
			})
		}()
		<-locked
		go func() { second <- e.write(increment) }()
		select {
		case err := <-second:
			close(release)
			require.Fail(t, "the second writer did not wait", "%v", err)
		case <-time.After(200 * time.Millisecond):
		}
		close(release)
		require.NoError(t, <-first)
		require.NoError(t, <-second)

		var writers sync.WaitGroup
		for range 8 {
			writers.Go(func() {
				for range 10 {
					assert.NoError(t, e.write(increment))
				}
			})
		}
		writers.Wait()
		found, err := e.find(1)
		require.NoError(t, err)
		require.EqualValues(t, 82, found.At.Unix())
	})
}

func TestLockAdmitsOneTransaction(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		same, other := make(chan error, 1), make(chan error, 1)
		require.NoError(t, e.write(func(tx *gorm.DB) error {
			require.NoError(t, e.db.Lock(tx, 1))
			require.NoError(t, e.db.Lock(tx, 1), "a transaction does not wait for itself")
			go func() { same <- e.write(func(tx *gorm.DB) error { return e.db.Lock(tx, 1) }) }()
			if e.postgres { // SQLite has one writer at a time
				go func() { other <- e.write(func(tx *gorm.DB) error { return e.db.Lock(tx, 2) }) }()
				require.NoError(t, <-other)
			}
			requireWaits(t, same, "the transaction with the same number did not wait")
			return nil
		}))
		require.NoError(t, <-same)
	})
}

// Two transactions lock each other's rows. The server ends one of them, which runs again. Where the server ends it each time,
// the caller is told to try again.
func TestPostgresDeadlock(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) { // SQLite has one writer at a time
		e.insert(newNote(1, "a"))
		e.insert(newNote(2, "b"))
		holding, proceed := make(chan struct{}, 2), make(chan struct{})
		var (
			all  errgroup.Group
			runs atomic.Int64
		)
		for _, ids := range [][2]int64{{1, 2}, {2, 1}} {
			hold := sync.OnceFunc(func() { holding <- struct{}{}; <-proceed })
			all.Go(func() error {
				return e.write(func(tx *gorm.DB) error {
					runs.Add(1)
					if _, err := lockNote(tx, ids[0]); err != nil {
						return err
					}
					hold()
					_, err := lockNote(tx, ids[1])
					return err
				})
			})
		}
		<-holding
		<-holding
		close(proceed)
		require.NoError(t, all.Wait())
		require.GreaterOrEqual(t, runs.Load(), int64(3))

		runs.Store(0)
		err := e.write(func(tx *gorm.DB) error {
			runs.Add(1)
			return tx.Exec("DO $$ BEGIN RAISE serialization_failure; END $$").Error
		})
		require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		require.ErrorIs(t, err, database.ErrUnavailable)
		require.EqualValues(t, 4, runs.Load())
	})
}

func TestTransactionHasOneTime(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		for way, run := range map[string]func(context.Context, func(*gorm.DB, time.Time) error) error{
			"read": e.db.Read, "list": e.listsOf(uuid.New()), "snapshot": e.db.Snapshot, "write": e.db.Write,
		} {
			require.NoError(t, run(t.Context(), func(_ *gorm.DB, now time.Time) error {
				require.WithinDuration(t, time.Now(), now, 10*time.Second, way)
				require.Equal(t, time.UTC, now.Location(), way)
				require.Equal(t, now.Truncate(time.Microsecond), now, way)
				return nil
			}))
		}
		now, err := e.db.Now(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), now, 10*time.Second)
		require.Equal(t, time.UTC, now.Location())
	})
}

func TestClockOfOptionsMovesTransactionsOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		clock := storetest.NewClock(time.Date(2030, 1, 1, 1, 0, 0, 123456789, time.FixedZone("", 3600)))
		e := newEnv(t, engine, database.Options{Clock: clock.Now})
		for way, run := range map[string]func(context.Context, func(*gorm.DB, time.Time) error) error{
			"read": e.db.Read, "list": e.listsOf(uuid.New()), "snapshot": e.db.Snapshot, "write": e.db.Write,
		} {
			clock.Advance(time.Hour)
			require.NoError(t, run(t.Context(), func(_ *gorm.DB, now time.Time) error {
				require.Equal(t, clock.Now().UTC().Truncate(time.Microsecond), now, way)
				return nil
			}))
		}
		now, err := e.db.Now(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), now, 10*time.Second)
	})
}
