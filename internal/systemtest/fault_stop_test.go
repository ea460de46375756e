package systemtest

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// shutdownTimeout limits each part of the program's orderly shutdown.
const shutdownTimeout = 30 * time.Second

// The process gets SIGTERM while clients create without pause and the mail server is slow. Requests and jobs that are running
// are finished, later requests are not begun, and another process does the remaining work.
func TestFaultStopUnderLoad(t *testing.T) {
	onEachFault(t, "SIGTERM under load", func(f *faultCase) {
		f.smtp.SetReply(func(stage, _ string) string {
			if stage == "CONTENT" {
				harness.Sleep(f.t, 200*time.Millisecond)
			}
			return ""
		})
		p := f.env.Serve()
		var (
			clients sync.WaitGroup
			mu      sync.Mutex
			broken  []string // ids of the requests that were sent and not answered
		)
		for c := range 6 {
			clients.Go(func() {
				for i := 0; f.t.Context().Err() == nil; i++ {
					id := fmt.Sprintf("%d-%d", c, i)
					got, err := p.TryDo("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("load-"+id+"@university.example"), "X-Request-ID", "load-"+id)
					switch {
					case errors.Is(err, syscall.ECONNREFUSED):
						return // the listener is closed
					case err != nil:
						mu.Lock()
						broken = append(broken, "load-"+id)
						mu.Unlock()
					case got.Status == 201:
						f.mu.Lock()
						f.created = append(f.created, got.Invitation().UUID)
						f.mu.Unlock()
					default:
						assert.Equal(f.t, 503, got.Status, got.Body)
					}
				}
			})
		}
		f.t.Cleanup(clients.Wait)
		f.waitUntil(retryLimit, "some requests are answered and some mails sent", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return len(f.created) >= 40 && len(f.smtp.Mails()) >= 4
		})
		start := time.Now()
		p.Signal(syscall.SIGTERM)
		p.WaitExitCode(0)
		require.Less(f.t, time.Since(start), shutdownTimeout, "nothing reached its timeout")
		clients.Wait()
		// A connection can be closed with a request on it that the server never read: it waited to be accepted when the
		// listener was closed, or it was idle (RFC 9112, section 9.5). Such a request was not done, and a client can send it
		// again. Every request that the server did read must get a response.
		log := p.Stderr.String()
		for _, id := range broken {
			assert.NotContains(f.t, log, "request_id="+id+" ", "the server read it and did not answer")
			assert.Empty(f.t, f.column("SELECT '' || uuid FROM invitations WHERE email = $1", id+"@university.example"), "done without a response")
		}
		f.t.Logf("%d created, %d never read", len(f.created), len(broken))
		require.Len(f.t, f.column("SELECT '' || uuid FROM invitations"), len(f.created), "every create that was done was answered with 201")
		require.Empty(f.t, f.column("SELECT '' || id FROM river_job WHERE state = 'running'"))
		require.Empty(f.t, f.column("SELECT '' || uuid FROM invitations WHERE execution_state IN ('Processing', 'Erred')"))
		require.NotEmpty(f.t, f.openJobs(), "work is left")

		f.markHealed()
		p = f.env.Serve()
		f.verify(retryLimit, 0)
		p.Stop()
	})
}
