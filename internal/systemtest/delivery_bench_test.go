package systemtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

const (
	queued       = 5000            // number of invitations that wait to be mailed
	mailingLimit = 5 * time.Minute // for all of them
)

// BenchmarkDelivery measures how many mails a second one process sends to a mail server on the same machine, of 5,000 queued
// invitations. Meanwhile it retrieves one of them again and again, and measures the median and the 99th percentile of the
// response time, beside those where nothing is mailed.
func BenchmarkDelivery(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine.Name, func(b *testing.B) {
			b.StopTimer()
			env := harness.New(b, engine.Fresh(b))
			recorder := harness.NewSMTPRecorder(b)
			env.Apply().Set("INVITED_SMTP_URL="+recorder.URL, "INVITED_LOG_LEVEL=warn")
			p := env.With("INVITED_WORKERS=false", "INVITED_LOG_LEVEL=info").Serve()
			id := ""
			for i := range queued {
				id = p.Create(fmt.Sprintf("user%d@university.example", i)).UUID
			}
			measure := func(more func(count int) bool) (p50, p99 float64) {
				var took []time.Duration
				for more(len(took)) {
					start := time.Now()
					p.Get(id)
					took = append(took, time.Since(start))
					time.Sleep(5 * time.Millisecond) //nolint:forbidigo // part of the load: a caller who pauses
				}
				slices.Sort(took)
				return float64(took[len(took)/2].Microseconds()) / 1000, float64(took[len(took)*99/100].Microseconds()) / 1000
			}
			p50, p99 := measure(func(count int) bool { return count < 1000 })
			b.ReportMetric(p50, "quiet-p50-ms")
			b.ReportMetric(p99, "quiet-p99-ms")
			p.Stop()
			p = env.With("INVITED_LOG_LEVEL=info").Serve()
			b.StartTimer()

			began := time.Now()
			p50, p99 = measure(func(int) bool {
				require.Less(b, time.Since(began), mailingLimit, "%d of %d mails came", len(recorder.Mails()), queued)
				return len(recorder.Mails()) < queued
			})
			b.StopTimer()
			b.ReportMetric(queued/time.Since(began).Seconds(), "mails/s")
			b.ReportMetric(p50, "p50-ms")
			b.ReportMetric(p99, "p99-ms")
			p.Stop()
			require.Len(b, recorder.Copies(), queued)
		})
	}
}
