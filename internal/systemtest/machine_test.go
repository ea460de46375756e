//go:build production

package systemtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// bareDebian names the folder of a Debian that internal/tools/make/bare-debian.sh made.
const bareDebian = "INVITED_TEST_BARE_DEBIAN"

const (
	bootLimit   = 3 * time.Minute
	scriptLimit = 15 * time.Minute
)

// machine is a bare Debian that has booted: systemd is process 1, and the only network is the loopback device.
type machine struct {
	t   *testing.T
	pid string // of its process 1, as this machine sees it
}

// boot boots the bare Debian with a folder of this machine at /usr/src/invited. What the machine writes is in memory, and
// goes away with the test.
func boot(t *testing.T, source string) machine {
	t.Helper()
	root := os.Getenv(bareDebian)
	require.NotEmpty(t, root, "%s is not set: run make production-test", bareDebian)
	console := &harness.Output{}
	// No registration: the test needs no service manager on its own machine.
	cmd := exec.Command("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--volatile=overlay",
		"--console=read-only", fmt.Sprintf("--machine=invited-test-%d", os.Getpid()), "--directory="+root,
		"--bind-ro="+source+":/usr/src/invited", "--boot")
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = console, console, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	m := machine{t: t}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // nspawn shuts the machine down
		select {
		case <-ended:
		case <-time.After(bootLimit):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("console of the machine:\n%.20000s", console.String())
		}
	})
	children := fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid)
	harness.WaitUntil(t, bootLimit, "the machine has booted", func() bool {
		select {
		case <-ended:
			require.FailNow(t, "systemd-nspawn ended", console.String())
		default:
		}
		if found, err := os.ReadFile(children); err == nil {
			m.pid = strings.TrimSpace(string(found))
		}
		if m.pid == "" || strings.Contains(m.pid, " ") {
			return false
		}
		state, _ := m.command(t.Context(), "systemctl", "is-system-running").Output() // fails until it runs
		return strings.TrimSpace(string(state)) == "running"
	}, console.String)
	return m
}

// command returns a command that runs in the machine as root.
func (m machine) command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{
		"--target", m.pid, "--all", "env", "--chdir=/usr/src/invited", "-i", "HOME=/root", "LC_ALL=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.WaitDelay = 5 * time.Second // daemons that the command starts keep its output open
	return cmd
}

// run runs a script in one bash, which ends at the first command that fails, and returns what the script prints. It fails
// the test where a command of the script fails.
func (m machine) run(script string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), scriptLimit)
	defer cancel()
	cmd := m.command(ctx, "bash", "-euo", "pipefail", "-c", script)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		journal, _ := m.command(m.t.Context(), "journalctl", "--no-pager", "--lines=60").CombinedOutput()
		require.FailNow(m.t, "a command failed: "+err.Error(), "%s\nthe end of the journal:\n%s", output.String(), journal)
	}
	return output.String()
}

// ask returns the output of a script without the space around it.
func (m machine) ask(script string) string {
	m.t.Helper()
	return strings.TrimSpace(m.run(script))
}

// source returns a folder with what a checkout has after `make build`, as far as the pages name it.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS("../../deploy")))
	program, err := os.ReadFile(harness.Program)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "build"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "build", "invited"), program, 0o755))
	return dir
}
