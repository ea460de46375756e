package memory

import (
	"runtime/debug"
	"slices"
	"sync"
)

var saving struct {
	sync.Mutex
	percents []int // of every Save that has not ended
	usual    int   // the collector's target without them
}

// Save makes the garbage collector start when the garbage is percent of the live memory, or earlier where another Save or GOGC
// says so, until end is called. The target is the whole process's, so that Save is for work that is rare. Save is safe for
// concurrent use, and end is to be called once.
func Save(percent int) (end func()) {
	saving.Lock()
	defer saving.Unlock()
	if len(saving.percents) == 0 {
		saving.usual = debug.SetGCPercent(percent)
	}
	saving.percents = append(saving.percents, percent)
	setTarget()
	return func() {
		saving.Lock()
		defer saving.Unlock()
		i := slices.Index(saving.percents, percent)
		saving.percents = slices.Delete(saving.percents, i, i+1)
		setTarget()
	}
}

func setTarget() {
	target := saving.usual
	for _, percent := range saving.percents {
		if target < 0 || percent < target { // a negative target: the collector is off
			target = percent
		}
	}
	debug.SetGCPercent(target)
}
