package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/storetest/postgres"
)

// The tests start this test binary again as the program itself, because they
// check how its process ends.
const asProgram = "INVITED_TEST_AS_WITHPOSTGRES"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func program(t *testing.T, url string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", urlVariable+"="+url)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestCommandWithGivenServer(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name, command string
		code          int
	}{
		{"succeeds", `echo "$INVITED_TEST_POSTGRES_URL"`, 0},
		{"fails", `echo "$INVITED_TEST_POSTGRES_URL"; exit 7`, 7},
		{"is killed", `kill -9 $$`, 128 + 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := program(t, "postgres://given", "--", "sh", "-c", test.command)
			out, err := cmd.Output()
			assert.Equal(t, test.code, cmd.ProcessState.ExitCode(), err)
			if strings.HasPrefix(test.command, "echo") {
				assert.Equal(t, "postgres://given\n", string(out))
			}
		})
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()

	cmd := program(t, "", "--")
	require.Error(t, cmd.Run())
	assert.Equal(t, 2, cmd.ProcessState.ExitCode())
}

// The server ends with the program, also where a signal kills the program.
func TestServerEndsWithProgram(t *testing.T) {
	t.Parallel()
	if postgres.Find(t.Context()) == "" {
		t.Skip("no PostgreSQL server is installed here")
	}

	signals := []syscall.Signal{0, syscall.SIGTERM}
	if runtime.GOOS == "linux" {
		signals = append(signals, syscall.SIGKILL)
	}
	for _, signal := range signals {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			// The command prints the server's URL, and ends at SIGTERM or at the end of its
			// input.
			cmd := program(t, "", "--", "sh", "-c", `echo "$INVITED_TEST_POSTGRES_URL"; trap 'exit 7' TERM; read -r _; exit 7`)
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			line, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)
			url := strings.TrimSpace(line)

			conn, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			var dir string
			require.NoError(t, conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&dir))
			var lower string
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT lower('É')").Scan(&lower))
			assert.Equal(t, "é", lower)
			require.NoError(t, conn.Close(t.Context()))

			if signal == 0 {
				require.NoError(t, stdin.Close())
			} else {
				require.NoError(t, cmd.Process.Signal(signal))
			}
			_, err = io.Copy(io.Discard, stdout)
			require.NoError(t, err)
			require.Error(t, cmd.Wait())

			if signal == syscall.SIGKILL {
				leftover := strings.TrimSuffix(dir, "/data")
				t.Cleanup(func() {
					assert.Eventually(t, func() bool { return os.RemoveAll(leftover) == nil }, 10*time.Second, 10*time.Millisecond)
				})
			} else {
				assert.Equal(t, 7, cmd.ProcessState.ExitCode())
				assert.NoDirExists(t, dir)
			}
			assert.Eventually(t, func() bool { return !accepts(t.Context(), url) }, 10*time.Second, 10*time.Millisecond)
		})
	}
}

// accepts reports whether a PostgreSQL server answers at a URL.
func accepts(ctx context.Context, url string) bool {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return strings.Contains(err.Error(), "SQLSTATE") // the server refuses the user, but it runs
	}
	_ = conn.Close(ctx)
	return true
}
