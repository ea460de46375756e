package main

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stop in the middle of everything: clients that create without pause, and mails that take their time. What was begun
// is finished, what came too late was not begun, and another process goes on with the rest.
func TestFaultStopUnderLoad(t *testing.T) {
	onEachTrial(t, "SIGTERM under load", func(x *trial) {
		x.sink.answers(func(stage, _ string) string {
			if stage == "CONTENT" {
				<-time.After(200 * time.Millisecond)
			}
			return ""
		})
		p := x.s.serve()
		var (
			clients sync.WaitGroup
			mu      sync.Mutex
			broken  []string // requests that were sent and not answered, by their ids
		)
		for c := range 6 {
			clients.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d", c, i)
					got, err := p.try("POST", invitations, "olivia", draft("load-"+id+"@university.example"), "X-Request-ID", "load-"+id)
					switch {
					case errors.Is(err, syscall.ECONNREFUSED):
						return // nobody listens any more
					case err != nil:
						mu.Lock()
						broken = append(broken, "load-"+id)
						mu.Unlock()
					case got.status == 201:
						x.mu.Lock()
						x.created = append(x.created, got.invitation().UUID)
						x.mu.Unlock()
					default:
						assert.Equal(x.t, 503, got.status, got.body)
					}
				}
			})
		}
		x.until(patience, "some were answered, and some mailed", func() bool {
			x.mu.Lock()
			defer x.mu.Unlock()
			return len(x.created) >= 40 && len(x.sink.got()) >= 4
		})
		begun := time.Now()
		p.signal(syscall.SIGTERM)
		p.end(0)
		require.Less(x.t, time.Since(begun), shutdownTimeout, "nothing had to be cut off")
		clients.Wait()
		// A connection can break off with a request on it that the server never read: one that waited to be taken when
		// the listener was closed, or one that was idle (RFC 9112, section 9.5). Nothing came of such a request, and who
		// sends it again loses nothing. Of those that the server read none may be left without an answer.
		log := p.stderr.String()
		for _, id := range broken {
			assert.NotContains(x.t, log, "request_id="+id+" ", "read, and not answered")
			assert.Empty(x.t, x.rows("SELECT '' || uuid FROM invitations WHERE email = $1", id+"@university.example"), "done, and not told")
		}
		x.t.Logf("%d created, %d never read", len(x.created), len(broken))
		require.Len(x.t, x.rows("SELECT '' || uuid FROM invitations"), len(x.created), "what was done was told")
		require.Empty(x.t, x.rows("SELECT '' || id FROM river_job WHERE state = 'running'"))
		require.Empty(x.t, x.rows("SELECT '' || uuid FROM invitations WHERE execution_state IN ('Processing', 'Erred')"))
		require.NotEmpty(x.t, x.open(), "there is something left to do")

		x.healed()
		p = x.s.serve()
		x.judge(patience, 0)
		p.stop()
	})
}
