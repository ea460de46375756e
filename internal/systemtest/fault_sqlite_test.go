package systemtest

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
	"invited/internal/systemtest/harness"
)

// onSQLiteFault runs a fault case on SQLite only: the fault is in the database file, which the process itself opens. The files
// of PostgreSQL belong to its server, whose faults are in fault_postgres_test.go.
func onSQLiteFault(t *testing.T, fault string, test func(f *faultCase)) {
	t.Helper()
	t.Parallel()
	for _, e := range storetest.Engines {
		if e.Name == "sqlite" {
			test(newFaultCase(harness.New(t, e.Fresh(t)), fault))
		}
	}
}

// responseStats counts the responses that clients got.
type responseStats struct {
	mu      sync.Mutex
	counts  map[int]int   // by status
	slowest time.Duration // the longest response time
}

func (s *responseStats) add(status int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[int]int{}
	}
	s.counts[status]++
	s.slowest = max(s.slowest, took)
}

// get returns the number of responses by status, and the longest response time.
func (s *responseStats) get() (counts map[int]int, slowest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts), s.slowest
}

// write creates an invitation. The response must be 201 or 503.
func (f *faultCase) write(p *harness.Process, stats *responseStats, email string) {
	start := time.Now()
	got, err := p.TryDo("POST", harness.InvitationsPath, "olivia", harness.InvitationBody(email))
	if err != nil {
		f.t.Errorf("creating for %s: %v", email, err)
		return
	}
	stats.add(got.Status, time.Since(start))
	switch got.Status {
	case http.StatusCreated:
		f.mu.Lock()
		f.created = append(f.created, got.Invitation().UUID)
		f.mu.Unlock()
	case http.StatusServiceUnavailable:
		assert.JSONEq(f.t, `{"detail": "Service temporarily unavailable."}`, got.Body)
		assert.NotEmpty(f.t, got.Header.Get("Retry-After"))
	default:
		assert.Fail(f.t, "neither 201 nor 503", "%d %s", got.Status, got.Body)
	}
}

// read sends the requests that the server answers without writing. Each must be answered with 200.
func (f *faultCase) read(p *harness.Process, stats *responseStats, id string) {
	for path, user := range map[string]string{
		harness.InvitationsPath + id + "/": "olivia", harness.InvitationsPath: "sam", harness.InvitationsPath + id + "/check/": "", "/healthz": "",
	} {
		method := "GET"
		if user == "" && path != "/healthz" {
			method = "POST"
		}
		start := time.Now()
		got, err := p.TryDo(method, path, user, "")
		if err != nil {
			f.t.Errorf("%s: %v", path, err)
			continue
		}
		stats.add(got.Status, time.Since(start))
		assert.Equal(f.t, http.StatusOK, got.Status, "%s: %s", path, got.Body)
	}
}

// Another process, such as a backup or a shell, holds the lock for longer than the program waits for it.
func TestFaultSQLiteLocked(t *testing.T) {
	onSQLiteFault(t, "SQLite locked by another process", func(f *faultCase) {
		p := f.env.Serve()
		id := f.createQuickly(p, "before", 1)[0]
		p.WaitDelivered(id)
		pending := f.createQuickly(p, "pending", 5)
		conn, err := f.env.DB().Conn(f.t.Context())
		require.NoError(f.t, err)
		f.t.Cleanup(func() { _ = conn.Close() }) // closed already, unless the test has failed
		_, err = conn.ExecContext(f.t.Context(), "BEGIN IMMEDIATE")
		require.NoError(f.t, err)

		var (
			clients       sync.WaitGroup
			writes, reads responseStats
		)
		over := make(chan struct{})
		stop := sync.OnceFunc(func() {
			close(over)
			clients.Wait()
		})
		f.t.Cleanup(stop)
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
			loop(func(i int) { f.write(p, &writes, fmt.Sprintf("locked-%d-%d@university.example", c, i)) })
		}
		for range 2 {
			loop(func(int) { f.read(p, &reads, id) })
		}
		start := time.Now()
		// A write may wait for a connection before it waits 5 s for the lock: the background work waits too.
		f.waitUntil(30*time.Second, "writes are answered with 503", func() bool {
			count, _ := writes.get()
			return count[503] >= 3 && time.Since(start) > 8*time.Second
		})
		count, _ := writes.get()
		assert.Zero(f.t, count[201], "no write succeeds")
		_, err = conn.ExecContext(f.t.Context(), "COMMIT")
		require.NoError(f.t, err)
		require.NoError(f.t, conn.Close())
		f.markHealed()
		f.waitUntil(quickLimit, "writes go on", func() bool {
			count, _ := writes.get()
			return count[201] >= 10
		})
		stop()
		count, slowest := writes.get()
		require.Less(f.t, slowest, api.RequestTimeout+quickLimit)
		readCount, slowestRead := reads.get()
		require.Greater(f.t, readCount[200], 100)
		require.Less(f.t, slowestRead, 2*time.Second, "reads do not wait for writes")
		f.t.Logf("writes %v, slowest %s; reads %v, slowest %s", count, slowest, readCount, slowestRead)
		// A job that ended just before the lock can be left as running, until it is rescued after two minutes.
		f.verify(3*time.Minute, 0)
		for _, each := range append(pending, id) {
			require.Equal(f.t, "OK", p.Get(each).ExecutionState)
		}
		p.Stop()
	})
}

// serveOnSmallDisk starts a process with its database on a small disk of its own, and returns the path of the disk as the
// test sees it. The test is skipped where it may not mount a disk.
func (f *faultCase) serveOnSmallDisk() (p *harness.Process, folder string) {
	f.t.Helper()
	disk, start := f.t.TempDir(), strings.TrimPrefix(f.env.Getenv("INVITED_DATABASE_URL"), "sqlite://")
	// A mount in a namespace of its own is invisible to other processes, and ends with its process.
	unshare := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	mount := "mount -t tmpfs -o size=4m,mode=0700 tmpfs " + disk
	if out, err := exec.Command(unshare[0], append(unshare[1:], "sh", "-c", mount)...).CombinedOutput(); err != nil {
		f.t.Skipf("mounting a small disk needs root or user namespaces: %v %s", err, out)
	}
	wrapper := filepath.Join(f.t.TempDir(), "invited")
	script := fmt.Sprintf("#!/bin/sh\nexec %s sh -c '%s && cp %s %s/invited.db && exec %s \"$@\"' sh \"$@\"\n",
		strings.Join(unshare, " "), mount, start, disk, f.env.Program)
	require.NoError(f.t, os.WriteFile(wrapper, []byte(script), 0o700))
	env := f.env.With("INVITED_DATABASE_URL=sqlite://" + filepath.Join(disk, "invited.db"))
	env.Program = wrapper
	p = env.Serve()
	folder = fmt.Sprintf("/proc/%d/root%s", p.Cmd.Process.Pid, disk)
	return p, folder
}

// inspectCopy makes the case query a copy of a database that the test can't open in place. The copy is what a crash of the
// program would leave now.
func (f *faultCase) inspectCopy(p *harness.Process, folder string) {
	f.t.Helper()
	p.Signal(syscall.SIGSTOP)
	p.WaitUntil("it is stopped", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
		require.NoError(f.t, err)
		return strings.Contains(string(stat), ") T ")
	})
	copied := filepath.Join(f.t.TempDir(), "invited.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(filepath.Join(folder, "invited.db"+suffix))
		require.NoError(f.t, err)
		require.NoError(f.t, os.WriteFile(copied+suffix, content, 0o600))
	}
	p.Signal(syscall.SIGCONT)
	f.db = f.env.With("INVITED_DATABASE_URL=sqlite://" + copied).DB()
}

// fillDisk writes a file until the disk is full.
func (f *faultCase) fillDisk(name string) {
	f.t.Helper()
	file, err := os.Create(name)
	require.NoError(f.t, err)
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(block)
	}
	require.ErrorIs(f.t, err, syscall.ENOSPC)
	require.NoError(f.t, file.Close())
}

// The disk is full: a write that can't be saved is answered with 503, what was answered with 201 is not lost, and the results
// of mails that were sent meanwhile are saved once there is room again, without a restart.
func TestFaultSQLiteDiskFull(t *testing.T) {
	onSQLiteFault(t, "SQLite's disk full", func(f *faultCase) {
		p, disk := f.serveOnSmallDisk()
		delivered := f.createQuickly(p, "delivered", 1)[0]
		p.WaitDelivered(delivered)

		// As many mails wait as are sent at once, so that no other job begins meanwhile.
		arrived, release := f.smtp.Hold()
		f.createQuickly(p, "under-way", 8)
		for range 8 {
			harness.Receive(f.t, arrived, "a mail arrives")
		}

		ballast := filepath.Join(disk, "ballast")
		f.fillDisk(ballast)
		var writes, reads responseStats
		for i := 0; ; i++ { // SQLite's own files may have some room left
			f.write(p, &writes, fmt.Sprintf("full%d@university.example", i))
			f.read(p, &reads, delivered)
			if count, _ := writes.get(); count[503] >= 10 {
				f.t.Logf("%d still had room", count[201])
				break
			}
			require.Less(f.t, i, 1000, "the disk is not full")
		}
		f.smtp.SetReply(nil)
		release()
		f.waitUntil(quickLimit, "the mails are sent", func() bool { return len(f.smtp.Mails()) == 9 })
		for range 20 {
			f.read(p, &reads, delivered)
			f.write(p, &writes, "full@university.example")
		}
		count, slowest := writes.get()
		require.GreaterOrEqual(f.t, count[503], 30, "the disk is still full")
		_, slowestRead := reads.get()
		f.t.Logf("writes %v, slowest %s; reads, slowest %s", count, slowest, slowestRead)

		require.NoError(f.t, os.Remove(ballast))
		f.markHealed()
		f.createQuickly(p, "after", 3)
		f.waitUntil(retryLimit, "the queue is empty", func() bool {
			f.inspectCopy(p, disk)
			return len(f.openJobs()) == 0
		})
		f.verify(0, 0)
		require.Equal(f.t, []string{"ok"}, f.column("PRAGMA integrity_check"))
		require.Empty(f.t, f.column("SELECT uuid FROM invitations WHERE execution_state <> 'OK'"))
		require.Len(f.t, f.column("SELECT uuid FROM invitations"), len(f.created), "nothing is half done")
		p.Stop()
	})
}
