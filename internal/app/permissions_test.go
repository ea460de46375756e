package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// loosen gives a file or folder that a command made a mode, whatever the umask.
func loosen(t *testing.T, env *harness.Env, name string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(env.Dir, name)
	if _, err := os.Stat(path); err != nil {
		env.WriteFile(name, "")
	}
	require.NoError(t, os.Chmod(path, mode))
}

// newOnDisk returns an Env whose database and directory exist.
func newOnDisk(t *testing.T) *harness.Env {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing on Windows")
	}
	env := setup(t, "")
	env.WriteFile("people.yaml", harness.Directory)
	env.Apply()
	require.NoError(t, os.Mkdir(filepath.Join(env.Dir, "data", "mail"), 0o700))
	return env
}

func TestDatabaseThatAnybodyCanWrite(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]os.FileMode{
		"data": 0o777, "data/invited.db": 0o666, "data/invited.db-wal": 0o602, "data/invited.db-journal": 0o646,
	} {
		for _, command := range databaseCommands {
			t.Run(name+" "+strings.Join(command, " "), func(t *testing.T) {
				t.Parallel()
				env := newOnDisk(t)
				loosen(t, env, name, mode)
				before, err := os.Stat(filepath.Join(env.Dir, "data", "invited.db"))
				require.NoError(t, err)
				env.Run("", command...).Fails("the database: anybody can write ", name+" (mode 0", "run chmod o-w ")
				after, err := os.Stat(filepath.Join(env.Dir, "data", "invited.db"))
				require.NoError(t, err)
				require.Equal(t, before.ModTime(), after.ModTime(), "nothing is written")

				require.NoError(t, exec.CommandContext(t.Context(), "chmod", "o-w", filepath.Join(env.Dir, name)).Run())
				if command[0] != "serve" {
					require.Zero(t, env.Run("", command...).Code, "the advice helps")
				}
			})
		}
	}
}

// The link is in a folder of the server, and the file in one of everybody.
func TestDatabaseBehindALink(t *testing.T) {
	t.Parallel()
	env := newOnDisk(t)
	require.NoError(t, os.Mkdir(filepath.Join(env.Dir, "open"), 0o700))
	require.NoError(t, os.Rename(filepath.Join(env.Dir, "data", "invited.db"), filepath.Join(env.Dir, "open", "invited.db")))
	require.NoError(t, os.Symlink("../open/invited.db", filepath.Join(env.Dir, "data", "invited.db")))
	env.Run("", "directory", "export").OK()
	loosen(t, env, "open", 0o777)
	env.Run("", "directory", "export").Fails("anybody can write", "open (mode 0777)")
	loosen(t, env, "open", 0o700)
	loosen(t, env, "open/invited.db-wal", 0o666)
	env.Run("", "directory", "export").Fails("anybody can write", "open/invited.db-wal (mode 0666)")
}

func TestKeyAndMailFolderThatAnybodyCanWrite(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	for name, test := range map[string]struct {
		mode    os.FileMode
		words   string
		instead string // a variable with which the path is not used
	}{
		"data/secret.key": {0o622, "the secret key: anybody can write data/secret.key (mode 0622)", "INVITED_SECRET_KEY=" + key},
		"data/mail":       {0o773, "INVITED_MAIL_DIR: anybody can write data/mail (mode 0773)", "INVITED_SMTP_URL=smtp://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newOnDisk(t).Set("INVITED_SECRET_KEY=")
			env.WriteFile("data/secret.key", key)
			loosen(t, env, name, test.mode)
			env.Run("", "serve").Fails(test.words, "run chmod o-w "+name)
			env.Run("", "directory", "export").OK() // uses neither
			env.Set(test.instead, "INVITED_TEMPLATES_DIR=nowhere")
			env.Run("", "serve").Fails("INVITED_TEMPLATES_DIR")
		})
	}
}

// In a folder such as /tmp nobody can replace the server's files, but anybody can make them before the server does.
func TestStickyFolder(t *testing.T) {
	t.Parallel()
	env := newOnDisk(t)
	loosen(t, env, "data", 0o777|os.ModeSticky)
	loosen(t, env, "data/mail", 0o777|os.ModeSticky)
	env.Run("", "directory", "export").OK()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	env.Set("INVITED_SECRET_KEY=", "INVITED_DATABASE_URL=sqlite://data/new.db")
	for _, name := range []string{"data/new.db", "data/new.db-wal", "data/secret.key"} {
		path := filepath.Join(env.Dir, name)
		env.WriteFile(name, "")
		require.NoError(t, os.Chown(path, 12345, -1))
		env.Run("", "serve").Fails(name+" belongs to another user", "use a folder of its own")
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Symlink("mail", path))
		require.NoError(t, os.Lchown(path, 12345, -1))
		env.Run("", "serve").Fails(name + " belongs to another user")
		require.NoError(t, os.Remove(path))
	}
}

// A volume that anybody can write does not stop a server whose folder is one level down: the server makes that folder.
// Whatever the umask, nobody else can write what the server makes, and nobody else can read more than before.
func TestNewFilesAreTheServersOnly(t *testing.T) {
	t.Parallel()
	env := newOnDisk(t)
	require.NoError(t, os.Mkdir(filepath.Join(env.Dir, "volume"), 0o700))
	loosen(t, env, "volume", 0o777)
	env.Set("INVITED_DATABASE_URL=sqlite://volume/invited/invited.db", "INVITED_MAIL_DIR=volume/invited/mail", "INVITED_SECRET_KEY=")
	program := env.Program
	env.Program = filepath.Join(env.Dir, "program")
	require.NoError(t, os.WriteFile(env.Program, []byte("#!/bin/sh\numask 000\nexec '"+program+"' \"$@\"\n"), 0o700))
	env.Apply()
	p := env.Serve()
	p.WaitDelivered(p.Create("ina@university.example").UUID)
	seen := map[string]bool{}
	require.NoError(t, filepath.Walk(filepath.Join(env.Dir, "volume", "invited"), func(path string, info os.FileInfo, err error) error {
		require.NoError(t, err)
		seen[filepath.Base(path)] = true
		require.Zero(t, info.Mode().Perm()&0o007, path)
		if info.IsDir() || filepath.Base(path) != "invited.db-shm" {
			require.Zero(t, info.Mode().Perm()&0o077, path)
		}
		return nil
	}))
	for _, name := range []string{"invited.db", "invited.db-wal", "invited.db-shm", "secret.key", "mail"} {
		require.True(t, seen[name], name)
	}
	p.Stop()
}
