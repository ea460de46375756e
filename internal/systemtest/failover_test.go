//go:build failover

package systemtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// takeover is a way to lose the writer of a cluster.
type takeover struct {
	name string
	lose func(f *failoverCase, writer *clusterNode)
	heal func(writer *clusterNode)
	old  bool // the old writer's processes live on
}

var (
	killed = takeover{"killed", func(_ *failoverCase, n *clusterNode) { n.kill() }, (*clusterNode).start, false}
	// The standbys miss what the writer commits in the last two seconds before it is killed.
	killedAhead = takeover{"killed, 2 s after the network of the standbys", func(f *failoverCase, n *clusterNode) {
		f.plugStandbys(n, false)
		harness.Sleep(f.t, 2*time.Second)
		n.kill()
		f.plugStandbys(n, true)
	}, (*clusterNode).start, false}
	cutOff = takeover{
		"cut off from the network", func(_ *failoverCase, n *clusterNode) { n.plug(false) },
		func(n *clusterNode) { n.plug(true) }, true,
	}
	// A machine that stands still, and does not know it, as a virtual one that is paused.
	paused = takeover{"paused, and woken up later", func(_ *failoverCase, n *clusterNode) {
		n.plug(false)
		n.stand()
	}, func(n *clusterNode) {
		n.plug(true)
		n.signal(syscall.SIGCONT)
	}, true}
	// The machine's kernel goes on and acknowledges what it gets: to its peers nothing is wrong but that no answer comes.
	hung = takeover{
		"hangs, and goes on later", func(_ *failoverCase, n *clusterNode) { n.stand() },
		func(n *clusterNode) { n.signal(syscall.SIGCONT) }, true,
	}
	switched = takeover{"switched over by hand", func(f *failoverCase, _ *clusterNode) { f.c.switchOver() }, nil, false}
)

// A cluster loses its writer while two replicas create invitations and mail them. The replicas go on with the next writer by
// themselves, and what became of each invitation is compared with what clients were told.
func TestFailover(t *testing.T) {
	var table failoverTable
	defer func() { t.Logf("\n%s", table) }()
	for _, each := range []struct {
		takeover
		clusterOptions
		haproxy bool
	}{
		{killed, clusterOptions{synchronous: true, ttl: 10}, false},
		{killedAhead, clusterOptions{synchronous: true, ttl: 10}, false},
		{cutOff, clusterOptions{synchronous: true, ttl: 10}, false},
		{paused, clusterOptions{synchronous: true, ttl: 10}, false},
		{hung, clusterOptions{synchronous: true, ttl: 10}, false},
		{switched, clusterOptions{synchronous: true, ttl: 10}, false},
		{killed, clusterOptions{ttl: 10}, false},
		{killedAhead, clusterOptions{ttl: 10}, false},
		{cutOff, clusterOptions{ttl: 10}, false},
		{paused, clusterOptions{ttl: 10}, false},
		{killed, clusterOptions{synchronous: true, ttl: 10}, true},
		{cutOff, clusterOptions{synchronous: true, ttl: 10}, true},
		{killed, clusterOptions{synchronous: true, ttl: 20}, false},
		{paused, clusterOptions{synchronous: true, ttl: 10, etcd3: true}, false},
	} {
		r := failoverResult{fault: each.name, way: "URL", clusterOptions: each.clusterOptions}
		if each.haproxy {
			r.way = "HAProxy"
		}
		if each.etcd3 {
			r.fault += " (etcd3)"
		}
		t.Run(fmt.Sprintf("%s/%s, ttl %d, %s", r.fault, r.replication(), each.ttl, r.way), func(t *testing.T) {
			newFailoverCase(t, each.clusterOptions, each.haproxy).run(each.takeover, &r)
			table = append(table, r)
			t.Logf("\n%s", failoverTable{r})
		})
	}
}

// failoverCase is a fault case on a cluster.
type failoverCase struct {
	*faultCase
	c        *cluster
	replicas []*harness.Process

	mu     sync.Mutex
	writes [2][]time.Time // when creates succeeded, by replica
	probed []string       // what clients on the old writer's own machine were told to be written
}

func newFailoverCase(t *testing.T, o clusterOptions, haproxy bool) *failoverCase {
	t.Helper()
	c := newCluster(t, o)
	url := c.createDatabase()
	if haproxy {
		c.startProxy()
		url = "postgres://invited:secret@" + proxyAddress + "/invited?target_session_attrs=read-write"
	}
	env := harness.New(t, url)
	env.Run("", "migrate", "up").OK()
	f := &failoverCase{faultCase: newFaultCase(env, ""), c: c}
	f.mayLose = !o.synchronous || o.etcd3
	f.smtp.SetReply(func(stage, _ string) string {
		if stage == "CONTENT" { // so that at any time there are mails that were sent and whose result is not saved yet
			harness.Sleep(t, 50*time.Millisecond)
		}
		return ""
	})
	f.replicas = []*harness.Process{env.Serve(), env.Serve()}
	return f
}

func (f *failoverCase) run(fault takeover, r *failoverResult) {
	f.t.Helper()
	stop := f.startCreating()
	f.waitUntil(30*time.Second, "mails go out", func() bool { return len(f.smtp.Mails()) > 100 })
	before := f.c.writer()

	lost := time.Now()
	fault.lose(f, before)
	stopProbe := func() {}
	if fault.old {
		stopProbe = f.probe(before)
	}
	f.waitWriting(lost, 2*time.Minute)
	after := f.c.writer()
	require.NotEqual(f.t, before.name, after.name)
	if fault.heal != nil {
		fault.heal(before)
	}
	f.c.waitWhole()
	if !f.c.etcd3 {
		f.c.waitUntil(30*time.Second, "the old writer follows the new one", func() bool { return before.is("replica") })
	}
	stopProbe()
	f.waitWriting(time.Now(), 20*time.Second)
	stop()
	for i := range f.writes {
		r.without = max(r.without, longestGap(f.writes[i], lost))
	}

	after = f.c.writer()
	f.db = f.env.With("INVITED_DATABASE_URL=" + after.url("invited")).DB()
	f.markHealed()
	maxTwice := 1
	if f.mayLose { // that a mail was sent can be lost too
		maxTwice = len(f.created)
	}
	result := f.verify(3*time.Minute, maxTwice)
	r.created, r.lost, r.twice, r.refused = len(f.created), result.lost, result.twice, f.refused
	r.delivered = result.healTime
	present, err := after.psql("SELECT id FROM probes")
	require.NoError(f.t, err, present)
	for _, id := range f.probed {
		if !slices.Contains(strings.Fields(present), id) {
			r.probesLost++
		}
	}
	if !f.mayLose {
		require.Zero(f.t, r.probesLost, "the old writer acknowledged what the new one does not have")
	}
	for _, p := range f.replicas {
		require.Equal(f.t, http.StatusOK, p.Do("GET", "/readyz", "", "").Status)
		p.Stop()
		for _, each := range []string{"panic", "status=500"} {
			require.NotContains(f.t, p.Stderr.String(), each)
		}
	}
}

// startCreating creates 20 invitations a second through each replica until stop is called, whatever the earlier ones wait for.
func (f *failoverCase) startCreating() (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for i, p := range f.replicas {
		all.Go(func() {
			ticker := time.NewTicker(50 * time.Millisecond)
			defer ticker.Stop()
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-ticker.C:
				}
				all.Go(func() {
					if f.tryCreate(p, fmt.Sprintf("replica%d-%d@university.example", i, n)) == "" {
						return
					}
					f.mu.Lock()
					defer f.mu.Unlock()
					f.writes[i] = append(f.writes[i], time.Now())
				})
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(done)
		all.Wait()
	})
	f.t.Cleanup(stop)
	return stop
}

// waitWriting waits until both replicas have created something after a time.
func (f *failoverCase) waitWriting(since time.Time, limit time.Duration) {
	f.t.Helper()
	f.c.waitUntil(limit, "both replicas write", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, times := range f.writes {
			// One that came back within a second may have been under way.
			if len(times) == 0 || times[len(times)-1].Before(since.Add(time.Second)) {
				return false
			}
		}
		return true
	})
}

// longestGap returns the longest time without a write that ended after since.
func longestGap(times []time.Time, since time.Time) (longest time.Duration) {
	for i := 1; i < len(times); i++ {
		if times[i].After(since) {
			longest = max(longest, times[i].Sub(times[i-1]))
		}
	}
	return longest
}

func (f *failoverCase) plugStandbys(writer *clusterNode, in bool) {
	for _, n := range f.c.nodes {
		if n != writer {
			n.plug(in)
		}
	}
}

// probe writes on the old writer's own machine, without the network, until stop is called.
func (f *failoverCase) probe(old *clusterNode) (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			id := fmt.Sprintf("probe%d", i)
			if _, err := old.psql("INSERT INTO probes VALUES ('" + id + "')"); err == nil {
				f.mu.Lock()
				f.probed = append(f.probed, id)
				f.mu.Unlock()
			}
		}
	})
	stop = sync.OnceFunc(func() {
		close(done)
		all.Wait()
	})
	f.t.Cleanup(stop)
	return stop
}

// failoverResult is a line of the table of takeovers.
type failoverResult struct {
	fault, way string
	clusterOptions
	created, refused, lost, twice, probesLost int
	without                                   time.Duration // the longest time without a write, of the slower replica
	delivered                                 time.Duration // from the end of the load until everything was mailed
}

func (r failoverResult) replication() string {
	if r.synchronous {
		return "synchronous"
	}
	return "asynchronous"
}

type failoverTable []failoverResult

// String returns the table as text.
func (table failoverTable) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "writer\treplication\tttl\tthrough\tcreated\t503\tlost\ttwice\tlost of the old writer\twithout writes\tmailed after")
	for _, r := range table {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f s\t%.1f s\n", r.fault, r.replication(), r.ttl, r.way,
			r.created, r.refused, r.lost, r.twice, r.probesLost, r.without.Seconds(), r.delivered.Seconds())
	}
	_ = w.Flush() // to a strings.Builder
	return b.String()
}
