package doctor

import (
	"fmt"
	"time"

	"invited/internal/database"
)

// Schema is how far a database's schema is.
type Schema struct {
	Pending []string // names of the migrations that are not applied
	Newer   bool     // a later version of this program has migrated it
}

// JudgeDatabase says what is wrong with a database that answers.
func JudgeDatabase(d database.Diagnosis, s Schema) (found []Finding) {
	if d.Damage != "" {
		return append(found, wrong("Stop the server, and restore a backup: `invited restore FILE`.", "The SQLite file is damaged: %s.", d.Damage))
	}
	found = append(found, ok("%s answers.", d.Version), judgeSchema(s))
	if d.Postgres == nil {
		return append(found, ok("The SQLite file is whole (quick_check)."))
	}
	return append(found, judgePostgres(*d.Postgres)...)
}

func judgeSchema(s Schema) Finding {
	switch {
	case s.Newer:
		return wrong("Run the version that migrated the database, or a later one.", "The schema is newer than this program.")
	case len(s.Pending) > 0:
		return note("`invited serve` applies them at its start, as does `invited migrate up`.", "%d migrations are not applied, %s the first of them.",
			len(s.Pending), s.Pending[0])
	}
	return ok("The schema is current.")
}

func judgePostgres(p database.PostgresDiagnosis) (found []Finding) {
	if p.HasTrigrams {
		found = append(found, ok("The extension pg_trgm is there."))
	} else {
		found = append(found, note("Have an administrator run: CREATE EXTENSION pg_trgm;",
			"The extension pg_trgm is missing: a search for a part of an address reads every address."))
	}
	switch {
	case p.Foreign > 0:
		found = append(found, wrong("Have an administrator give the tables to the role: REASSIGN OWNED, or ALTER TABLE … OWNER TO.",
			"%d tables belong to another role: migrations will fail.", p.Foreign))
	case !p.MayCreate:
		found = append(found, wrong("Have an administrator run: GRANT CREATE ON SCHEMA public TO the role.",
			"The role can't create tables: migrations will fail."))
	case p.IsSuperuser:
		found = append(found, note("Use a role that owns this database and nothing else.", "The role is a superuser, which the server does not need."))
	default:
		found = append(found, ok("The role has the rights that it needs."))
	}
	if p.IsRemote && !p.IsEncrypted {
		found = append(found, note("Add sslmode=verify-full to INVITED_DATABASE_URL.", "The connection to the database is not encrypted."))
	}
	limit := p.MaxConnections - p.Reserved
	switch {
	case p.Pools > limit:
		found = append(found, wrong("Lower pool_max_conns in INVITED_DATABASE_URL, raise max_connections, or put PgBouncer between: see docs/scaling.md.",
			"One replica may open %d connections, and the database admits %d.", p.Pools, limit))
	case p.Connections+p.Pools > limit:
		found = append(found, note("Sum up the replicas' pool_max_conns: see docs/scaling.md.",
			"%d of %d connections are open, and a replica may open %d: no whole replica more has room.", p.Connections, limit, p.Pools))
	default:
		found = append(found, ok("%d of %d connections are open, and a replica may open %d.", p.Connections, limit, p.Pools))
	}
	return found
}

// Offsets of clocks.
const (
	noticeableSkew = 2 * time.Second
	wrongSkew      = 10 * time.Second // from which /readyz is degraded
)

// JudgeClock says whether this machine's clock is that of the database, by how far it is ahead.
func JudgeClock(ahead time.Duration) Finding {
	off := ahead.Abs().Round(time.Millisecond)
	const advice = "Have both machines set their clocks by NTP."
	switch {
	case off >= wrongSkew:
		return wrong(advice, "This machine's clock is %s off the database's.", off)
	case off >= noticeableSkew:
		return note(advice, "This machine's clock is %s off the database's.", off)
	}
	return ok("This machine's clock is %s off the database's.", off)
}

// A Queue describes the jobs that wait.
type Queue struct {
	HeldSince time.Time     // zero: deliveries are not held
	Oldest    time.Duration // for how long the oldest waiting job could have run
	Waiting   int64         // jobs that are not done
	Discarded int64         // jobs that were tried as often as they may, and are dead
}

// overdue is from when on a waiting job means that nobody takes jobs: workers look twice a second, and jobs that failed wait for
// their next attempt, which is not overdue before.
const overdue = 10 * time.Minute

// JudgeQueue says whether jobs are done.
func JudgeQueue(q Queue) (found []Finding) {
	if !q.HeldSince.IsZero() {
		found = append(found, wrong("See `invited jobs list`, then run `invited jobs release`, or `invited jobs release --discard`.",
			"Deliveries are held since %s: nothing is mailed.", q.HeldSince.Format(time.RFC3339)))
	} else if q.Oldest > overdue {
		found = append(found, wrong("Run a server with INVITED_WORKERS=true; where one runs, look at its log and at /readyz.",
			"The oldest job waits for %s, of %d: no server does the jobs, or too few do.", q.Oldest.Round(time.Second), q.Waiting))
	}
	if q.Discarded > 0 {
		found = append(found, note("The log of the server has their errors.", "%d jobs of the last days failed for good.", q.Discarded))
	}
	if len(found) == 0 {
		found = append(found, ok("%s, none overdue.", countJobs(q.Waiting)))
	}
	return found
}

func countJobs(n int64) string {
	if n == 1 {
		return "1 job waits or runs"
	}
	return fmt.Sprintf("%d jobs wait or run", n)
}

// Disk space of a SQLite database.
const (
	littleSpace   = 1 << 30
	tooLittle     = 100 << 20
	bytesMegabyte = 1 << 20
)

// JudgeSpace says whether the disk of a SQLite database of a size has room.
func JudgeSpace(free, size uint64) Finding {
	const advice = "Make room: the database grows by its events, and a backup or a restore needs as much as its size."
	switch {
	case free < tooLittle:
		return wrong(advice, "The disk of the database has %d MB left.", free/bytesMegabyte)
	case free < littleSpace || free < size:
		return note(advice, "The disk of the database has %d MB left, and the database %d MB.", free/bytesMegabyte, size/bytesMegabyte)
	}
	return ok("The disk of the database has %d MB left.", free/bytesMegabyte)
}
