package api_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/store"
	"invited/internal/storetest"
)

// BenchmarkCreateWithKey compares requests that create an invitation, in turns: without an Idempotency-Key, with a new one, and
// the same again. It reports the median of each, and how many times as long a new key takes; once for a user of whom nothing is
// kept, and once for one of whom almost as much is kept as may be.
func BenchmarkCreateWithKey(b *testing.B) {
	for _, engine := range storetest.Engines {
		for _, kept := range []int{0, 9_000} {
			b.Run(fmt.Sprintf("%s/kept=%d", engine.Name, kept), func(b *testing.B) {
				e := newEnv(b, engine, envConfig{open: func(func() time.Time) *store.Store {
					o := database.Options{Postgres: engine.Fresh(b)}
					if path, ok := strings.CutPrefix(o.Postgres, "sqlite://"); ok {
						o = database.Options{SQLite: path}
					}
					db, err := store.Open(o)
					require.NoError(b, err)
					b.Cleanup(func() { require.NoError(b, db.Close()) })
					return db
				}})
				e.keepAnswers("owner", time.Now(), kept, 1_500)
				sent := 0
				send := func(key string) float64 {
					sent++
					r := e.newRequest("POST", base, "owner", draft(fmt.Sprintf("guest%d@example.org", sent), member, apollo))
					if key != "" {
						r.Header.Set("Idempotency-Key", key)
					}
					begin := time.Now()
					answer, err := e.server.Client().Do(r)
					require.NoError(b, err)
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					require.Equal(b, http.StatusCreated, answer.StatusCode)
					return float64(time.Since(begin).Microseconds())
				}
				send("")
				var plain, keyed, again []float64
				for b.Loop() {
					key := fmt.Sprint("k", sent)
					plain, keyed = append(plain, send("")), append(keyed, send(key))
					sent--
					again = append(again, send(key))
				}
				median := func(of []float64) float64 { slices.Sort(of); return of[len(of)/2] }
				b.ReportMetric(median(plain), "µs/plain")
				b.ReportMetric(median(keyed), "µs/keyed")
				b.ReportMetric(median(again), "µs/again")
				b.ReportMetric(median(keyed)/median(plain), "times")
			})
		}
	}
}
