package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/ncruces/go-sqlite3"
	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/pressly/goose/v3"
)

// Errors of a restore.
var (
	// ErrInUse is the error where another process has a SQLite database open.
	ErrInUse = errors.New("database: another process has it open")
	// ErrDamaged is the error of Check where the pages of a SQLite database contradict each other, or it is none.
	ErrDamaged = errors.New("database: damaged")
	// ErrForeign is the error of Check where a program that is not this one has made a database.
	ErrForeign = errors.New("database: not one of this program")
	// ErrNewer is the error of Check where the schema is of a later version of this program.
	ErrNewer = errors.New("database: its schema is newer")
)

// beside are the endings of the files that SQLite keeps beside a database.
var beside = []string{"-wal", "-shm", "-journal"}

// replaceSuffix ends the name of the file that a process locks while it replaces the database, and that others share while they
// open it.
const replaceSuffix = ".restore.lock"

// unlessReplaced opens connections while nobody replaces the database at a path. A connection that was opened before and used
// after would take the log of the new database for that of the old one, and destroy both. An open one has SQLite's own shared
// lock.
type unlessReplaced struct {
	driver.Connector
	path string
}

// Connect implements driver.Connector. It returns sqlite3.BUSY where the database is still being replaced after busyTimeout.
func (u unlessReplaced) Connect(ctx context.Context) (driver.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	opening := flock.New(u.path + replaceSuffix)
	_, err := opening.TryRLockContext(waiting, 20*time.Millisecond)
	defer func() { _ = opening.Close() }()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("the database is being restored: %w", sqlite3.BUSY)
	}
	// Another error: the folder can't be written, and so its database not be replaced by whoever runs this process.
	return u.Connector.Connect(ctx)
}

// RemoveFile removes a SQLite database that nobody has open, and what is beside it.
func RemoveFile(path string) {
	for _, suffix := range append([]string{"", lockSuffix, replaceSuffix}, beside...) {
		_ = os.Remove(path + suffix)
	}
}

// CopyFile copies a SQLite database that nobody has open, and its log where there is one, into a new file. The caller opens and
// closes that once, which makes it a single file. The copy may be left behind, unfinished, where there is an error.
func CopyFile(from, to string) error {
	RemoveFile(to) // of a copy that was interrupted
	if err := copyFile(from, to); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if err := copyFile(from+suffix, to+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	if info, err := source.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", from)
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Sync(), target.Close())
}

// Check reads the whole of a SQLite database and returns ErrDamaged, ErrForeign where it lacks the table of that name, or
// ErrNewer, unless a program with these migrations can go on from it.
func (db *DB) Check(ctx context.Context, table string) error {
	session := db.reader.WithContext(ctx)
	var result string
	if err := session.Raw("PRAGMA integrity_check(1)").Row().Scan(&result); err != nil {
		if isDamage(err) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return translate(db.engine, err)
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, result)
	}
	for _, name := range []string{goose.DefaultTablename, table} {
		var has bool
		if err := session.Raw(db.engine.hasTable(), name).Row().Scan(&has); err != nil {
			return translate(db.engine, err)
		}
		if !has {
			return ErrForeign
		}
	}
	if applied, known, err := db.Versions(ctx); err != nil {
		return err
	} else if applied > known {
		return fmt.Errorf("%w: it is at version %d, and this program knows %d", ErrNewer, applied, known)
	}
	return nil
}

func isDamage(err error) bool {
	return errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT)
}

// A Claim keeps other processes out of a SQLite database until Release.
type Claim struct {
	path       string
	pool       *sql.DB   // nil: there is no database, or it can't be read
	conn       *sql.Conn // likewise
	migrating  *flock.Flock
	replacing  *flock.Flock
	Unreadable bool // there is a file that is no database, or a damaged one, which nobody can be kept out of
}

// ClaimFile keeps other processes out of the SQLite database at a path, where there may be none. A server that starts meanwhile
// waits before it migrates, and any other process before it opens the database. ClaimFile returns ErrInUse where another process
// has the database open, such as a server that is idle.
//
// The claim makes the database a single file: its log is written into it.
func ClaimFile(ctx context.Context, path string) (_ *Claim, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the database file can't be made: %w", err)
	}
	c := &Claim{path: path, migrating: flock.New(path + lockSuffix), replacing: flock.New(path + replaceSuffix)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Release())
		}
	}()
	for _, each := range []*flock.Flock{c.migrating, c.replacing} {
		if locked, err := each.TryLock(); err != nil {
			return nil, err
		} else if !locked {
			return nil, ErrInUse
		}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	// In this mode SQLite takes the lock that every connection shares, idle or not, for itself.
	query := url.Values{"_pragma": {"busy_timeout(1000)", "locking_mode(EXCLUSIVE)"}, "mode": {"rw"}}
	connector, err := (&sqlite.SQLite{}).OpenConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode())
	if err != nil {
		return nil, err
	}
	c.pool = sql.OpenDB(connector)
	if c.conn, err = c.pool.Conn(ctx); err == nil {
		var mode string
		if err = c.conn.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err == nil {
			_, err = c.conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
		}
	}
	switch {
	case errors.Is(err, sqlite3.BUSY):
		return nil, ErrInUse
	case isDamage(err):
		c.Unreadable = true
		return c, c.closeDatabase()
	default:
		return c, err
	}
}

// Replace puts a SQLite database that nobody has open in the place of the one that is claimed, and keeps that one at a path of
// the same folder. There is one or the other at any time, also after a power cut.
func (c *Claim) Replace(with, kept string) error {
	if info, err := os.Stat(with + "-wal"); err == nil && info.Size() > 0 {
		return fmt.Errorf("%s is not a single file: its log could not be written into it", with)
	}
	file, err := os.Open(with)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(c.path, kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the present database can't be kept: %w", err)
	}
	// The log of another database beside the new one would destroy it. What is beside a claimed database has no
	// changes: its log is in the file, and its journal is over.
	for _, suffix := range beside {
		if c.conn != nil || suffix == "-shm" { // the index of a log, which SQLite makes again
			err = os.Remove(c.path + suffix)
		} else {
			err = os.Rename(c.path+suffix, kept+suffix)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the present database can't be kept: %w", err)
		}
	}
	if err := os.Rename(with, c.path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(c.path))
	if err != nil {
		return err
	}
	_ = folder.Sync() // some systems can't sync a folder
	return folder.Close()
}

// Release lets other processes in.
func (c *Claim) Release() error {
	return errors.Join(c.closeDatabase(), c.replacing.Unlock(), c.migrating.Unlock())
}

func (c *Claim) closeDatabase() error {
	var errs []error
	if c.conn != nil {
		errs = append(errs, c.conn.Close())
	}
	if c.pool != nil {
		errs = append(errs, c.pool.Close())
	}
	c.conn, c.pool = nil, nil
	return errors.Join(errs...)
}
