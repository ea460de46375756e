//go:build linux && !race

package systemtest_test

import (
	"debug/elf"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// The program runs in a folder that holds nothing else, as in an empty container.
func TestProgramNeedsNoOtherFile(t *testing.T) {
	t.Parallel()
	binary, err := elf.Open(harness.Program)
	require.NoError(t, err)
	defer func() { _ = binary.Close() }()
	for _, section := range binary.Progs {
		require.NotEqual(t, elf.PT_INTERP, section.Type, "the program is loaded by another one, with its libraries")
	}
	if os.Getuid() != 0 {
		return // only root can make a folder the root of a process
	}
	env := harness.New(t, "")
	program, err := os.ReadFile(harness.Program)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(env.Dir, "invited"), program, 0o755))
	command := env.Command(t.Context(), "mail", "preview", "invitation_created")
	command.Path, command.Dir, command.SysProcAttr = "/invited", "/", &syscall.SysProcAttr{Chroot: env.Dir}
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Contains(t, string(output), "invitation")
}
