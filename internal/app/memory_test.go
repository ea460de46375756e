package app

import (
	"errors"
	"math"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/stretchr/testify/require"
)

// Not parallel: the limits are those of the process.
func TestTuneMemory(t *testing.T) { //nolint:paralleltest // as above
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(math.MaxInt64)
	})
	failing := func(err error) memlimit.Provider { return func() (uint64, error) { return 0, err } }
	unlimited := int64(math.MaxInt64)
	for name, test := range map[string]struct {
		environ []string
		cgroup  memlimit.Provider
		set     int64 // what tuneMemory returns
		limit   int64 // what the runtime has then
		percent int
		fails   bool
	}{
		"limited":          {nil, memlimit.Limit(500 << 20), 400 << 20, 400 << 20, 400, false},
		"GOMEMLIMIT wins":  {[]string{"GOMEMLIMIT=1GiB"}, memlimit.Limit(500 << 20), 0, unlimited, 400, false},
		"GOGC wins":        {[]string{"GOGC=50"}, memlimit.Limit(500 << 20), 400 << 20, 400 << 20, 77, false},
		"unlimited":        {nil, failing(memlimit.ErrNoLimit), 0, unlimited, 400, false},
		"no cgroup":        {nil, failing(memlimit.ErrNoCgroup), 0, unlimited, 400, false},
		"no cgroups":       {nil, failing(memlimit.ErrCgroupsNotSupported), 0, unlimited, 400, false},
		"unreadable":       {nil, failing(errors.New("permission denied")), 0, unlimited, 400, true},
		"another variable": {[]string{"XGOMEMLIMIT=1GiB"}, memlimit.Limit(500 << 20), 400 << 20, 400 << 20, 400, false},
	} {
		debug.SetMemoryLimit(unlimited)
		debug.SetGCPercent(77)
		set, err := tuneMemory(test.environ, test.cgroup)
		require.Equal(t, test.fails, err != nil, name)
		require.Equal(t, test.set, set, name)
		require.Equal(t, test.limit, debug.SetMemoryLimit(-1), name)
		require.Equal(t, test.percent, debug.SetGCPercent(77), name)
	}
}
