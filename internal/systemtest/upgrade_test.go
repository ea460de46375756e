//go:build upgrade

package systemtest

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// oldProgram is the environment variable with the path of the binary that is upgraded from.
const oldProgram = "INVITED_TEST_OLD_PROGRAM"

// Two replicas of the version before are replaced one after the other, under load. No request fails, nothing is lost or mailed
// twice, and a replica of the version before can come back.
func TestUpgradeReplicaByReplica(t *testing.T) {
	f, before, after := newUpgrade(t, storetest.Engines[1], "upgrade, replica by replica")
	before.Run(loadDirectory(), "directory", "apply", "-f", "-").OK()
	l := &upgradeLoad{f: f, failures: map[string]int{}}
	replaced, second := before.Serve(), before.Serve()
	l.use(replaced, second)
	l.start()
	l.phase("before and before")

	start := time.Now()
	first := after.Serve()
	t.Logf("the first new replica migrated and served after %s", time.Since(start).Round(time.Millisecond))
	l.use(replaced, second, first)
	l.phase("two of before, one of after")
	l.retire(replaced)
	l.phase("before and after")

	newSecond := after.Serve()
	l.use(second, first, newSecond)
	l.retire(second)
	l.phase("after and after")

	back := before.Serve("--migrate=false")
	l.use(first, newSecond, back)
	l.phase("one of before comes back")
	l.retire(back)

	l.stop()
	f.verify(30*time.Second, 0)
	l.verifyCounts(first, newSecond)
	for _, each := range []*harness.Process{replaced, second, first, newSecond, back} {
		if !each.HasExited() {
			each.Stop()
		}
		require.NotContains(t, each.Stderr.String(), "level=ERROR")
		require.NotContains(t, each.Stderr.String(), "status=5")
	}
}

// A database file of the version before is served by the new version, with all that is in it.
func TestUpgradeOnSQLite(t *testing.T) {
	f, before, after := newUpgrade(t, storetest.Engines[0], "upgrade on SQLite")
	before.Run(loadDirectory(), "directory", "apply", "-f", "-").OK()
	l := &upgradeLoad{f: f, failures: map[string]int{}}
	p := before.Serve()
	l.use(p)
	l.start()
	l.phase("before")
	l.stop()
	p.Stop()

	start := time.Now()
	p = after.Serve()
	t.Logf("the new version migrated and served after %s", time.Since(start).Round(time.Millisecond))
	l.use(p)
	l.start()
	l.phase("after")
	l.stop()
	f.verify(30*time.Second, 0)
	l.verifyCounts(p)
	p.Stop()
	require.NotContains(t, p.Stderr.String(), "level=ERROR")
}

// newUpgrade returns a case on a database that the version before has made, and the environments of that version and of this one.
func newUpgrade(t *testing.T, e storetest.Engine, name string) (f *faultCase, before, after *harness.Env) {
	t.Helper()
	before = harness.New(t, e.Empty(t)).Set("INVITED_SWEEP_INTERVAL=1s", "INVITED_SHUTDOWN_DELAY=1s")
	before.Program = os.Getenv(oldProgram)
	require.NotEmpty(t, before.Program, "%s names the binary to upgrade from: use make upgrade-test", oldProgram)
	f = newFaultCase(before, name)
	after = before.With()
	after.Program = harness.Program
	return f, before, after
}

// upgradeLoad is clients that create, read, send, cancel and accept all the time, each request at another of the processes that
// are in use.
type upgradeLoad struct {
	f       *faultCase
	clients sync.WaitGroup
	ended   chan struct{}
	runs    int // how often the load was started

	mu       sync.Mutex
	inUse    []*harness.Process
	next     int
	requests int
	slowest  time.Duration
	failures map[string]int
}

// use sets the processes that get requests.
func (l *upgradeLoad) use(processes ...*harness.Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse = processes
}

// retire ends a process in order, and takes it out of use when it says that it is not ready, as a gateway does.
func (l *upgradeLoad) retire(p *harness.Process) {
	l.f.t.Helper()
	p.Signal(syscall.SIGTERM)
	p.WaitUntil("it is not ready", func() bool { return p.Do("GET", "/readyz", "", "").Status == http.StatusServiceUnavailable })
	l.mu.Lock()
	l.inUse = slices.DeleteFunc(slices.Clone(l.inUse), func(each *harness.Process) bool { return each == p })
	l.mu.Unlock()
	p.WaitExitCode(0)
}

func (l *upgradeLoad) start() {
	l.ended = make(chan struct{})
	l.runs++
	for client := range loadClients {
		l.clients.Go(func() { l.run(client, fmt.Sprintf("%d.%d", l.runs, client)) })
	}
	l.f.t.Cleanup(l.stop)
}

// stop ends the clients after their requests. It may be called more than once.
func (l *upgradeLoad) stop() {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	l.clients.Wait()
}

// run is one client.
func (l *upgradeLoad) run(client int, name string) {
	user := fmt.Sprintf("user%d", client)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.ended:
			return
		case <-ticker.C:
		}
		address := fmt.Sprintf("%s.%d@university.example", name, i)
		project := (l.runs-1)*loadProjects/2 + i/5
		accepts := i%5 == 0 && project < l.runs*loadProjects/2
		if accepts {
			address = user + "@university.example"
		}
		made, ok := l.send(http.StatusCreated, "POST", harness.InvitationsPath, "olivia", harness.InvitationBodyFor(address, loadProjectUUID(project%loadProjects)))
		if !ok {
			continue
		}
		id := made.Invitation().UUID
		l.f.record(&l.f.created, id)
		path := harness.InvitationsPath + id + "/"
		l.send(http.StatusOK, "GET", path, "olivia", "")
		l.send(http.StatusOK, "GET", harness.InvitationsPath+"?page_size=1", "sam", "")
		switch {
		case accepts:
			if _, ok := l.send(http.StatusOK, "POST", path+"accept/", user, ""); ok {
				l.f.record(&l.f.accepted, id)
			}
		case i%5 == 1:
			l.send(http.StatusOK, "POST", path+"cancel/", "olivia", "")
		case i%5 == 2:
			l.send(http.StatusOK, "POST", path+"send/", "olivia", "")
		}
	}
}

// send sends a request to the next process, and reports whether the response has a status.
func (l *upgradeLoad) send(status int, method, path, user, body string) (harness.Response, bool) {
	l.mu.Lock()
	l.next++
	p := l.inUse[l.next%len(l.inUse)]
	l.mu.Unlock()
	start := time.Now()
	got, err := p.TryDo(method, path, user, body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.slowest = max(l.slowest, time.Since(start))
	switch {
	case err != nil:
		l.failures[method+" "+path[strings.LastIndex(strings.TrimSuffix(path, "/"), "/"):]+": "+err.Error()]++
	case got.Status != status:
		l.failures[fmt.Sprintf("%s: %d %s", method, got.Status, got.Body)]++
	}
	return got, err == nil && got.Status == status
}

// phase lets the load run for a while, logs a line of the table, and fails where a request failed.
func (l *upgradeLoad) phase(name string) {
	l.f.t.Helper()
	goal := l.done() + 500
	l.f.waitUntil(time.Minute, "500 more requests are done", func() bool { return l.done() >= goal })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f.t.Logf("%-30s requests so far %5d, failed %d, the slowest %s", name, l.requests, len(l.failures), l.slowest.Round(time.Millisecond))
	l.slowest = 0
	require.Empty(l.f.t, slices.Collect(maps.Keys(l.failures)))
}

func (l *upgradeLoad) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// verifyCounts waits until each process gives the right number of invitations in each state: the version before does not count
// as this one does, and a sweep repairs the counts.
func (l *upgradeLoad) verifyCounts(processes ...*harness.Process) {
	l.f.t.Helper()
	for _, state := range invitation.States {
		rows := len(l.f.column("SELECT uuid FROM invitations WHERE state = '" + string(state) + "'"))
		for _, p := range processes {
			l.f.waitUntil(20*time.Second, "the count of "+string(state)+" is right", func() bool { return countInvitations(p, "sam", string(state)) == rows })
		}
	}
}
