package jobs_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// The tests of this package read and write the store through this file, and open it through openStore.

func (env *testEnv) openStore(e storetest.Engine) {
	env.t.Helper()
	env.db = e.Open(env.t, env.clock.Now)
}

func (env *testEnv) applyDirectory(yaml string) {
	env.t.Helper()
	parsed, err := directory.Parse(strings.NewReader(yaml))
	require.NoError(env.t, err)
	_, err = directory.Apply(env.t.Context(), env.db.Directory(), parsed, nil)
	require.NoError(env.t, err)
}

func (env *testEnv) user(name string) directory.User {
	env.t.Helper()
	var found []directory.User
	require.NoError(env.t, env.db.Read(env.t.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.UsersBy(nil, []string{name})
		return err
	}))
	require.Len(env.t, found, 1)
	return found[0]
}

func (env *testEnv) users() (found []directory.User) {
	env.t.Helper()
	require.NoError(env.t, env.db.Read(env.t.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.UsersAfter("", 100)
		return err
	}))
	return found
}

func (env *testEnv) find(id uuid.UUID) (found invitation.Invitation) {
	env.t.Helper()
	require.NoError(env.t, env.db.Read(env.t.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	}))
	return found
}

// events lists the events of an invitation, the newest first.
func (env *testEnv) events(id uuid.UUID) (found []invitation.Event) {
	env.t.Helper()
	require.NoError(env.t, env.db.Read(env.t.Context(), func(tx *store.Tx) error {
		events, total, err := tx.Events(id, directory.Window{Limit: 1000})
		require.Len(env.t, events, total)
		found = events
		return err
	}))
	return found
}

func (env *testEnv) enqueue(job invitation.Job) {
	env.t.Helper()
	require.NoError(env.t, env.db.Write(env.t.Context(), func(tx *store.Tx) error { return tx.Enqueue(job) }))
}

func (env *testEnv) exec(statement string) {
	env.t.Helper()
	require.NoError(env.t, env.db.Queue().GetExecutor().Exec(env.t.Context(), statement))
}

// queryText returns the only column of a query's only row.
func (env *testEnv) queryText(query string) (text string) {
	env.t.Helper()
	require.NoError(env.t, env.db.Queue().GetExecutor().QueryRow(env.t.Context(), query).Scan(&text))
	return text
}

// rollbackStore is a store where every commit fails.
type rollbackStore struct{ invitation.Store }

var errCommit = errors.New("the commit failed")

func (s rollbackStore) Write(ctx context.Context, f func(invitation.Tx) error) error {
	return s.Store.Write(ctx, func(tx invitation.Tx) error { return errors.Join(f(tx), errCommit) })
}

// slowSweepStore is a store where nothing is due, and where a sweep doesn't end before finish is closed.
type slowSweepStore struct {
	invitation.Store
	begun, finish chan struct{}
}

func (s slowSweepStore) Write(ctx context.Context, f func(invitation.Tx) error) error {
	var isSweep bool
	err := s.Store.Write(ctx, func(tx invitation.Tx) error { return f(nothingDueTx{tx, &isSweep}) })
	if isSweep {
		select {
		case s.begun <- struct{}{}:
		case <-s.finish:
		case <-ctx.Done():
		}
		select {
		case <-s.finish:
		case <-ctx.Done():
		}
	}
	return err
}

type nothingDueTx struct {
	invitation.Tx
	isSweep *bool
}

func (tx nothingDueTx) Due(invitation.Due, time.Time, time.Time, int) ([]invitation.Invitation, error) {
	*tx.isSweep = true
	return nil, nil
}
