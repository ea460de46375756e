package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/token"
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

// No two tokens are for one request, also where a request is in several mails: a token that another persona has used up
// never succeeds.
func TestMailedTokens(t *testing.T) {
	t.Parallel()
	folder, signer, staff := t.TempDir(), token.NewSigner("secret"), uuid.New()
	mail := func(name string, issued int64, invitations ...uuid.UUID) {
		var text strings.Builder
		for _, id := range invitations {
			for path, purpose := range map[string]token.Purpose{"approve": token.Approve, "reject": token.Reject} {
				signed := signer.Sign(token.Approval{Purpose: purpose, User: staff, Invitation: id, Issued: time.Unix(issued, 0)})
				text.WriteString("https://invited.example/invitation_" + path + "/" + signed + "/\r\n")
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text.String()), 0o600))
	}
	first, second, third := uuid.New(), uuid.New(), uuid.New()
	mail("1.eml", 1_800_000_000, first, second)
	mail("2.eml", 1_800_000_001, first, second, third)
	approvals, rejections, err := mailedTokens(folder)
	require.NoError(t, err)
	require.Len(t, approvals, 2)
	require.Len(t, rejections, 1)
	var found []uuid.UUID
	for _, each := range slices.Concat(approvals, rejections) {
		id, err := invitationOf(each)
		require.NoError(t, err)
		found = append(found, id)
	}
	require.Equal(t, []uuid.UUID{first, third, second}, found)

	mail("3.eml", 1_800_000_000)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "4.eml"), []byte("/invitation_approve/v1.AA.x/ /invitation_reject/v1.AA.x/"), 0o600))
	_, _, err = mailedTokens(folder)
	require.ErrorContains(t, err, "has 1 bytes")
}
