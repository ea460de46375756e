package store

import (
	"encoding/json"

	"github.com/riverqueue/river"

	"invited/internal/invitation"
)

// maxAttempts is how often a job is tried: an attempt an hour for more than three years. When to stop is not the queue's
// to say, whose column holds 32767.
const maxAttempts = 30_000

// Enqueue asks for a job to be run once the transaction has committed, and never if it has not.
func (tx *Tx) Enqueue(job invitation.Job) error {
	if tx.reads {
		return errReading
	}
	tx.jobs = append(tx.jobs, []any{job, job.Kind(), job.Queue(), river.PriorityDefault, maxAttempts})
	return nil
}

// enqueueAll writes the jobs that were asked for, due at once, in one statement and dated by the database. The library's
// own statement takes PostgreSQL as long as writing the invitation does, is one for each job on SQLite, and dates them by
// this machine: where its clock is ahead of the others', every job would wait by as much. And it tells those who listen of
// them, whom this program has none of; PostgreSQL has transactions that tell wait for each other.
func (tx *Tx) enqueueAll() error {
	if len(tx.jobs) == 0 {
		return nil
	}
	list, err := json.Marshal(tx.jobs)
	if err != nil {
		return err
	}
	return tx.write(write{text: tx.db.dialect.insertJobs(), arguments: []any{string(list)}})
}
