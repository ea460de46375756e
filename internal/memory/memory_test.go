package memory

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

//nolint:paralleltest // the target is the whole process's
func TestEconomize(t *testing.T) {
	target := func() int {
		percent := debug.SetGCPercent(100)
		debug.SetGCPercent(percent)
		return percent
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	first, second := Economize(100), Economize(20)
	require.Equal(t, 20, target())
	third := Economize(100)
	first()
	require.Equal(t, 20, target())
	second()
	require.Equal(t, 100, target())
	third()
	require.Equal(t, 400, target())

	for usual, during := range map[int]int{50: 50, -1: 100} { // GOGC=off is -1
		debug.SetGCPercent(usual)
		end := Economize(100)
		require.Equal(t, during, target())
		end()
		require.Equal(t, usual, target())
	}
}
