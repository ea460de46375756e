package database

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

// A standby is a server that replays what another one, the writer, writes. A list is read from the standby once the standby has
// everything that was committed when the list was asked for, by whichever process: a client that creates and then lists finds
// what it created. Otherwise the list is read from the writer.
type standby struct {
	writer, reader *gorm.DB
	reset          func() // closes the connections to the standby

	avoidUntil               atomic.Int64 // in Unix nanoseconds
	answered, behind, failed atomic.Int64
}

// StandbyUse counts what became of the lists that the standby was asked for.
type StandbyUse struct {
	Answered int64 // by the standby
	Behind   int64 // by the writer, because the standby did not catch up in time
	Failed   int64 // by the writer, because the standby can't be used
}

// StandbyUse returns what became of lists so far. It reports false where there is no standby.
func (db *DB) StandbyUse() (StandbyUse, bool) {
	s := db.standby
	if s == nil {
		return StandbyUse{}, false
	}
	return StandbyUse{s.answered.Load(), s.behind.Load(), s.failed.Load()}, true
}

const (
	// catchUpTime is how long a list waits for the standby. On one network a standby is some milliseconds behind.
	catchUpTime = 20 * time.Millisecond
	// standbyTimeout is how long a standby may take to give a connection and to say how far it is, which are matters of
	// milliseconds, or to refuse.
	standbyTimeout = 2 * time.Second
	// avoidTime is how long nobody asks a standby that could not be used.
	avoidTime = 10 * time.Second
)

// position is the query for the place in the writer's log up to which everything that others can see was written. Commits that do
// not wait for the disk can be seen before they are flushed.
const position = "SELECT CAST(CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()" +
	" ELSE pg_current_wal_flush_lsn() END AS text)"

// hasReplayed is the query whether a standby has replayed the log up to a position. A standby that was made the writer replays
// nothing, and what it has may be another history.
const hasReplayed = "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= CAST(CAST(? AS text) AS pg_lsn)"

var errBehind = errors.New("the standby is behind")

// read runs f, which must not write, on the standby. It reports false where f has to run on the writer. f can run on both.
func (s *standby) read(ctx context.Context, f func(tx *gorm.DB) error) (done bool, err error) {
	if time.Now().UnixNano() < s.avoidUntil.Load() {
		s.failed.Add(1)
		return false, nil
	}
	var target string
	if err := s.writer.WithContext(ctx).Raw(position).Row().Scan(&target); err != nil {
		return false, nil // the writer's answer has the words for it
	}
	ready := false
	err = s.connect(ctx, func(tx *gorm.DB) error { // the same server is asked for its place and for the list
		if err := awaitPosition(tx, target); err != nil {
			return err
		}
		ready = true
		return f(tx.WithContext(ctx)) // else a statement would have the conditions of the one before
	})
	err = translate(postgresEngine{}, err)
	switch {
	case errors.Is(err, errBehind):
		s.behind.Add(1)
		return false, nil
	case err != nil && !ready, errors.Is(err, ErrUnavailable) && ctx.Err() == nil:
		s.failed.Add(1)
		s.avoidUntil.Store(time.Now().Add(avoidTime).UnixNano())
		s.reset() // else the next list would meet with another connection that is broken
		return false, nil
	}
	s.answered.Add(1)
	return true, err
}

// connect runs f with a connection to the standby. The context of f's session ends soon after connect began, so that a standby
// that hangs leaves time for the writer.
func (s *standby) connect(ctx context.Context, f func(tx *gorm.DB) error) error {
	ctx, cancel := context.WithTimeout(ctx, standbyTimeout)
	defer cancel()
	return s.reader.WithContext(ctx).Connection(f)
}

// awaitPosition waits until a standby has replayed the log up to a position, at most catchUpTime; errBehind otherwise.
func awaitPosition(tx *gorm.DB, target string) error {
	ctx, began := tx.Statement.Context, time.Now()
	for pause := time.Millisecond; ; pause *= 2 {
		var reached bool
		if err := tx.WithContext(ctx).Raw(hasReplayed, target).Row().Scan(&reached); err != nil {
			return err
		}
		switch {
		case reached:
			return nil
		case time.Since(began)+pause > catchUpTime:
			return errBehind
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
