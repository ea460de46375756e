package systemtest

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

var highestResident = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// manyNames returns a JSON object of about a size in bytes, with a token and as many short names as fit.
func manyNames(size int) string {
	var body strings.Builder
	body.WriteString(`{"token":"x"`)
	for i := 0; body.Len() < size-12; i++ {
		fmt.Fprintf(&body, `,"%x":1`, i)
	}
	return body.String() + "}"
}

// Bodies that are costly to decode, sent by many clients at once without a token and with one, do not take the memory:
// 20 clients used to take 850 MB.
func TestMemoryOfBodies(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		p := env.Apply().Serve()
		status := fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid)
		if _, err := os.Stat(status); err != nil {
			t.Skip("this machine has no /proc")
		}
		const clients = 60
		deadline := time.Now().Add(3 * time.Second)
		var all sync.WaitGroup
		for i := range clients {
			path, user, sent := "approve/", "", manyNames(16_000)
			switch i % 3 {
			case 1:
				sent = manyNames(900_000)
			case 2:
				path, user, sent = "check-duplicates/", "olivia", manyNames(900_000)
			}
			all.Go(func() {
				for time.Now().Before(deadline) {
					_, _ = p.TryDo("POST", harness.InvitationsPath+path, user, sent) // any response, or none, is right
				}
			})
		}
		for time.Now().Before(deadline) {
			p.Do("POST", harness.InvitationsPath+"approve/", "", `{"token":"x"}`).Is(http.StatusBadRequest)
			p.Do("GET", harness.InvitationsPath, "olivia", "").Is(http.StatusOK)
		}
		all.Wait()
		content, err := os.ReadFile(status)
		require.NoError(t, err)
		found := highestResident.FindSubmatch(content)
		require.NotNil(t, found)
		kilobytes, err := strconv.Atoi(string(found[1]))
		require.NoError(t, err)
		t.Logf("%d MB resident at most", kilobytes/1000)
		require.Less(t, kilobytes, 256_000)
	})
}
