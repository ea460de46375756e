package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

const oldestVersion = 13

// ErrNone is returned where no PostgreSQL is installed and none can be.
var ErrNone = fmt.Errorf("install PostgreSQL %d or newer", oldestVersion)

// Ensure returns the folder with the programs initdb and postgres. Where there is none, it installs PostgreSQL with the
// system's package manager, and calls report before. It returns ErrNone where that is impossible.
func Ensure(ctx context.Context, report func(format string, args ...any)) (string, error) {
	if dir := Find(ctx); dir != "" {
		return dir, nil
	}
	if err := install(ctx, report); err != nil {
		return "", errors.Join(err, ErrNone)
	}
	if dir := Find(ctx); dir != "" {
		return dir, nil
	}
	return "", ErrNone
}

// Folder is the environment variable with the folder of a server's programs, which is used before any other.
const Folder = "INVITED_TEST_POSTGRES_BIN"

// Find returns the first folder with a server of version 13 or newer, or "".
func Find(ctx context.Context) string {
	var dirs []string
	if dir := os.Getenv(Folder); dir != "" {
		dirs = append(dirs, dir)
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian
		"/usr/libexec/postgresql*",  // Alpine
		"/usr/pgsql-*/bin",          // PostgreSQL's own packages for Red Hat
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, _ := filepath.Glob(pattern) // fails only for a bad pattern
		dirs = append(dirs, newestFirst(found)...)
	}
	for _, dir := range dirs {
		if serverVersion(ctx, dir) >= oldestVersion {
			return dir
		}
	}
	return ""
}

var digits = regexp.MustCompile(`\d+`)

func newestFirst(dirs []string) []string {
	version := func(dir string) int {
		n, _ := strconv.Atoi(digits.FindString(dir)) // 0 where the folder has no version
		return n
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	return dirs
}

// serverVersion returns the major version of the server in a folder, or 0 where there is none.
func serverVersion(ctx context.Context, dir string) int {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return 0
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(digits.FindString(string(out)))
	return n
}

// Debian's package creates and starts a server of its own, unless a file in its configuration folder forbids it. The file
// is removed afterwards.
const aptInstall = `set -e
conf=/etc/postgresql-common/createcluster.d/withpostgres.conf
mkdir -p "${conf%/*}"
trap 'rm -f "$conf"' EXIT
echo 'create_main_cluster = false' >"$conf"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends postgresql`

// install runs the first package manager that it finds. The package manager's output goes to stderr, so that it does not mix
// with the output of withpostgres's command.
func install(ctx context.Context, report func(string, ...any)) error {
	for _, manager := range []struct {
		name, script string
		asRoot       bool
	}{
		{"apt-get", aptInstall, true},
		{"dnf", "dnf install -y postgresql-server", true},
		{"apk", "apk add postgresql", true},
		{"brew", "brew install postgresql@17", false},
	} {
		if _, err := exec.LookPath(manager.name); err != nil {
			continue
		}
		args := []string{"sh", "-c", manager.script}
		if manager.asRoot && os.Getuid() != 0 {
			if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
				return errors.New("no PostgreSQL server is installed, and installing one needs root")
			}
			args = append([]string{"sudo", "-n"}, args...)
		}
		report("no PostgreSQL server is installed: installing one with %s", manager.name)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", manager.name, err)
		}
		return nil
	}
	return fmt.Errorf("no PostgreSQL server is installed, and no package manager known on %s", runtime.GOOS)
}
