package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"invited/internal/invitation"
	"invited/internal/tracing"
)

// This file is the one that knows River, the job queue's library: its driver, its schema, and the row of a job.

// QueueDriver returns the driver for the workers of the job queue.
func (s *Store) QueueDriver() riverdriver.Driver[*sql.Tx] {
	if s.IsPostgres() {
		return riverdatabasesql.New(s.QueuePool())
	}
	return riversqlite.New(s.QueuePool())
}

// maxAttempts is the number of attempts at a job: one an hour for more than three years. The use cases decide when to
// stop. The column holds at most 32,767.
const maxAttempts = 30_000

// enqueue writes jobs in one statement. River's own insert takes PostgreSQL as long as the insert of the invitation, is
// one statement for each job on SQLite, and uses this machine's clock: jobs from a machine whose clock is ahead would
// wait. It also notifies listeners, of which there are none, and transactions that notify wait for each other. A test
// compares the rows with those of River's own insert.
func (tx *Tx) enqueue(jobs []invitation.Job) error {
	rows := make([]map[string]any, len(jobs))
	// On SQLite the columns have bytes. On PostgreSQL bytes are no JSON where the driver does not ask for the column's type: see
	// docs/scaling.md, PgBouncer.
	encode := func(object []byte) any {
		if tx.engine.IsPostgres() {
			return string(object)
		}
		return object
	}
	metadata := tracing.Metadata(tx.db.Statement.Context)
	for i, job := range jobs {
		args, err := json.Marshal(job)
		if err != nil {
			return err
		}
		priority := river.PriorityDefault
		if j, ok := job.(invitation.PriorityJob); ok && j.HasLowPriority() {
			priority++ // a larger number is a lower priority
		}
		// The other columns have defaults.
		rows[i] = map[string]any{
			"args": encode(args), "kind": job.Kind(), "queue": job.Queue(), "priority": priority, "max_attempts": maxAttempts,
			"created_at": tx.engine.CurrentTime(), "scheduled_at": tx.engine.CurrentTime(),
		}
		if metadata != nil {
			rows[i]["metadata"] = encode(metadata)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.db.Table("river_job").CreateInBatches(rows, rowsPerStatement).Error
}

// The job queue's own schema is migration 2. River migrates up to the version that this program was built with; a later
// version of River's schema will be a later migration. River takes several transactions, because PostgreSQL can't use a
// value in the transaction that added it to an enumeration, and continues where it was interrupted.
const (
	queueMigration = 2
	queueVersion   = 6
)

func (s *Store) migrateQueue(ctx context.Context, _ *sql.DB) error {
	migrator, err := rivermigrate.New(s.QueueDriver(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: queueVersion})
	return err
}

func (s *Store) queueStep() *goose.Migration {
	return goose.NewGoMigration(queueMigration, &goose.GoFunc{RunDB: s.migrateQueue}, nil)
}
