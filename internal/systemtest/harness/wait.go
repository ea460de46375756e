package harness

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Limits of waits that name no limit of their own.
const (
	waitLimit    = 30 * time.Second
	receiveLimit = time.Minute
)

// WaitUntil waits until holds returns true. After limit it fails the test with what was waited for and with what state
// returns; state may be nil.
func WaitUntil(t testing.TB, limit time.Duration, what string, holds func() bool, state func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			details := ""
			if state != nil {
				details = state()
			}
			require.FailNow(t, "never happened: "+what, "%s", details)
		}
		<-ticker.C
	}
}

// Receive returns the next value of a channel. It fails the test where none comes.
func Receive[T any](t testing.TB, values <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-values:
		return value
	case <-time.After(receiveLimit):
		require.FailNow(t, "never happened: "+what)
		panic("unreachable")
	}
}

// Sleep waits for d, or until the test ends. It is for servers that take their time, not for tests that wait.
func Sleep(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
