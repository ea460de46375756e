//go:build gateway

package systemtest

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

	"invited/internal/systemtest/harness"
)

// gatewayLoad is clients that read and create all the time through a gateway, with the errors that they met.
type gatewayLoad struct {
	f    *front
	stop func() // ends the clients; may be called more than once

	mu       sync.Mutex
	requests int
	created  []string                 // uuids
	errors   map[string][]string      // by method
	slowest  map[string]time.Duration // the longest response time, by method
}

const creators, readers = 3, 5

// startLoad starts clients that are stopped when the test ends. The readers retrieve an invitation.
func (f *front) startLoad(id string) *gatewayLoad {
	ctx, cancel := context.WithCancel(f.t.Context())
	var clients sync.WaitGroup
	l := &gatewayLoad{f: f, errors: map[string][]string{}, slowest: map[string]time.Duration{}}
	l.stop = func() {
		cancel()
		clients.Wait()
	}
	f.t.Cleanup(l.stop)
	run := func(method string, pause time.Duration, send func(i int) error) {
		clients.Go(func() {
			ticker := time.NewTicker(pause)
			defer ticker.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				start := time.Now()
				err := send(i)
				l.mu.Lock()
				l.requests++
				l.slowest[method] = max(l.slowest[method], time.Since(start))
				if err != nil {
					l.errors[method] = append(l.errors[method], err.Error())
				}
				l.mu.Unlock()
				<-ticker.C
			}
		})
	}
	for range readers {
		run("GET", 5*time.Millisecond, func(i int) error {
			path := []string{invitationsPath + id + "/", invitationsPath + "?page_size=1"}[i%2]
			return l.expect(http.StatusOK, "GET", path, "")
		})
	}
	for n := range creators {
		run("POST", 20*time.Millisecond, func(i int) error {
			return l.expect(http.StatusCreated, "POST", invitationsPath, harness.InvitationBody(fmt.Sprintf("load%d.%d.%d@university.example", n, i, time.Now().UnixNano())))
		})
	}
	return l
}

// expect sends a request as olivia, and returns an error where the response has another status.
func (l *gatewayLoad) expect(status int, method, path, body string) error {
	a, err := l.f.from("127.0.0.1", method, path, "olivia", body)
	if err != nil {
		return err
	}
	if a.Status != status {
		return fmt.Errorf("%d %s", a.Status, a.Body)
	}
	if status == http.StatusCreated {
		id := a.Invitation().UUID
		l.mu.Lock()
		l.created = append(l.created, id)
		l.mu.Unlock()
	}
	return nil
}

// waitRequests waits until count more requests are done.
func (l *gatewayLoad) waitRequests(count int) {
	l.f.t.Helper()
	done := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.requests
	}
	goal := done() + count
	l.f.replicas[1].WaitUntil("more requests are done", func() bool { return done() >= goal })
}

// takeErrors logs the state of the load after a phase, and returns the errors since the last call, by method.
func (l *gatewayLoad) takeErrors(phase string) map[string][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	failures := l.errors
	l.errors = map[string][]string{}
	l.f.t.Logf("%s: %d requests so far, the longest GET %s and POST %s; failed: GET %d, POST %d %s", phase, l.requests,
		l.slowest["GET"].Round(time.Millisecond), l.slowest["POST"].Round(time.Millisecond), len(failures["GET"]), len(failures["POST"]),
		slices.Compact(slices.Sorted(slices.Values(failures["POST"]))))
	return failures
}

var rounds = flag.Int("gateway.rounds", 1, "how often a replica is shut down in order and restarted")

// A replica is shut down in order and killed under load, comes back, and is used again.
func testReplicaGone(t *testing.T, f *front) {
	invitation, _ := f.create("ina@university.example")
	l := f.startLoad(invitation.UUID)
	restart := func() {
		f.replicas[0] = f.env.With("INVITED_LISTEN_ADDR=" + f.replicas[0].Address).Serve()
		f.replicas[0].WaitUntil("it is used again", func() bool { return strings.Contains(f.replicas[0].Stderr.String(), "msg=request ") })
		l.waitRequests(100)
	}
	l.waitRequests(200)
	require.Empty(t, l.takeErrors("undisturbed"))

	for range *rounds {
		f.replicas[0].Signal(syscall.SIGTERM)
		f.replicas[0].WaitUntil("the gateway stops using it", func() bool {
			before := strings.Count(f.replicas[0].Stderr.String(), "msg=request ")
			l.waitRequests(50)
			return strings.Count(f.replicas[0].Stderr.String(), "msg=request ") == before
		})
		f.replicas[0].Do("GET", "/readyz", "", "").Is(http.StatusServiceUnavailable) // it still serves
		f.replicas[0].WaitExitCode(0)
		l.waitRequests(200)
		restart()
		require.Empty(t, l.takeErrors("shut down in order"))
	}

	f.replicas[0].Kill()
	l.waitRequests(400)
	restart()
	failures := l.takeErrors("killed")
	require.Empty(t, failures["GET"])
	// A POST that was sent and not answered may have been done, and only the client can decide whether to send it again. Each
	// client can lose two: a killed process loses its connections before its listener.
	require.LessOrEqual(t, len(failures["POST"]), 2*creators, "at most the requests that were running")
	for _, each := range failures["POST"] {
		require.Contains(t, each, `502 {"detail":"The service can't be reached. What was asked for may have been done or not."}`)
	}

	l.stop()
	for _, id := range l.created {
		a, err := f.from("127.0.0.1", "GET", invitationsPath+id+"/", "olivia", "")
		require.NoError(t, err)
		a.Is(http.StatusOK)
	}
}

// Where no replica is left the client gets an error in the form of the contract.
func testNoReplica(t *testing.T, f *front) {
	for _, each := range f.replicas {
		each.Kill()
	}
	a := f.do("GET", invitationsPath, "olivia", "")
	assert.Contains(t, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, a.Status)
	require.Contains(t, a.Body, `{"detail":`)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	f.requestID(a)
	f.checkURLs(a)
}
