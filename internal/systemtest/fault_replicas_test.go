package systemtest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

const (
	waves    = 4 // number of waves of work in TestFaultLeaderKilled; each but the first becomes due after a kill
	waveSize = 3 // number of invitations of each kind in a wave
)

// Of two processes the River leader, which enqueues the sweeps, is killed in the middle of a sweep, several times. The other
// process does all the work that becomes due next, and does it once.
func TestFaultLeaderKilled(t *testing.T) {
	onEachFault(t, "kill -9 of the replica that leads", func(f *faultCase) {
		f.env.Run(waveDirectory(), "directory", "apply", "-f", "-").OK()
		f.env.Set("INVITED_SWEEP_INTERVAL=1s")
		replicas := []startedProcess{f.startReplica(), f.startReplica()}
		var all []wave
		for i := range waves {
			all = append(all, f.createWave(replicas[0].Process, i))
		}
		f.waitUntil(20*time.Second, "the invitations themselves are delivered", func() bool { return len(f.openJobs()) == 0 })

		longest := time.Duration(0)
		for i, each := range all {
			if i > 0 {
				leader := f.leaderIndex(replicas)
				f.waitSweeping()
				replicas[leader].Kill()
				replicas = append(replicas[:leader], replicas[leader+1:]...)
			}
			f.makeDue(each, i)
			due := time.Now()
			if i > 0 {
				replicas = append(replicas, f.startReplica())
			}
			f.waitUntil(time.Minute, "the due work is done", func() bool { return f.missing(each) == "" })
			t.Logf("wave %d: all mailed %s after it came due", i, time.Since(due).Round(100*time.Millisecond))
			longest = max(longest, time.Since(due))
			// A kill before the results are saved would send mails again: see TestFaultKilledBetweenSendAndRecord.
			f.waitUntil(20*time.Second, "the results are saved", func() bool { return len(f.openJobs()) == 0 })
		}
		f.healedAt = time.Now().Add(-longest)
		f.verify(20*time.Second, 0)
		for _, each := range all {
			require.Empty(f.t, f.missing(each))
			for _, id := range each.expired {
				require.Equal(f.t, "expired", replicas[0].Get(id).State)
			}
			for _, id := range append(each.reminded, each.started...) {
				require.Equal(f.t, "pending", replicas[0].Get(id).State)
			}
		}
		// The total shows that no mail was sent that was not due.
		require.Len(f.t, f.smtp.Copies(), waves*waveSize*(2+2+1))
		for _, each := range replicas {
			each.Stop()
		}
	})
}

// wave has the uuids of the invitations that become due together: they expire, need a reminder, or have their project start.
type wave struct{ expired, reminded, started []string }

// waveDirectory returns a directory with a project for each wave, which starts in the future.
func waveDirectory() string {
	file := harness.Directory
	for i := range waves {
		file = strings.Replace(file, "projects: [", fmt.Sprintf("projects: [{name: Wave %d, uuid: %s, start_date: 2999-01-01}, ",
			i, waveProjectUUID(i)), 1)
	}
	return file
}

func waveProjectUUID(i int) string { return fmt.Sprintf("20000000-0000-4000-8000-%012d", 1000+i) }

// createWave creates the invitations of a wave as olivia.
func (f *faultCase) createWave(p *harness.Process, i int) wave {
	f.t.Helper()
	invite := func(name, projectUUID string) (ids []string) {
		for j := range waveSize {
			body := harness.InvitationBodyFor(fmt.Sprintf("%s%d-%d@university.example", name, i, j), projectUUID)
			m := p.Do("POST", harness.InvitationsPath, "olivia", body).Is(201).Invitation()
			f.record(&f.created, m.UUID)
			ids = append(ids, m.UUID)
		}
		return ids
	}
	return wave{invite("expired", harness.ProjectUUID), invite("reminded", harness.ProjectUUID), invite("started", waveProjectUUID(i))}
}

// makeDue sets back the times of a wave's invitations: the first becomes due now, each other a second after the one before.
func (f *faultCase) makeDue(w wave, i int) {
	f.t.Helper()
	for j, id := range w.expired { // their reminder was sent days ago
		f.exec(fmt.Sprintf("UPDATE invitations SET reminded = true, created = %s WHERE uuid = '%s'", f.sqlAgo(168*time.Hour-time.Duration(j)*time.Second), id))
	}
	for j, id := range w.reminded {
		f.exec(fmt.Sprintf("UPDATE invitations SET created = %s WHERE uuid = '%s'", f.sqlAgo(144*time.Hour-time.Duration(j)*time.Second), id))
	}
	f.exec(fmt.Sprintf("UPDATE scopes SET start_date = %s WHERE uuid = '%s'", f.sqlAgo(time.Hour), waveProjectUUID(i)))
}

// sqlAgo returns an SQL expression for the time d ago, in the form that the engine's rows have.
func (f *faultCase) sqlAgo(d time.Duration) string {
	if f.env.OnSQLite() {
		return fmt.Sprintf("strftime('%%Y-%%m-%%dT%%H:%%M:%%f000Z', 'now', '-%d seconds')", int(d.Seconds()))
	}
	return fmt.Sprintf("now() - interval '%d seconds'", int(d.Seconds()))
}

// missing returns a description of a mail of a wave that did not come exactly once, or "".
func (f *faultCase) missing(w wave) string {
	copies := map[string]int{}
	for id, count := range f.smtp.Copies() { // the rest of the id names the recipient
		parts := strings.Split(id, ".")
		copies[parts[0]+" "+parts[1]] += count
	}
	for _, each := range []struct {
		ids  []string
		mail string
	}{{w.expired, "expired"}, {w.reminded, "reminder"}, {w.started, "0@localhost"}} {
		for _, id := range each.ids {
			if copies[id+" "+each.mail] != 1 {
				return fmt.Sprintf("%s of %s: %d", each.mail, id, copies[id+" "+each.mail])
			}
		}
	}
	return ""
}

// startedProcess is a process with the time of its start.
type startedProcess struct {
	*harness.Process
	started time.Time
}

func (f *faultCase) startReplica() startedProcess {
	f.t.Helper()
	started := time.Now()
	return startedProcess{f.env.Serve(), started}
}

// leaderIndex returns the index of the leader among the processes, which are in the order of their start. River's name of the
// leader has the time of its start.
func (f *faultCase) leaderIndex(replicas []startedProcess) (found int) {
	f.t.Helper()
	started := f.waitLeader()
	for i, each := range replicas {
		if !each.started.After(started) {
			found = i
		}
	}
	return found
}

// waitSweeping waits until the leader runs a sweep. If it is killed then, the sweep never ends.
func (f *faultCase) waitSweeping() {
	f.t.Helper()
	by := "CAST(attempted_by AS text)"
	if f.env.OnSQLite() {
		by = "json(attempted_by)"
	}
	f.waitUntil(20*time.Second, "the leader sweeps", func() bool {
		return len(f.column("SELECT state FROM river_job JOIN river_leader ON "+by+
			" LIKE '%' || leader_id || '%' WHERE kind = 'sweep' AND state = 'running'")) == 1
	})
}

// waitLeader waits until there is a leader, and returns the time of its start by its own clock.
func (f *faultCase) waitLeader() (started time.Time) {
	f.t.Helper()
	const layout = "2006_01_02T15_04_05.000000"
	f.waitUntil(40*time.Second, "a process leads", func() bool {
		for _, each := range f.column("SELECT leader_id FROM river_leader") {
			stamp := each[len(each)-len(layout):]
			dot := strings.LastIndexByte(stamp, '_')
			var err error
			started, err = time.Parse(layout, stamp[:dot]+"."+stamp[dot+1:])
			require.NoError(f.t, err)
		}
		return !started.IsZero()
	})
	return started
}

// Of two processes on an empty database one is killed while it migrates, or while it waits for the other to migrate. The other
// process and all later ones work.
func TestFaultKilledWhileMigrating(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for i := range 4 {
			t.Run(fmt.Sprintf("at a random time %d", i), func(t *testing.T) {
				t.Parallel()
				env := harness.New(t, e.Empty(t))
				victim, other := env.Start(), env.Start()
				harness.Sleep(t, rand.N(250*time.Millisecond))
				victim.Kill()
				verifyMigration(env, other)
			})
		}
		for _, point := range []string{"write:2", "write:8", "answer:1", "answer:2", "write:20", "answer:4", "answer:6"} {
			t.Run("at "+point, func(t *testing.T) {
				t.Parallel()
				env := harness.New(t, e.Empty(t))
				victim := withKiller(env, point).Start()
				victim.WaitExit()
				require.NotContains(t, victim.Stderr.String(), "msg=migrated", "it was killed while it migrated")
				verifyMigration(env, env.Start(), env.Start())
			})
		}
	})
}

// verifyMigration verifies that others migrate a database whose migrating process was just killed.
func verifyMigration(env *harness.Env, others ...*harness.Process) {
	env.T.Helper()
	start := time.Now()
	for _, each := range others {
		each.WaitLog("msg=serving")
	}
	for _, each := range others {
		each.Stop()
	}
	f := newFaultCase(env, "kill -9 of one of two processes that migrate at once")
	f.healedAt = start
	p := env.Serve()
	status := env.Run("", "migrate", "status").OK()
	require.NotContains(env.T, status, "pending")
	var versions []string // each once
	for i := range strings.Count(status, "\n") {
		versions = append(versions, strconv.Itoa(i+1))
	}
	require.Equal(env.T, versions, f.column("SELECT '' || version_id FROM goose_db_version WHERE version_id > 0 ORDER BY version_id"))
	f.create(p, "ina", 1)
	f.verify(20*time.Second, 0)
	p.Stop()
}
