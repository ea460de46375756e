package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
)

// queued is how many invitations wait to be mailed.
const queued = 5000

// BenchmarkDelivery has one process mail 5,000 queued invitations to a mail server on the same machine, and asks for one
// of them over and over meanwhile: mails per second, and how long the slowest of a hundred answers took, beside how long it
// takes where nothing is mailed.
func BenchmarkDelivery(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine.Name, func(b *testing.B) {
			b.StopTimer()
			s := newSite(b, engine.Fresh(b))
			sink := newSink(b)
			s.apply().set("INVITED_SMTP_URL="+sink.url, "INVITED_LOG_LEVEL=warn")
			p := s.with("INVITED_WORKERS=false", "INVITED_LOG_LEVEL=info").serve()
			id := ""
			for i := range queued {
				id = p.create(fmt.Sprintf("user%d@university.example", i)).UUID
			}
			ask := func(more func(asked int) bool) (p50, p99 float64) {
				var took []time.Duration
				for more(len(took)) {
					asked := time.Now()
					p.see(id)
					took = append(took, time.Since(asked))
					time.Sleep(5 * time.Millisecond) //nolint:forbidigo // a caller who thinks: the load, not a wait
				}
				slices.Sort(took)
				return float64(took[len(took)/2].Microseconds()) / 1000, float64(took[len(took)*99/100].Microseconds()) / 1000
			}
			p50, p99 := ask(func(asked int) bool { return asked < 1000 })
			b.ReportMetric(p50, "quiet-p50-ms")
			b.ReportMetric(p99, "quiet-p99-ms")
			p.stop()
			p = s.with("INVITED_LOG_LEVEL=info").serve()
			b.StartTimer()

			began := time.Now()
			p50, p99 = ask(func(int) bool { return len(sink.got()) < queued })
			b.StopTimer()
			b.ReportMetric(queued/time.Since(began).Seconds(), "mails/s")
			b.ReportMetric(p50, "p50-ms")
			b.ReportMetric(p99, "p99-ms")
			p.stop()
			require.Len(b, sink.copies(), queued)
		})
	}
}
