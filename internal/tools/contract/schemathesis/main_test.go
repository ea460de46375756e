package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorsInTheLogAreFound(t *testing.T) {
	t.Parallel()
	log := func(line string) error {
		return complaints("SQLite", "time=2026-11-23T22:50:47.295Z level=INFO msg=serving\n"+line+"\n")
	}
	require.NoError(t, log("time=2026-11-23T22:50:49.263Z level=INFO msg=request path=/level status=500"))
	require.NoError(t, log(`time=2026-11-23T22:50:49.263Z level=WARN msg="no panic: only slow"`))
	require.Error(t, log(`time=2026-11-23T22:50:49.263Z level=ERROR msg="request failed" status=500`))
	require.Error(t, log("panic: runtime error: index out of range"))
	require.Error(t, log("goroutine 1 [running]:"))
}

func TestAPersonaIsWarnedOfWhatItMayDo(t *testing.T) {
	t.Parallel()
	for _, p := range personas {
		said := string(p.settings())
		require.Contains(t, said, "[checks.Worked]\noperations = ["+quoted(p.may)+"]", p.name)
		require.NotContains(t, said, "include-operation-id = \""+p.may[0]+"\"", p.name)
		require.Equal(t, p.user != "", strings.Contains(said, "[auth.openapi.tokenAuth]"), p.name)
	}
}
