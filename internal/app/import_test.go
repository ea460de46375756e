package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/waldur"
)

// A report that replaces a file which others can read is for its owner alone.
func TestImportReportIsForItsOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "left.csv")
	require.NoError(t, os.WriteFile(path, []byte("of before, and much longer than what is written now"), 0o600))
	require.NoError(t, os.Chmod(path, 0o644))
	r, err := newImportReport(path)
	require.NoError(t, err)
	require.NoError(t, r.write(waldur.Note{Kind: waldur.Users, ID: uuid.Nil, IsLeft: true, Reason: "was erased here"}))
	require.NoError(t, r.close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "kind,uuid,outcome,reason\nusers,00000000-0000-0000-0000-000000000000,left,was erased here\n", string(text))
	_, err = newImportReport(t.TempDir())
	require.Error(t, err)
}
