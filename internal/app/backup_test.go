package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// A copy that was made while the server answered is a whole database, and another server goes on from it.
func TestBackup(t *testing.T) {
	t.Parallel()
	env := setup(t, storetest.Engines[0].Fresh(t)).Apply()
	p := env.Serve()
	kept := p.Create("kept@university.example").UUID
	p.WaitDelivered(kept)
	done := []string{"completed"}
	p.WaitUntil("the job is recorded", func() bool { return slices.Equal(done, env.DeliveryJobs()) })
	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		count := 0
		for {
			select {
			case <-stop:
				ended <- count
				return
			default:
				if got, err := p.TryDo("GET", harness.InvitationsPath+kept+"/", "sam", ""); err == nil && got.Status == 200 {
					count++
				}
			}
		}
	}()
	require.Contains(t, env.Run("", "backup", "copy.db").OK(), "copy.db: ")
	close(stop)
	require.NotZero(t, <-ended, "the server answered meanwhile")
	later := p.Create("later@university.example").UUID
	p.Stop()

	path := filepath.Join(env.Dir, "copy.db")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	env.Run("", "backup", "copy.db").Fails("copy.db exists already")
	env.Run("", "backup", filepath.Join("nowhere", "copy.db")).Fails("nowhere")
	require.Equal(t, 2, env.Run("", "backup").Code)
	env.With("INVITED_DATABASE_URL=sqlite://"+filepath.Join(env.Dir, "none.db")).Run("", "backup", "other.db").Fails("no database to copy")
	require.NoFileExists(t, filepath.Join(env.Dir, "none.db"))
	require.NoFileExists(t, filepath.Join(env.Dir, "other.db"))

	restored := env.With("INVITED_DATABASE_URL=sqlite://" + path)
	p = restored.Serve()
	require.Equal(t, "pending", p.Get(kept).State)
	p.Do("GET", harness.InvitationsPath+later+"/", "sam", "").Is(404)
	require.Equal(t, done, restored.DeliveryJobs(), "what was mailed is not mailed again")
	p.Stop()
}

func TestBackupOfPostgres(t *testing.T) {
	t.Parallel()
	setup(t, storetest.Engines[1].Fresh(t)).Run("", "backup", "copy.db").Fails("pg_dump")
}
