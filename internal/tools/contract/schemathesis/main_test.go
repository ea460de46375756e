package main

import (
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

func TestCheckLog(t *testing.T) {
	t.Parallel()
	log := func(line string) error {
		return checkLog("SQLite", "time=2026-11-23T22:50:47.295Z level=INFO msg=serving\n"+line+"\n")
	}
	require.NoError(t, log("time=2026-11-23T22:50:49.263Z level=INFO msg=request path=/level status=500"))
	require.NoError(t, log(`time=2026-11-23T22:50:49.263Z level=WARN msg="no panic: only slow"`))
	require.Error(t, log(`time=2026-11-23T22:50:49.263Z level=ERROR msg="request failed" status=500`))
	require.Error(t, log("panic: runtime error: index out of range"))
	require.Error(t, log("goroutine 1 [running]:"))
}

func TestSettingsOfPersonas(t *testing.T) {
	t.Parallel()
	for _, p := range personas {
		settings := string(p.settings())
		require.Contains(t, settings, "[checks.Worked]\noperations = ["+quoteList(p.may)+"]", p.name)
		require.NotContains(t, settings, "include-operation-id = \""+p.may[0]+"\"", p.name)
		require.Equal(t, p.user != "", strings.Contains(settings, "[auth.openapi.tokenAuth]"), p.name)
	}
}

func TestWithTokens(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile("../../../../openapi.yaml")
	require.NoError(t, err)
	contract, err = withTokens(contract, "v1.approval", "v1.rejection")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	require.NoError(t, err)
	for path, token := range map[string]string{"approve": "v1.approval", "reject": "v1.rejection"} {
		body := doc.Paths.Value("/api/user-invitations/" + path + "/").Post.RequestBody.Value
		require.Equal(t, map[string]any{"token": token}, body.Content["application/json"].Example, path)
	}

	_, err = withTokens([]byte("example: {token: v1.x}"), "a", "b")
	require.Error(t, err)
}
