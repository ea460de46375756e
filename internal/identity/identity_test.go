package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/fault"
)

var now = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

func TestCodeWorksForTenMinutesAndFiveTries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		request CodeRequest
		works   bool
	}{
		"new":                          {CodeRequest{Created: now}, true},
		"a moment before its end":      {CodeRequest{Created: now.Add(time.Microsecond - CodeLifetime)}, true},
		"at its end":                   {CodeRequest{Created: now.Add(-CodeLifetime)}, false},
		"after four tries":             {CodeRequest{Created: now, Tries: 4}, true},
		"after five tries":             {CodeRequest{Created: now, Tries: 5}, false},
		"used, or replaced by another": {CodeRequest{Created: now, Used: true}, false},
	} {
		require.Equal(t, test.works, test.request.worksAt(now), name)
		entered, err := test.request.enter(true, now)
		if !test.works {
			require.True(t, fault.Is(err, fault.KindRejected), name)
			require.Equal(t, test.request, entered, name)
			continue
		}
		require.NoError(t, err, name)
		require.False(t, entered.worksAt(now), "%s: a code works once", name)
	}
}

func TestWrongCodesCount(t *testing.T) {
	t.Parallel()
	r := CodeRequest{Created: now}
	for try := 1; try <= 5; try++ {
		var err error
		r, err = r.enter(false, now)
		require.Equal(t, try, r.Tries)
		require.Equal(t, try < 5, fault.Is(err, fault.KindInvalid), "try %d: %v", try, err)
	}
	_, err := r.enter(true, now)
	require.True(t, fault.Is(err, fault.KindRejected), "the right code comes too late")
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		created, lastUsed time.Duration // ago
		works             bool
	}{
		"new":                       {0, 0, true},
		"used within the hour":      {7 * time.Hour, time.Hour - time.Microsecond, true},
		"not used for an hour":      {7 * time.Hour, time.Hour, false},
		"used, and eight hours old": {8 * time.Hour, 0, false},
	} {
		s := Session{Created: now.Add(-test.created), LastUsed: now.Add(-test.lastUsed)}
		require.Equal(t, test.works, s.worksAt(now), name)
	}
}

func TestClientNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7":                "192.0.2.7/32",
		"::ffff:192.0.2.7":         "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":     "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":     "2001:db8:1:2::/64",
		"fe80::1%eth0":             "fe80::/64",
		"fe80::2%" + "x\x00y":      "fe80::/64",
		"":                         "invalid Prefix",
		"192.0.2.7:80":             "invalid Prefix",
		"an address of our making": "invalid Prefix",
	} {
		require.Equal(t, want, ClientNetwork(address).String(), address)
	}
}
