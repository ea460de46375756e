package dirfile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/storetest"
)

// env is a fresh database.
type env struct {
	t     *testing.T
	store directory.FileStore
}

func setup(t *testing.T, engine storetest.Engine, clock func() time.Time) *env {
	t.Helper()
	return &env{t: t, store: engine.Open(t, clock).FileStore()}
}

// eachEngine runs a test on a fresh database of each engine.
func eachEngine(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) { test(t, setup(t, engine, nil)) })
}

// eachEngineAt runs a test on databases whose clock stands still until the test moves it.
func eachEngineAt(t *testing.T, start time.Time, test func(t *testing.T, e *env, clock *storetest.Clock)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		clock := storetest.NewClock(start)
		test(t, setup(t, engine, clock.Now), clock)
	})
}

func decode(t *testing.T, text string) *dirfile.File {
	t.Helper()
	file, err := dirfile.Decode(strings.NewReader(text))
	require.NoError(t, err)
	return file
}

func (e *env) apply(text string) dirfile.Report {
	e.t.Helper()
	report, err := dirfile.Apply(context.Background(), e.store, decode(e.t, text), nil)
	require.NoError(e.t, err)
	return report
}

// applyError returns the text of the *dirfile.Error that Apply returns for a file.
func (e *env) applyError(text string) string {
	e.t.Helper()
	report, err := dirfile.Apply(context.Background(), e.store, decode(e.t, text), nil)
	var problems *dirfile.Error
	require.ErrorAs(e.t, err, &problems)
	require.Zero(e.t, report)
	return err.Error()
}

func (e *env) export() string {
	e.t.Helper()
	var text strings.Builder
	require.NoError(e.t, dirfile.Export(context.Background(), e.store, &text))
	return text.String()
}

func (e *env) read(f func(directory.FileTx) error) {
	e.t.Helper()
	require.NoError(e.t, e.store.Read(context.Background(), f))
}

// user returns the user with a username, or the zero User when there is none.
func (e *env) user(username string) (found directory.User) {
	e.t.Helper()
	e.read(func(tx directory.FileTx) error {
		users, err := tx.FindUsers(nil, []string{username})
		if len(users) > 0 {
			found = users[0]
		}
		return err
	})
	return found
}
