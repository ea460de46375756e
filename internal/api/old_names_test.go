package api_test

import (
	"testing"
	"time"

	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// The former names of test helpers. Only cached_caller_test.go and statements_test.go use them: when those two use the
// new names, this file goes.

type world = env

const worldFile = directoryFile

var inEachWorld = onEachEngine

func newWorldOver(
	t *testing.T, engine storetest.Engine, file string, open func(clock func() time.Time) *store.Store, policies ...func(*invitation.Policy),
) *env {
	t.Helper()
	return newEnv(t, engine, envConfig{directory: file, open: open, policies: policies})
}

func (e *env) count(table string) string { return e.countRows(table) }
func (e *env) wait(until time.Time)      { e.setClock(until) }
func (r response) into(v any)            { r.decode(v) }
