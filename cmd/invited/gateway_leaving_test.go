//go:build gateway

package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pressure is clients that ask and create all the time, and what went wrong for them.
type pressure struct {
	f    *front
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	asked   int
	created []string
	wrong   map[string][]string // by method
	most    map[string]time.Duration
}

const creators, readers = 3, 5

func (f *front) pressed(id string) *pressure {
	ctx, cancel := context.WithCancel(f.t.Context())
	l := &pressure{f: f, stop: cancel, wrong: map[string][]string{}, most: map[string]time.Duration{}}
	run := func(method string, pause time.Duration, once func(i int) error) {
		l.done.Go(func() {
			for i, tick := 0, time.NewTicker(pause); ctx.Err() == nil; i++ {
				start := time.Now()
				err := once(i)
				l.mu.Lock()
				l.asked++
				l.most[method] = max(l.most[method], time.Since(start))
				if err != nil {
					l.wrong[method] = append(l.wrong[method], err.Error())
				}
				l.mu.Unlock()
				<-tick.C
			}
		})
	}
	for range readers {
		run("GET", 5*time.Millisecond, func(i int) error {
			path := []string{below + id + "/", below + "?page_size=1"}[i%2]
			return l.expect(http.StatusOK, "GET", path, "")
		})
	}
	for n := range creators {
		run("POST", 20*time.Millisecond, func(i int) error {
			return l.expect(http.StatusCreated, "POST", below, draft(fmt.Sprintf("load%d.%d.%d@university.example", n, i, time.Now().UnixNano())))
		})
	}
	return l
}

func (l *pressure) expect(status int, method, path, body string) error {
	a, err := l.f.from("127.0.0.1", method, path, "olivia", body)
	if err != nil {
		return err
	}
	if a.status != status {
		return fmt.Errorf("%d %s", a.status, a.body)
	}
	if status == http.StatusCreated {
		id := a.invitation().UUID
		l.mu.Lock()
		l.created = append(l.created, id)
		l.mu.Unlock()
	}
	return nil
}

// more waits until that many more requests were answered.
func (l *pressure) more(count int) {
	l.f.t.Helper()
	so := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.asked
	}
	goal := so() + count
	l.f.replicas[1].until("the clients get on", func() bool { return so() >= goal })
}

// report takes what went wrong so far.
func (l *pressure) report(what string) map[string][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong := l.wrong
	l.wrong = map[string][]string{}
	l.f.t.Logf("%s: %d requests so far, the longest GET %s and POST %s; failed: GET %d, POST %d %s", what, l.asked,
		l.most["GET"].Round(time.Millisecond), l.most["POST"].Round(time.Millisecond), len(wrong["GET"]), len(wrong["POST"]),
		slices.Compact(slices.Sorted(slices.Values(wrong["POST"]))))
	return wrong
}

var rounds = flag.Int("gateway.rounds", 1, "how often a replica is taken away in good order")

// A replica goes away under load, in good order and not, comes back, and is used again.
func frontTakenAway(t *testing.T, f *front) {
	invitation, _ := f.create("ina@university.example")
	l := f.pressed(invitation.UUID)
	defer func() { l.stop(); l.done.Wait() }()
	back := func() {
		f.replicas[0] = f.s.with("INVITED_LISTEN_ADDR=" + f.replicas[0].address).serve()
		f.replicas[0].until("it is used again", func() bool { return strings.Contains(f.replicas[0].stderr.String(), "msg=request ") })
		l.more(100)
	}
	l.more(200)
	require.Empty(t, l.report("undisturbed"))

	for range *rounds {
		f.replicas[0].signal(syscall.SIGTERM)
		f.replicas[0].until("the gateway finds out", func() bool {
			before := strings.Count(f.replicas[0].stderr.String(), "msg=request ")
			l.more(50)
			return strings.Count(f.replicas[0].stderr.String(), "msg=request ") == before
		})
		f.replicas[0].ask("GET", "/readyz", "", "").is(http.StatusServiceUnavailable) // it is still there
		f.replicas[0].end(0)
		l.more(200)
		back()
		require.Empty(t, l.report("in good order"))
	}

	f.replicas[0].kill()
	l.more(400)
	back()
	wrong := l.report("killed")
	require.Empty(t, wrong["GET"])
	// A POST that was sent and not answered may have been done, and nobody but the client can know whether to ask again.
	// It can befall each client twice: a process that dies loses its connections before the port that takes new ones.
	require.LessOrEqual(t, len(wrong["POST"]), 2*creators, "at most what was under way")
	for _, each := range wrong["POST"] {
		require.Contains(t, each, `502 {"detail":"The service can't be reached. What was asked for may have been done or not."}`)
	}

	l.stop()
	l.done.Wait()
	for _, id := range l.created {
		a, err := f.from("127.0.0.1", "GET", below+id+"/", "olivia", "")
		require.NoError(t, err)
		a.is(http.StatusOK)
	}
}

// Where no replica is left the client is told, in the form of the contract.
func frontNobodyThere(t *testing.T, f *front) {
	for _, each := range f.replicas {
		each.kill()
	}
	a := f.ask("GET", below, "olivia", "")
	assert.Contains(t, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, a.status)
	require.Contains(t, a.body, `{"detail":`)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	f.idOf(a)
	f.right(a)
}
