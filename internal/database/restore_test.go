package database_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/storetest"
)

// Who opens a database while it is replaced has the new one, and who has it open keeps others from replacing it.
func TestOpenWhileReplaced(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, with := filepath.Join(folder, "invited.db"), filepath.Join(folder, "new.db")
	for _, each := range []string{path, with} {
		db := storetest.Open(t, "sqlite://"+each, nil)
		require.NoError(t, db.Write(t.Context(), func(tx *gorm.DB, _ time.Time) error {
			return tx.Exec("CREATE TABLE names AS SELECT ? AS name", filepath.Base(each)).Error
		}))
		_, err := database.ClaimFile(t.Context(), each)
		require.ErrorIs(t, err, database.ErrInUse)
		require.NoError(t, db.Close())
	}
	claim, err := database.ClaimFile(t.Context(), path)
	require.NoError(t, err)

	db := storetest.Open(t, "sqlite://"+path, nil)
	read := make(chan string, 1)
	go func() {
		var name string
		err := db.Write(context.WithoutCancel(t.Context()), func(tx *gorm.DB, _ time.Time) error {
			if err := tx.Raw("SELECT name FROM names").Scan(&name).Error; err != nil {
				return err
			}
			return tx.Exec("INSERT INTO names VALUES ('written')").Error
		})
		assert.NoError(t, err)
		read <- name
	}()
	require.Never(t, func() bool { return len(read) > 0 }, 300*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, claim.Replace(with, filepath.Join(folder, "kept.db")))
	require.NoError(t, claim.Release())
	require.Equal(t, "new.db", <-read)
	require.NoError(t, db.Close())

	db = storetest.Open(t, "sqlite://"+path, nil)
	var names []string
	require.NoError(t, db.Write(t.Context(), func(tx *gorm.DB, _ time.Time) error { return tx.Raw("SELECT name FROM names").Scan(&names).Error }))
	require.Equal(t, []string{"new.db", "written"}, names)
}

// A folder that can't be written has no file to lock: its database is opened without one.
func TestOpenWithoutALock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "invited.db")
	require.NoError(t, os.Mkdir(path+".restore.lock", 0o700)) // which fails for every user
	db := storetest.Open(t, "sqlite://"+path, nil)
	_, err := db.Migrate(t.Context())
	require.NoError(t, err)
}
