//go:build unix

package app

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"invited/internal/config"
)

// keepOthersOut takes every permission of other users from the files that the process makes from now on.
func keepOthersOut() {
	const others = 0o007
	syscall.Umask(syscall.Umask(others) | others)
}

// checkDatabaseFile returns an error that says what to do where any user of the machine can change the SQLite database.
func checkDatabaseFile(c config.Config) error {
	if c.Database.Engine != config.SQLite {
		return nil
	}
	paths := []string{c.Database.Path}
	if target, err := filepath.EvalSymlinks(c.Database.Path); err == nil {
		paths = append(paths, target) // SQLite keeps its other files beside the database, and not beside a link to it
	}
	for _, path := range paths {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			if err := checkFile(path + suffix); err != nil {
				return fmt.Errorf("the database: %w", err)
			}
		}
	}
	return nil
}

// checkSecretFile does the same for the file of the generated key, where the key is used.
func checkSecretFile(c config.Config) error {
	if c.SecretKey != "" || c.Database.Engine != config.SQLite {
		return nil
	}
	if err := checkFile(c.SecretFile()); err != nil {
		return fmt.Errorf("the secret key: %w", err)
	}
	return nil
}

// checkMailDir does the same for the mail folder.
func checkMailDir(c config.Config) error {
	if err := checkMode(c.MailDir); err != nil {
		return fmt.Errorf("INVITED_MAIL_DIR: %w", err)
	}
	return nil
}

// checkFile returns an error where any user can write a file, or replace it in its folder. In a sticky folder, such as
// /tmp, nobody can replace another user's file, but anybody can have made the file first.
//
// The folders above are not checked. Whoever can write one of those can move the file's folder away, but unless the
// server is root, it can't write what another user puts there and these checks admit.
func checkFile(path string) error {
	folder := filepath.Dir(path)
	if err := checkMode(folder); err != nil {
		return err
	}
	if err := checkMode(path); err != nil {
		return err
	}
	file, err := os.Lstat(path) // of a link, too: whoever owns the link chooses the file
	if err != nil {
		return nil //nolint:nilerr // made by the server, or reported where the file is opened
	}
	owner := file.Sys().(*syscall.Stat_t).Uid
	if isWritableByAll(folder) && owner != 0 && int(owner) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user, and anybody could have made it in %s: use a folder of its own", path, folder)
	}
	return nil
}

// checkMode returns an error where any user can write a file, or add, replace and remove files in a folder.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil || !isWritableByAll(path) || info.IsDir() && info.Mode()&fs.ModeSticky != 0 {
		return nil //nolint:nilerr // made by the server, or reported where the path is opened
	}
	return fmt.Errorf("anybody can write %s (mode %04o): check its contents, then run chmod o-w %s", path, info.Mode().Perm(), path)
}

func isWritableByAll(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o002 != 0
}
