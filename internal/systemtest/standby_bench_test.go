package systemtest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest/postgres"
	"invited/internal/systemtest/harness"
)

const (
	standbyClients = 8    // that list
	standbyLists   = 8000 // in all
	standbyRows    = 500
)

// BenchmarkStandby measures what a list costs the writer, without and with a standby, while one client creates.
func BenchmarkStandby(b *testing.B) {
	bin := postgres.Find(b.Context())
	require.NotEmpty(b, bin)
	writer, err := postgres.New(b.Context(), bin, "synchronous_commit=on")
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, writer.Remove()) })
	standby, err := writer.NewStandby(b.Context())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, standby.Remove()) })
	env := harness.New(b, writer.URL).Set("INVITED_WORKERS=false").Apply()
	p := env.Serve()
	for i := range standbyRows {
		p.Create(fmt.Sprintf("user%d@university.example", i))
	}
	p.Stop()
	_, err = env.DB().ExecContext(b.Context(), "VACUUM (FREEZE, ANALYZE)") // else the standby looks each row's transaction up
	require.NoError(b, err)
	for _, with := range []*harness.Env{env, env.With("INVITED_DATABASE_READ_URL=" + standby.URL)} {
		name := "without"
		if with != env {
			name = "with"
		}
		b.Run(name, func(b *testing.B) {
			p := with.Serve()
			defer p.Stop()
			for b.Loop() {
				listWhileCreating(b, p, writer, standby, name)
			}
		})
	}
}

func listWhileCreating(b *testing.B, p *harness.Process, writer, standby *postgres.Server, name string) {
	b.Helper()
	done := make(chan struct{})
	var creator, clients sync.WaitGroup
	creates := 0
	creator.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for ; ; creates++ {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.Create(fmt.Sprintf("%s%d.%d@university.example", name, time.Now().UnixNano(), creates))
			}
		}
	})
	onWriter, onStandby := writer.CPU(), standby.CPU()
	began := time.Now()
	for range standbyClients {
		clients.Go(func() {
			for range standbyLists / standbyClients {
				p.Do("GET", harness.InvitationsPath+"?page_size=20", "olivia", "").Is(http.StatusOK)
			}
		})
	}
	clients.Wait()
	took := time.Since(began)
	close(done)
	creator.Wait()
	b.ReportMetric(standbyLists/took.Seconds(), "lists/s")
	b.ReportMetric((writer.CPU()-onWriter).Seconds()/standbyLists*1e6, "writer-us/list")
	b.ReportMetric((standby.CPU()-onStandby).Seconds()/standbyLists*1e6, "standby-us/list")
	b.ReportMetric(float64(creates)/took.Seconds(), "creates/s")
}
