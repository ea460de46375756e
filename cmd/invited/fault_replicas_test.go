package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
)

// waves is how often something comes due in TestFaultLeaderKilled, each time but the first after a kill.
const waves = 4

// Of two processes the one that has the sweeps done is killed in the middle of one, again and again, and what time makes
// due next is done by the other: once, and all of it.
func TestFaultLeaderKilled(t *testing.T) {
	onEachTrial(t, "kill -9 of the replica that leads", func(x *trial) {
		x.s.run(wavePeople(), "directory", "apply", "-f", "-").ok()
		x.s.set("INVITED_SWEEP_INTERVAL=1s")
		replicas := []replica{x.replica(), x.replica()}
		var all []wave
		for i := range waves {
			all = append(all, x.wave(replicas[0].served, i))
		}
		x.until(20*time.Second, "the invitations themselves are delivered", func() bool { return len(x.open()) == 0 })

		longest := time.Duration(0)
		for i, each := range all {
			if i > 0 {
				dead := x.leads(replicas)
				x.sweeping()
				replicas[dead].kill()
				replicas = append(replicas[:dead], replicas[dead+1:]...)
			}
			x.comeDue(each, i)
			due := time.Now()
			if i > 0 {
				replicas = append(replicas, x.replica())
			}
			x.until(time.Minute, "what is due was done", func() bool { return x.lacks(each) == "" })
			t.Logf("wave %d: all mailed %s after it came due", i, time.Since(due).Round(100*time.Millisecond))
			longest = max(longest, time.Since(due))
			// A kill before that would have them mailed again: see TestFaultKilledBetweenTheYesAndItsRecording.
			x.until(20*time.Second, "that is recorded", func() bool { return len(x.open()) == 0 })
		}
		x.over = time.Now().Add(-longest)
		x.judge(20*time.Second, 0)
		for _, each := range all {
			require.Empty(x.t, x.lacks(each))
			for _, id := range each.expired {
				require.Equal(x.t, "expired", replicas[0].see(id).State)
			}
			for _, id := range append(each.reminded, each.started...) {
				require.Equal(x.t, "pending", replicas[0].see(id).State)
			}
		}
		// Of each kind as many as there are: none was sent that is not due.
		require.Len(x.t, x.sink.copies(), waves*waveSize*(2+2+1))
		for _, each := range replicas {
			each.stop()
		}
	})
}

// waveSize is how many invitations expire, are due a reminder, and have their project start, in one wave.
const waveSize = 3

// wave is what comes due at once.
type wave struct{ expired, reminded, started []string } // uuids

// wavePeople has a project for each wave that is yet to start.
func wavePeople() string {
	text := people
	for i := range waves {
		text = strings.Replace(text, "projects: [", fmt.Sprintf("projects: [{name: Wave %d, uuid: %s, start_date: 2999-01-01}, ",
			i, waveProject(i)), 1)
	}
	return text
}

func waveProject(i int) string { return fmt.Sprintf("20000000-0000-4000-8000-%012d", 1000+i) }

// wave has olivia invite those whom it is about.
func (x *trial) wave(p *served, i int) wave {
	x.t.Helper()
	invite := func(name, scope string) (ids []string) {
		for j := range waveSize {
			body := strings.Replace(draft(fmt.Sprintf("%s%d-%d@university.example", name, i, j)), project, scope, 1)
			m := p.ask("POST", invitations, "olivia", body).is(201).invitation()
			x.promised(&x.created, m.UUID)
			ids = append(ids, m.UUID)
		}
		return ids
	}
	return wave{invite("expired", project), invite("reminded", project), invite("started", waveProject(i))}
}

// comeDue moves time for the invitations of a wave: what is to happen to the first is due, to the next in a second.
func (x *trial) comeDue(w wave, i int) {
	x.t.Helper()
	for j, id := range w.expired { // their reminder was days ago
		x.exec(fmt.Sprintf("UPDATE invitations SET reminded = true, created = %s WHERE uuid = '%s'", x.ago(168*time.Hour-time.Duration(j)*time.Second), id))
	}
	for j, id := range w.reminded {
		x.exec(fmt.Sprintf("UPDATE invitations SET created = %s WHERE uuid = '%s'", x.ago(144*time.Hour-time.Duration(j)*time.Second), id))
	}
	x.exec(fmt.Sprintf("UPDATE scopes SET start_date = %s WHERE uuid = '%s'", x.ago(time.Hour), waveProject(i)))
}

// ago is SQL for a moment, in the form in which the engine's rows have it.
func (x *trial) ago(d time.Duration) string {
	if x.s.onSQLite() {
		return fmt.Sprintf("strftime('%%Y-%%m-%%dT%%H:%%M:%%f000Z', 'now', '-%d seconds')", int(d.Seconds()))
	}
	return fmt.Sprintf("now() - interval '%d seconds'", int(d.Seconds()))
}

// lacks names a mail that a wave asks for and that did not come, or came more than once; empty where there is none.
func (x *trial) lacks(w wave) string {
	copies := map[string]int{}
	for id, count := range x.sink.copies() { // without whom it is to
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

// replica is a process that is known by when it was started.
type replica struct {
	*served
	since time.Time
}

func (x *trial) replica() replica {
	x.t.Helper()
	since := time.Now()
	return replica{x.s.serve(), since}
}

// leads tells which of the processes, in the order of their start, leads: the queue names it for when it was started.
func (x *trial) leads(replicas []replica) (found int) {
	x.t.Helper()
	since := x.leader()
	for i, each := range replicas {
		if !each.since.After(since) {
			found = i
		}
	}
	return found
}

// sweeping waits until the process that leads is at a sweep. Killed there it leaves one that is never done.
func (x *trial) sweeping() {
	x.t.Helper()
	by := "CAST(attempted_by AS text)"
	if x.s.onSQLite() {
		by = "json(attempted_by)"
	}
	x.until(20*time.Second, "the leader sweeps", func() bool {
		return len(x.rows("SELECT state FROM river_job JOIN river_leader ON "+by+
			" LIKE '%' || leader_id || '%' WHERE kind = 'sweep' AND state = 'running'")) == 1
	})
}

// leader waits until some process leads, and returns when, by its own clock, it was started.
func (x *trial) leader() (since time.Time) {
	x.t.Helper()
	const form = "2006_01_02T15_04_05.000000"
	x.until(40*time.Second, "a process leads", func() bool {
		for _, each := range x.rows("SELECT leader_id FROM river_leader") {
			stamp := each[len(each)-len(form):]
			dot := strings.LastIndexByte(stamp, '_')
			var err error
			since, err = time.Parse(form, stamp[:dot]+"."+stamp[dot+1:])
			require.NoError(x.t, err)
		}
		return !since.IsZero()
	})
	return since
}

// Of two processes on an empty database one is killed while it migrates, or waits for the other to. The other goes on, and
// so does whoever comes next.
func TestFaultMigratingAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for i := range 4 {
			t.Run(fmt.Sprintf("at some moment %d", i), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, e.Empty(t))
				dies, stays := s.start(), s.start()
				<-time.After(rand.N(250 * time.Millisecond))
				dies.kill()
				s.migratedAllTheSame(stays)
			})
		}
		for _, point := range []string{"write:2", "write:8", "answer:1", "answer:2", "write:20", "answer:4", "answer:6"} {
			t.Run("at "+point, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, e.Empty(t))
				dies := s.dying(point).start()
				<-dies.ended
				require.NotContains(t, dies.stderr.String(), "msg=migrated", "it died in the middle")
				s.migratedAllTheSame(s.start(), s.start())
			})
		}
	})
}

// migratedAllTheSame judges what became of a database of which a process that migrated it was just killed; others do
// that now.
func (s *site) migratedAllTheSame(others ...*served) {
	s.t.Helper()
	killed := time.Now()
	for _, each := range others {
		each.logs("msg=serving")
	}
	for _, each := range others {
		each.stop()
	}
	x := s.trial("kill -9 of one of two processes that migrate at once")
	x.over = killed
	p := s.serve()
	status := s.run("", "migrate", "status").ok()
	require.NotContains(s.t, status, "pending")
	var once []string
	for i := range strings.Count(status, "\n") {
		once = append(once, strconv.Itoa(i+1))
	}
	require.Equal(s.t, once, x.rows("SELECT '' || version_id FROM goose_db_version WHERE version_id > 0 ORDER BY version_id"))
	x.create(p, "ina", 1)
	x.judge(20*time.Second, 0)
	p.stop()
}
