package memory

import (
	"runtime/debug"
	"slices"
	"sync"
)

// economies are what Economize keeps.
var economies struct {
	sync.Mutex
	percents []int // of every call of Economize that has not ended
	usual    int   // the collector's target without them
}

// Economize makes the garbage collector start when the garbage is percent of the live memory, until end is called. It starts
// earlier where GOGC, or another call, asks for less. The target is that of the whole process: Economize is for work that is rare.
// It is safe for concurrent use. end is to be called once.
func Economize(percent int) (end func()) {
	economies.Lock()
	defer economies.Unlock()
	if len(economies.percents) == 0 {
		economies.usual = debug.SetGCPercent(percent)
	}
	economies.percents = append(economies.percents, percent)
	setTarget()
	return func() {
		economies.Lock()
		defer economies.Unlock()
		i := slices.Index(economies.percents, percent)
		economies.percents = slices.Delete(economies.percents, i, i+1)
		setTarget()
	}
}

func setTarget() {
	target := economies.usual
	for _, percent := range economies.percents {
		if target < 0 || percent < target { // a negative target: the collector is off
			target = percent
		}
	}
	debug.SetGCPercent(target)
}
