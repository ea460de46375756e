//go:build production

package systemtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Debian package installs a server that starts, keeps its settings over an upgrade, and goes away.
func TestPackage(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(os.Getenv("INVITED_TEST_RELEASE"), "invited_*_"+runtime.GOARCH+".deb"))
	require.NoError(t, err)
	require.Len(t, files, 1, "run make release-snapshot first")
	dir := source(t)
	content, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "invited.deb"), content, 0o644))
	m := boot(t, dir)
	const ready = "curl -sS --fail --retry 30 --retry-connrefused --retry-delay 1 http://127.0.0.1:8080/readyz\n"

	m.run("echo 127.0.0.1 localhost >>/etc/hosts; apt-get install -yq ./invited.deb")
	require.Regexp(t, `^invited v?[0-9]\S* \(commit [0-9a-f]{7,}, go`, m.ask("invited version"))
	require.Equal(t, "inactive", m.ask("systemctl is-active invited || true"), "it has no settings yet")
	require.Equal(t, "600 root /etc/invited/invited.env", m.ask("stat --format '%a %U %n' /etc/invited/invited.env"))
	m.run("systemd-analyze verify --man=no /usr/lib/systemd/system/invited.service")
	m.run("test -s /usr/share/man/man1/invited.1.gz; bash -c '. /usr/share/bash-completion/completions/invited'")

	// Without settings the server runs on SQLite.
	m.run("systemctl enable --now invited\n" + ready)
	first := m.ask("systemctl show --property MainPID --value invited")
	require.Equal(t, "invited", m.ask("stat --format %U /proc/"+first))
	m.run("test -s /var/lib/invited/data/invited.db")

	// The next version of the package takes over.
	m.run("echo \"INVITED_SITE_NAME='Kept'\" >>/etc/invited/invited.env; apt-get install -yq --reinstall ./invited.deb\n" + ready)
	require.NotEqual(t, first, m.ask("systemctl show --property MainPID --value invited"))
	require.Equal(t, "1", m.ask("grep -c Kept /etc/invited/invited.env"))

	m.run("apt-get remove -yq invited")
	require.Equal(t, "inactive", m.ask("systemctl is-active invited || true"))
	m.run("! test -e /usr/bin/invited; test -s /etc/invited/invited.env; test -s /var/lib/invited/data/invited.db")
	m.run("apt-get purge -yq invited; ! test -e /etc/invited/invited.env")
}
