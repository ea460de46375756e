package jobs_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// The tests of this package read and write the store through this file, and open it through openStore.

func (env *testEnv) openStore(e storetest.Engine) {
	env.t.Helper()
	env.db = e.Open(env.t, env.clock.Now)
}

func (env *testEnv) applyDirectory(yaml string) {
	env.t.Helper()
	parsed, err := dirfile.Decode(strings.NewReader(yaml))
	require.NoError(env.t, err)
	_, err = dirfile.Apply(env.t.Context(), env.db.FileStore(), parsed, nil)
	require.NoError(env.t, err)
}

// user returns a user as a caller, with the grants that they hold.
func (env *testEnv) user(name string) (found directory.Actor) {
	env.t.Helper()
	var users []directory.User
	require.NoError(env.t, env.db.FileStore().Read(env.t.Context(), func(tx directory.FileTx) (err error) {
		users, err = tx.FindUsers(nil, []string{name})
		return err
	}))
	require.Len(env.t, users, 1)
	env.read(func(tx invitation.Tx) (err error) {
		found, err = tx.FindActor(users[0].UUID)
		return err
	})
	return found
}

func (env *testEnv) users() (found []directory.User) {
	env.t.Helper()
	require.NoError(env.t, env.db.FileStore().Read(env.t.Context(), func(tx directory.FileTx) (err error) {
		found, err = tx.UsersAfter("", 100)
		return err
	}))
	return found
}

func (env *testEnv) read(f func(invitation.Tx) error) {
	env.t.Helper()
	require.NoError(env.t, env.db.Invitations().Read(env.t.Context(), f))
}

func (env *testEnv) find(id uuid.UUID) (found invitation.Invitation) {
	env.t.Helper()
	env.read(func(tx invitation.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	})
	return found
}

// events lists the events of an invitation, the newest first.
func (env *testEnv) events(id uuid.UUID) (found []invitation.Event) {
	env.t.Helper()
	env.read(func(tx invitation.Tx) error {
		events, total, err := tx.ListEvents(id, directory.Window{Limit: 1000})
		require.Len(env.t, events, total)
		found = events
		return err
	})
	return found
}

func (env *testEnv) enqueue(job invitation.Job) {
	env.t.Helper()
	require.NoError(env.t, env.db.Invitations().Change(env.t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
		return []invitation.Change{{Jobs: []invitation.Job{job}}}, nil
	}))
}

func (env *testEnv) exec(statement string) {
	env.t.Helper()
	require.NoError(env.t, env.db.QueueDriver().GetExecutor().Exec(env.t.Context(), statement))
}

// queryText returns the only column of a query's only row.
func (env *testEnv) queryText(query string) (text string) {
	env.t.Helper()
	require.NoError(env.t, env.db.QueueDriver().GetExecutor().QueryRow(env.t.Context(), query).Scan(&text))
	return text
}

// rollbackStore is a store where every commit fails.
type rollbackStore struct{ invitation.Store }

var errCommit = errors.New("the commit failed")

func (s rollbackStore) Change(ctx context.Context, decide func(invitation.Tx) ([]invitation.Change, error)) error {
	return s.Store.Change(ctx, func(tx invitation.Tx) ([]invitation.Change, error) {
		changes, err := decide(tx)
		return changes, errors.Join(err, errCommit)
	})
}

// slowSweepStore is a store where nothing is due, and where a sweep doesn't end before finish is closed.
type slowSweepStore struct {
	invitation.Store
	begun, finish chan struct{}
}

func (s slowSweepStore) Change(ctx context.Context, decide func(invitation.Tx) ([]invitation.Change, error)) error {
	var isSweep bool
	err := s.Store.Change(ctx, func(tx invitation.Tx) ([]invitation.Change, error) { return decide(nothingDueTx{tx, &isSweep}) })
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

func (tx nothingDueTx) LockDue(invitation.Due, time.Time, time.Time, int) ([]invitation.Invitation, error) {
	*tx.isSweep = true
	return nil, nil
}
