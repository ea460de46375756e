package app

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// gcPercent is the garbage collector's target where GOGC is not set. The server's live heap is small, and at Go's default
// of 100 the collector would take an eighth of all processor time.
const gcPercent = 400

// memoryShare is the share of the cgroup's memory limit that the Go runtime may use. The rest is for what the runtime does
// not count: SQLite's memory, the program's text and the kernel's buffers.
const memoryShare = 0.8

// tuneMemory sets the garbage collector's target and, where the cgroup has a memory limit, the runtime's memory limit. The
// collector then lets garbage grow to gcPercent of the live heap, and works harder only as the process comes near its
// limit. GOGC and GOMEMLIMIT in environ, which the runtime has read already, win. tuneMemory returns the limit that it has
// set, in bytes, and 0 where it has set none.
func tuneMemory(environ []string, cgroup memlimit.Provider) (limit int64, err error) {
	given := func(name string) bool {
		return slices.ContainsFunc(environ, func(variable string) bool { return strings.HasPrefix(variable, name+"=") })
	}
	if !given("GOGC") {
		debug.SetGCPercent(gcPercent)
	}
	if given("GOMEMLIMIT") {
		return 0, nil
	}
	bytes, err := memlimit.ApplyRatio(cgroup, memoryShare)()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("the memory limit of the cgroup can't be read; set GOMEMLIMIT: %w", err)
	}
	limit = int64(bytes) //nolint:gosec // a share of what a cgroup can have, which fits
	debug.SetMemoryLimit(limit)
	return limit, nil
}
