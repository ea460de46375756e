package signin

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, limit := range []Limit{{30, time.Minute}, {1, time.Second}, {7, 90 * time.Second}, {10, time.Hour}} {
		throttled, now, each := newThrottle(limit), start, limit.Per/time.Duration(limit.Count)
		for range limit.Count {
			require.Zero(t, throttled.wait("192.0.2.1", "key", now))
			throttled.fail("192.0.2.1", "key", now)
		}
		require.InDelta(t, each, throttled.wait("192.0.2.1", "key", now), 10)
		require.Zero(t, throttled.wait("192.0.2.2", "key", now), "another address")
		// To ask costs nothing, and after the wait there is one more try.
		for range 2 {
			now = now.Add(each)
			require.Zero(t, throttled.wait("192.0.2.1", "key", now))
			require.Zero(t, throttled.wait("192.0.2.1", "key", now))
			throttled.fail("192.0.2.1", "key", now)
			require.InDelta(t, each, throttled.wait("192.0.2.1", "key", now), 10)
		}
		// Who tried often at once waits for all of it.
		for range 4 {
			throttled.fail("192.0.2.1", "key", now)
		}
		require.InDelta(t, 5*each, throttled.wait("192.0.2.1", "key", now), 10)
		require.Zero(t, throttled.wait("192.0.2.1", "key", now.Add(2*limit.Per+5*each)))
	}
	unlimited := newThrottle(Limit{})
	for range 1000 {
		unlimited.succeed("192.0.2.1", "key")
		unlimited.fail("192.0.2.1", "key", start)
		require.Zero(t, unlimited.wait("192.0.2.1", "key", start))
	}
}

// What a throttle remembers is bounded. Whoever goes on failing is not forgotten.
func TestThrottleForgets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	throttled := newThrottle(Limit{1, time.Hour})
	next := netip.MustParseAddr("10.0.0.0")
	for range 3 * max(maxClients, maxCredentials) {
		throttled.fail("192.0.2.1", "key", now)
		throttled.fail(next.String(), "key", now)
		throttled.succeed("192.0.2.2", next.String())
		next = next.Next()
	}
	require.Equal(t, maxClients, throttled.clients.Len())
	require.Equal(t, maxCredentials, throttled.valid.Len())
	require.Positive(t, throttled.wait("192.0.2.1", "key", now))
}
