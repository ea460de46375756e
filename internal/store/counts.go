package store

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"gorm.io/gorm"

	"invited/internal/invitation"
)

// stateCounts is by how much a transaction changes the number of invitations in each state.
//
// The table invitation_counts keeps these numbers in several rows, which are summed, so that transactions rarely wait for each
// other. A transaction updates one of the rows with its last statement: the row is locked for as long as a commit takes, and
// nobody who holds it waits for another lock.
type stateCounts map[invitation.State]int

// countShards is the number of rows on PostgreSQL. SQLite has one writer at a time, and one row.
const countShards = 32

// repairShard is the row that only repairs of the counts update.
const repairShard = -1

// add counts what changes do.
func (c stateCounts) add(changes []invitation.Change) {
	for _, each := range changes {
		if each.Before != nil {
			c[each.Before.StoredState]--
		}
		if each.After != nil {
			c[each.After.StoredState]++
		}
	}
}

// countsKey is the key of the context of several changes that are one transaction, whose counts are saved at its end.
type countsKey struct{}

// saveCounts writes the counts of a transaction, which must make no other statement after it. In a context of writeTogether the
// counts are kept until the end of that transaction.
func (s *Store) saveCounts(ctx context.Context, db *gorm.DB, c stateCounts) error {
	if together, ok := ctx.Value(countsKey{}).(stateCounts); ok {
		for state, n := range c {
			together[state] += n
		}
		return nil
	}
	shard := 0
	if s.IsPostgres() {
		shard = rand.IntN(countShards) //nolint:gosec // any of them will do
	}
	return addToShard(db, shard, c)
}

func addToShard(db *gorm.DB, shard int, c stateCounts) error {
	maps.DeleteFunc(c, func(_ invitation.State, n int) bool { return n == 0 })
	if len(c) == 0 {
		return nil
	}
	sums, args := make([]string, len(invitation.States)), make([]any, len(invitation.States))
	for i, state := range invitation.States { // all of them, so that there is one statement to plan
		sums[i], args[i] = fmt.Sprintf("%s = %[1]s + ?", state), c[state]
	}
	return db.Exec("UPDATE invitation_counts SET "+strings.Join(sums, ", ")+" WHERE shard = ?", append(args, shard)...).Error
}

// writeTogether is database.DB.WriteTogether for changes of invitations: the counts of all of them are written at the end.
func (s *Store) writeTogether(ctx context.Context, begun func(*gorm.DB) error, f func(context.Context) error) error {
	return s.WriteTogether(ctx, begun, func(ctx context.Context) error {
		counts := stateCounts{}
		if err := f(context.WithValue(ctx, countsKey{}, counts)); err != nil || len(counts) == 0 {
			return err
		}
		return s.Write(ctx, func(db *gorm.DB, _ time.Time) error { return s.saveCounts(ctx, db, counts) })
	})
}

// RepairCounts implements invitation.Store and waldur.Store. A statement sees rows and counts as of one moment, and every other
// transaction changes both or neither, so what they differ by stays the same until it is added.
func (s *Store) RepairCounts(ctx context.Context) error {
	var wrong bool
	err := s.read(ctx, func(tx *Tx) error {
		difference, err := tx.countDifference()
		wrong = len(difference) > 0
		return err
	})
	if err != nil || !wrong {
		return err
	}
	return s.Write(ctx, func(db *gorm.DB, now time.Time) error {
		// The lock of the row keeps two repairs from adding the same difference.
		lock := db.Exec("UPDATE invitation_counts SET shard = shard WHERE shard = ?", repairShard)
		if lock.Error != nil {
			return lock.Error
		}
		difference, err := (&Tx{db: db, engine: s.DB, now: now}).countDifference()
		if err != nil {
			return err
		}
		return addToShard(db, repairShard, difference)
	})
}

// countDifference returns by how much the counts have to change to be the numbers of rows; nothing for a state whose count is
// right.
func (tx *Tx) countDifference() (stateCounts, error) {
	differences, into := make([]string, len(invitation.States)), make([]any, len(invitation.States))
	found := make([]int, len(invitation.States))
	for i, state := range invitation.States {
		differences[i] = fmt.Sprintf("(SELECT count(*) FROM invitations WHERE state = '%s')"+
			" - (SELECT CAST(sum(%[1]s) AS bigint) FROM invitation_counts)", state)
		into[i] = &found[i]
	}
	if err := tx.db.Raw("SELECT " + strings.Join(differences, ", ")).Row().Scan(into...); err != nil {
		return nil, err
	}
	c := stateCounts{}
	for i, state := range invitation.States {
		if found[i] != 0 {
			c[state] = found[i]
		}
	}
	return c, nil
}
