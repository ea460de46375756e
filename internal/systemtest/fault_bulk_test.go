package systemtest

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// The process is killed at one statement after the other while it does a bulk invitation. The next process goes on where the
// last one was, at once: no row is done twice, and none is lost.
func TestFaultKilledDuringBulk(t *testing.T) {
	onEachFault(t, "kill -9 at any statement of a bulk invitation", func(f *faultCase) {
		f.env.Run(laterFile, "directory", "apply", "-f", "-").OK()
		count := 450 // three batches
		if f.env.OnSQLite() {
			count = 110 // five
		}
		p := f.env.With("INVITED_WORKERS=false").Serve()
		made := decodeBulk(f.t, p.Do("POST", bulkPath, "olivia", bulkBody("one", count, laterUUID), "X-Request-ID", "the-request").Is(202))
		p.Kill()
		deaths := 0
		const done = "SELECT uuid FROM bulk_invitations WHERE finished IS NOT NULL"
		for statement := 3; len(f.column(done)) == 0; statement += 4 {
			p = withKiller(f.env, "write:"+strconv.Itoa(statement)).Start()
			p.WaitUntil("it dies, or all is done", func() bool { return p.HasExited() || len(f.column(done)) > 0 })
			if p.HasExited() {
				deaths++
			}
			p.Kill()
		}
		require.Greater(f.t, deaths, 5)
		f.markHealed()
		p = f.env.Serve()
		found := decodeBulk(f.t, p.Do("GET", bulkPath+made.UUID+"/?page_size=300", "olivia", "").Is(200))
		require.Equal(f.t, "done", found.State)
		require.Equal(f.t, count, found.Counts["created"])
		emails := f.column("SELECT email FROM invitations ORDER BY email")
		require.Len(f.t, emails, count)
		require.Len(f.t, f.column("SELECT DISTINCT email FROM invitations"), count)
		require.Len(f.t, f.column("SELECT uuid FROM invitations JOIN bulk_invitation_rows ON invitation_uuid = uuid"), count)
		require.Len(f.t, f.column("SELECT invitation_uuid FROM invitation_events WHERE event_type = 'created' AND request_id = 'the-request'"), count)
		require.Equal(f.t, []string{fmt.Sprint(count)}, f.column("SELECT sum(project) FROM invitation_counts"))
		p.Stop()
	})
}
