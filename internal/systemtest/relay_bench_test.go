package systemtest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

const (
	relayed      = 300              // number of invitations that wait to be mailed
	relayRate    = 2                // mails that the mail server takes in a second
	relayedLimit = 15 * time.Minute // for all of them
)

// BenchmarkSlowRelay measures how long one process takes to mail 300 invitations to a mail server that takes two mails in any
// second and replies 450 beyond, and how often the process tries to.
func BenchmarkSlowRelay(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine.Name, func(b *testing.B) {
			b.StopTimer()
			env := harness.New(b, engine.Fresh(b))
			recorder := harness.NewSMTPRecorder(b)
			var mu sync.Mutex
			var taken []time.Time
			tries := 0
			recorder.SetReply(func(stage, _ string) string {
				if stage != "RCPT" {
					return ""
				}
				mu.Lock()
				defer mu.Unlock()
				tries++
				now := time.Now()
				if n := len(taken); n >= relayRate && now.Sub(taken[n-relayRate]) < time.Second {
					return "450 Too many requests"
				}
				taken = append(taken, now)
				return ""
			})
			env.Apply().Set("INVITED_SMTP_URL=" + recorder.URL)
			p := env.With("INVITED_WORKERS=false").Serve()
			for i := range relayed {
				p.Create(fmt.Sprintf("user%d@university.example", i))
			}
			p.Stop()
			b.StartTimer()

			began := time.Now()
			p = env.Serve()
			for tick := time.NewTicker(100 * time.Millisecond); len(recorder.Mails()) < relayed; <-tick.C {
				require.Less(b, time.Since(began), relayedLimit, "%d of %d mails came", len(recorder.Mails()), relayed)
			}
			b.StopTimer()
			p.Stop()
			mu.Lock()
			defer mu.Unlock()
			b.ReportMetric(time.Since(began).Seconds(), "s")
			b.ReportMetric(float64(tries), "tries")
			require.Len(b, recorder.Copies(), relayed)
		})
	}
}
