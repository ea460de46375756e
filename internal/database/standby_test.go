package database_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/storetest/postgres"
)

// Lists are read from a standby, and each list finds what was committed before it was asked for: while others write, while the
// standby lags behind, while it is gone, when it is back, and when it was made a writer of its own.
func TestListsOnStandby(t *testing.T) {
	t.Parallel()
	bin := postgres.Find(t.Context())
	require.NotEmpty(t, bin)
	writer, err := postgres.New(t.Context(), bin, "synchronous_commit=on")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, writer.Remove()) })
	standby, err := writer.NewStandby(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Remove()) })
	admin := outside(t, standby.URL)

	db := open(t, writer.URL, database.Options{PostgresRead: standby.URL})
	create := func(tx *gorm.DB, _ time.Time) error { return tx.Migrator().CreateTable(&note{}) }
	require.NoError(t, db.Write(t.Context(), create))
	var id int64
	writeAndList := func(caller uuid.UUID, id int64) {
		assert.NoError(t, db.Write(t.Context(), func(tx *gorm.DB, _ time.Time) error { return tx.Create(newNote(id, uuid.NewString())).Error }))
		assert.NoError(t, db.ReadList(t.Context(), caller, func(tx *gorm.DB, _ time.Time) error {
			var others int64
			if err := tx.Model(&note{}).Where("id <> ?", id).Count(&others).Error; err != nil {
				return err
			}
			return tx.Take(&note{}, id).Error
		}))
	}
	// uses does something and returns what became of the lists meanwhile.
	uses := func(f func()) database.StandbyUse {
		before, ok := db.StandbyUse()
		require.True(t, ok)
		f()
		after, _ := db.StandbyUse()
		return database.StandbyUse{Answered: after.Answered - before.Answered, Behind: after.Behind - before.Behind, Failed: after.Failed - before.Failed}
	}
	const lists = 200
	used := uses(func() {
		var all sync.WaitGroup
		for range 4 {
			caller := uuid.New()
			first := id
			id += lists / 4
			all.Go(func() {
				for i := range int64(lists / 4) {
					writeAndList(caller, first+i+1)
				}
			})
		}
		all.Wait()
	})
	t.Logf("while others write: %+v", used)
	require.NotZero(t, used.Answered)
	require.Zero(t, used.Failed)
	require.EqualValues(t, lists, used.Answered+used.Behind)

	require.ErrorIs(t, db.ReadList(t.Context(), uuid.New(), func(tx *gorm.DB, _ time.Time) error {
		return tx.Create(newNote(-1, "")).Error
	}), database.ErrReadOnly)

	run(t, admin, "SELECT pg_wal_replay_pause()")
	require.Equal(t, database.StandbyUse{Behind: 1}, uses(func() { id++; writeAndList(uuid.New(), id) }))
	run(t, admin, "SELECT pg_wal_replay_resume()")

	standby.Stop(postgres.Immediate)
	for range 2 { // an open connection breaks, and none can be opened
		require.Equal(t, database.StandbyUse{Failed: 1}, uses(func() { id++; writeAndList(uuid.New(), id) }))
		database.UseStandbyAgain(db)
	}
	require.NoError(t, standby.Start(t.Context()))
	database.UseStandbyAgain(db)
	require.Eventually(t, func() bool {
		return uses(func() { id++; writeAndList(uuid.New(), id) }).Answered == 1
	}, 10*time.Second, 10*time.Millisecond)

	require.NoError(t, standby.Pause(t.Context()))
	require.Equal(t, database.StandbyUse{Failed: 1}, uses(func() { id++; writeAndList(uuid.New(), id) }))
	standby.Resume()
	database.UseStandbyAgain(db)

	run(t, outside(t, standby.URL), "SELECT pg_promote()")
	require.Equal(t, database.StandbyUse{Behind: 1}, uses(func() { id++; writeAndList(uuid.New(), id) }))
}

func run(t *testing.T, pool *sql.DB, statement string) {
	t.Helper()
	_, err := pool.ExecContext(context.Background(), statement)
	require.NoError(t, err)
}
