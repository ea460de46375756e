package jobs

import (
	"errors"
	"sync"
	"time"

	"invited/internal/delivery"
)

const (
	// holdTime is how long a way out that is blocked is left alone after each attempt at it: thousands of letters that
	// wait must not be as many refused logins.
	holdTime = 10 * time.Second
	// A letter that was held back comes again after half of the time that the trouble has lasted, within these.
	shortestHold = 10 * time.Second
	longestHold  = 2 * time.Minute
	// staleAfter is when a trouble is forgotten that nothing has met again: another process may have seen it mended.
	staleAfter = time.Hour
)

// route is a way out, and what is wrong with it.
type route struct {
	mu      sync.Mutex
	trouble *delivery.Failure // only the operator can mend it; nil: none since the last letter that got through
	since   time.Time
	last    time.Time // when it was met
}

// heldBack is in the chain of a failure that was told from an earlier one. It is how long to wait.
type heldBack time.Duration

func (heldBack) Error() string { return "not tried again so soon" }

// use sends something, or fails at once with what is wrong.
func (r *route) use(send func() error) error {
	if held := r.holds(); held != nil {
		return held
	}
	err := send()

	r.mu.Lock()
	defer r.mu.Unlock()
	var f *delivery.Failure
	switch {
	case err == nil, errors.As(err, &f) && f.Final: // refused or not, it was dealt with
		r.trouble = nil
	case f != nil && f.Operator:
		if r.trouble == nil || f.Blocked && !r.trouble.Blocked {
			r.since = time.Now()
		}
		r.trouble, r.last = f, time.Now()
	}
	return err
}

// holds returns a failure where nothing need be tried now.
func (r *route) holds() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == nil || !r.trouble.Blocked || time.Since(r.last) > holdTime {
		return nil
	}
	pause := min(max(time.Since(r.since)/2, shortestHold), longestHold)
	return &delivery.Failure{Reason: r.trouble.Reason, Operator: true, Blocked: true, Err: heldBack(pause)}
}

// inTrouble is what is wrong, in words; empty where nothing is.
func (r *route) inTrouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == nil || time.Since(r.last) > staleAfter {
		return ""
	}
	return r.trouble.Reason
}
