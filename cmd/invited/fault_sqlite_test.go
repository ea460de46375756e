package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/storetest"
)

// The faults here are those of a database that is a file in the process's own keeping. PostgreSQL keeps its own files and
// locks; its faults are those of a server that is out of reach.
func onSQLiteTrial(t *testing.T, fault string, test func(x *trial)) {
	t.Helper()
	t.Parallel()
	for _, e := range storetest.Engines {
		if e.Name == "sqlite" {
			test(newSite(t, e.Fresh(t)).trial(fault))
		}
	}
}

// tally is what clients were answered, by status.
type tally struct {
	mu    sync.Mutex
	count map[int]int
	slow  time.Duration // the longest wait for an answer
}

func (c *tally) add(status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[int]int{}
	}
	c.count[status]++
	c.slow = max(c.slow, took)
}

// counted returns how many answers of each status there were, and the longest wait.
func (c *tally) counted() (map[int]int, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.count), c.slow
}

// write creates an invitation, or is told with a 503 and no more that it could not be done.
func (x *trial) write(p *served, c *tally, email string) {
	begun := time.Now()
	got, err := p.try("POST", invitations, "olivia", draft(email))
	if err != nil {
		x.t.Errorf("creating for %s: %v", email, err)
		return
	}
	c.add(got.status, time.Since(begun))
	switch got.status {
	case http.StatusCreated:
		x.mu.Lock()
		x.created = append(x.created, got.invitation().UUID)
		x.mu.Unlock()
	case http.StatusServiceUnavailable:
		assert.JSONEq(x.t, `{"detail": "Service temporarily unavailable."}`, got.body)
		assert.NotEmpty(x.t, got.header.Get("Retry-After"))
	default:
		assert.Fail(x.t, "neither done nor an honest 503", "%d %s", got.status, got.body)
	}
}

// read asks for what can be told without writing.
func (x *trial) read(p *served, c *tally, id string) {
	for path, user := range map[string]string{
		invitations + id + "/": "olivia", invitations: "sam", invitations + id + "/check/": "", "/healthz": "",
	} {
		method := "GET"
		if user == "" && path != "/healthz" {
			method = "POST"
		}
		begun := time.Now()
		got, err := p.try(method, path, user, "")
		if err != nil {
			x.t.Errorf("%s: %v", path, err)
			continue
		}
		c.add(got.status, time.Since(begun))
		assert.Equal(x.t, http.StatusOK, got.status, "%s: %s", path, got.body)
	}
}

// Another process, such as a backup or somebody's shell, holds the lock for longer than anybody waits for it.
func TestFaultSQLiteLocked(t *testing.T) {
	onSQLiteTrial(t, "SQLite locked by another process", func(x *trial) {
		p := x.s.serve()
		id := x.createQuickly(p, "before", 1)[0]
		p.delivered(id)
		pending := x.createQuickly(p, "pending", 5)
		conn, err := x.s.raw().Conn(x.t.Context())
		require.NoError(x.t, err)
		_, err = conn.ExecContext(x.t.Context(), "BEGIN IMMEDIATE")
		require.NoError(x.t, err)

		var (
			clients        sync.WaitGroup
			written, asked tally
		)
		over := make(chan struct{})
		loop := func(f func(i int)) {
			clients.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-over:
						return
					default:
						f(i)
					}
				}
			})
		}
		for c := range 3 {
			loop(func(i int) { x.write(p, &written, fmt.Sprintf("locked-%d-%d@university.example", c, i)) })
		}
		for range 2 {
			loop(func(int) { x.read(p, &asked, id) })
		}
		begun := time.Now()
		// Who writes may have to wait for a connection before the 5 s for the lock: the background work waits as well.
		x.until(30*time.Second, "who writes is told", func() bool {
			count, _ := written.counted()
			return count[503] >= 3 && time.Since(begun) > 8*time.Second
		})
		count, _ := written.counted()
		assert.Zero(x.t, count[201], "nobody could write")
		_, err = conn.ExecContext(x.t.Context(), "COMMIT")
		require.NoError(x.t, err)
		require.NoError(x.t, conn.Close())
		x.healed()
		x.until(quick, "writes go on", func() bool {
			count, _ := written.counted()
			return count[201] >= 10
		})
		close(over)
		clients.Wait()
		count, slowest := written.counted()
		require.Less(x.t, slowest, api.RequestTimeout+quick)
		reads, slowestRead := asked.counted()
		require.Greater(x.t, reads[200], 100)
		require.Less(x.t, slowestRead, 2*time.Second, "nobody who reads waits for who writes")
		x.t.Logf("writes %v, slowest %s; reads %v, slowest %s", count, slowest, reads, slowestRead)
		x.judge(patience, 0)
		for _, each := range append(pending, id) {
			require.Equal(x.t, "OK", p.see(each).ExecutionState)
		}
		p.stop()
	})
}

// onSmallDisk has a trial's program run with its database on a small disk of its own. The test is skipped where nobody may
// mount anything.
func (x *trial) onSmallDisk() (p *served, folder string) {
	x.t.Helper()
	disk, start := x.t.TempDir(), ""
	for _, each := range x.s.environ {
		if path, found := strings.CutPrefix(each, "INVITED_DATABASE_URL=sqlite://"); found {
			start = path
		}
	}
	// What is mounted in a namespace of its own nobody else sees, and it is gone with the process.
	unshare := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	mount := "mount -t tmpfs -o size=2m,mode=0700 tmpfs " + disk
	if out, err := exec.Command(unshare[0], append(unshare[1:], "sh", "-c", mount)...).CombinedOutput(); err != nil {
		x.t.Skipf("mounting a small disk takes root or user namespaces, and there are neither: %v %s", err, out)
	}
	wrapper := filepath.Join(x.t.TempDir(), "invited")
	script := fmt.Sprintf("#!/bin/sh\nexec %s sh -c '%s && cp %s %s/invited.db && exec %s \"$@\"' sh \"$@\"\n",
		strings.Join(unshare, " "), mount, start, disk, x.s.binary)
	require.NoError(x.t, os.WriteFile(wrapper, []byte(script), 0o700))
	s := x.s.with("INVITED_DATABASE_URL=sqlite://" + filepath.Join(disk, "invited.db"))
	s.binary = wrapper
	p = s.serve()
	folder = fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, disk)
	return p, folder
}

// look has the trial judge by a copy of a database that the test can't open where it is, as a crash of the program would
// leave it now.
func (x *trial) look(p *served, folder string) {
	x.t.Helper()
	p.signal(syscall.SIGSTOP)
	p.until("it stands still", func() bool {
		said, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		require.NoError(x.t, err)
		return strings.Contains(string(said), ") T ")
	})
	copied := filepath.Join(x.t.TempDir(), "invited.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(filepath.Join(folder, "invited.db"+suffix))
		require.NoError(x.t, err)
		require.NoError(x.t, os.WriteFile(copied+suffix, content, 0o600))
	}
	p.signal(syscall.SIGCONT)
	x.db = x.s.with("INVITED_DATABASE_URL=sqlite://" + copied).raw()
}

// fill writes a file until there is no room for another byte.
func (x *trial) fill(name string) {
	x.t.Helper()
	file, err := os.Create(name)
	require.NoError(x.t, err)
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(block)
	}
	require.ErrorIs(x.t, err, syscall.ENOSPC)
	require.NoError(x.t, file.Close())
}

// The disk is full: what can't be kept is not promised, what was promised is kept, and what was mailed meanwhile is written
// down once there is room again, without a restart.
func TestFaultSQLiteDiskFull(t *testing.T) {
	onSQLiteTrial(t, "SQLite's disk full", func(x *trial) {
		p, disk := x.onSmallDisk()
		delivered := x.createQuickly(p, "delivered", 1)[0]
		p.delivered(delivered)

		// As many mails are under way as are sent at once, so that nothing else is begun meanwhile.
		arrived, goOn := make(chan struct{}, 100), make(chan struct{})
		x.sink.answers(func(stage, _ string) string {
			if stage == "CONTENT" {
				arrived <- struct{}{}
				<-goOn
			}
			return ""
		})
		x.createQuickly(p, "under-way", 8)
		for range 8 {
			<-arrived
		}

		ballast := filepath.Join(disk, "ballast")
		x.fill(ballast)
		var written, asked tally
		for i := 0; ; i++ { // SQLite may have some room of its own left
			x.write(p, &written, fmt.Sprintf("full%d@university.example", i))
			x.read(p, &asked, delivered)
			if count, _ := written.counted(); count[503] >= 10 {
				x.t.Logf("%d still had room", count[201])
				break
			}
			require.Less(x.t, i, 1000, "the disk is not full")
		}
		x.sink.answers(nil)
		close(goOn)
		x.until(quick, "the mails are out", func() bool { return len(x.sink.got()) == 9 })
		for range 20 {
			x.read(p, &asked, delivered)
			x.write(p, &written, "full@university.example")
		}
		count, slowest := written.counted()
		require.GreaterOrEqual(x.t, count[503], 30, "nothing has changed")
		_, slowestRead := asked.counted()
		x.t.Logf("writes %v, slowest %s; reads, slowest %s", count, slowest, slowestRead)

		require.NoError(x.t, os.Remove(ballast))
		x.healed()
		x.createQuickly(p, "after", 3)
		x.until(patience, "the queue is empty", func() bool {
			x.look(p, disk)
			return len(x.open()) == 0
		})
		x.judge(0, 0)
		require.Equal(x.t, []string{"ok"}, x.rows("PRAGMA integrity_check"))
		require.Empty(x.t, x.rows("SELECT uuid FROM invitations WHERE execution_state <> 'OK'"))
		require.Len(x.t, x.rows("SELECT uuid FROM invitations"), len(x.created), "nothing half done")
		p.stop()
	})
}
