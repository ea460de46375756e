package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrNoBackup is the error of Backup on PostgreSQL, which has tools of its own.
var ErrNoBackup = errors.New("database: only a SQLite database is copied")

// Backup writes the database, as it is at one moment, into a new file that only its owner can read. Others read and write
// meanwhile. The file appears when it is complete. Backup returns ErrNoBackup on PostgreSQL, and fs.ErrExist where there is a file of
// the name.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	if db.IsPostgres() {
		return ErrNoBackup
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	unfinished := path + ".unfinished"
	_ = os.Remove(unfinished) // of a backup that was interrupted
	file, err := os.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = os.Remove(unfinished)
		}
	}()
	if err := db.writer.WithContext(ctx).Exec("VACUUM INTO ?", unfinished).Error; err != nil {
		return translate(db.engine, err)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
