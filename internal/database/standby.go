package database

import (
	"context"
	"errors"
	"fmt"
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
	// positionTimeout is how long the standby may take to say how far it is. It is a matter of microseconds.
	positionTimeout = time.Second
	// standbyConnectTimeout is how long the first of the lists waits for a standby that does not answer.
	standbyConnectTimeout = 2 * time.Second
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
	err = s.reader.WithContext(ctx).Connection(func(tx *gorm.DB) error { // the same server is asked for its place and for the list
		if err := awaitPosition(ctx, tx, target); err != nil {
			return err
		}
		return f(tx.WithContext(ctx)) // else a statement would have the conditions of the one before
	})
	switch {
	case errors.Is(err, errBehind):
		s.behind.Add(1)
		return false, nil
	case errors.Is(err, ErrUnavailable) && ctx.Err() == nil:
		s.failed.Add(1)
		s.avoidUntil.Store(time.Now().Add(avoidTime).UnixNano())
		s.reset() // else the next list would meet with another connection that is broken
		return false, nil
	}
	s.answered.Add(1)
	return true, err
}

// awaitPosition waits until a standby has replayed the log up to a position, at most catchUpTime; errBehind otherwise.
func awaitPosition(ctx context.Context, tx *gorm.DB, target string) error {
	ctx, cancel := context.WithTimeout(ctx, positionTimeout)
	defer cancel()
	tx = tx.WithContext(ctx)
	began := time.Now()
	for pause := time.Millisecond; ; pause *= 2 {
		var reached bool
		if err := tx.Raw(hasReplayed, target).Row().Scan(&reached); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		switch {
		case reached:
			return nil
		case time.Since(began)+pause > catchUpTime:
			return errBehind
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		case <-time.After(pause):
		}
	}
}
