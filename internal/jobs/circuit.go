package jobs

import (
	"errors"
	"net"
	"sync"
	"time"

	"invited/internal/delivery"
)

const (
	// openTime is how long a circuit stays open after each attempt that was blocked: thousands of messages that wait must
	// not become as many refused logins.
	openTime = 10 * time.Second
	// A message that met an open circuit is tried again after half of the time that the trouble has lasted, within these
	// bounds.
	minOpenRetryDelay = 10 * time.Second
	maxOpenRetryDelay = 2 * time.Minute
	// staleAfter is when a trouble is forgotten that no message has met again: another process may have seen it fixed.
	staleAfter = time.Hour
)

// circuit is a circuit breaker for one channel, mail or webhook.
type circuit struct {
	mu          sync.Mutex
	failure     *delivery.Failure // of the kind that only the operator can fix; nil: none since the last message that got through
	since, last time.Time         // when the failure was met first and last
	outage      outage
}

// outageTolerance is how long a server may be out of reach before that is a trouble. A server that restarts is none.
const outageTolerance = time.Minute

// outage is the time for which a server could not be reached or its name could not be resolved.
type outage struct {
	reason      string
	since, last time.Time // of the first and the last attempt; zero: the server was reached
}

// note notes an attempt.
func (o *outage) note(err error) {
	var dial *net.OpError
	var f *delivery.Failure
	unreached := errors.As(err, new(*net.DNSError)) || (errors.As(err, &dial) && dial.Op == "dial")
	if !unreached || !errors.As(err, &f) {
		*o = outage{}
		return
	}
	if o.since.IsZero() {
		o.since = time.Now()
	}
	o.reason, o.last = f.Reason, time.Now()
}

// trouble returns the reason of an outage in which attempts failed for too long; empty: there is none. A single attempt that
// failed says nothing of later.
func (o *outage) trouble() string {
	if o.since.IsZero() || o.last.Sub(o.since) < outageTolerance || time.Since(o.last) > staleAfter {
		return ""
	}
	return o.reason
}

// errCircuitOpen is in the chain of a failure that repeats an earlier one: nothing was sent.
type errCircuitOpen struct{ retryAfter time.Duration }

func (errCircuitOpen) Error() string { return "the last attempt was blocked a moment ago" }

// do calls send, or fails at once with the earlier failure while the circuit is open.
func (c *circuit) do(send func() error) error {
	if err := c.check(); err != nil {
		return err
	}
	err := send()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.outage.note(err)
	var f *delivery.Failure
	switch {
	case err == nil, errors.As(err, &f) && f.Final: // a refusal of one message shows that the channel works
		c.failure = nil
	case f != nil && f.Operator:
		if c.failure == nil || f.Blocked && !c.failure.Blocked {
			c.since = time.Now()
		}
		c.failure, c.last = f, time.Now()
	}
	return err
}

// check returns a failure with errCircuitOpen while the circuit is open.
func (c *circuit) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil || !c.failure.Blocked || time.Since(c.last) > openTime {
		return nil
	}
	delay := min(max(time.Since(c.since)/2, minOpenRetryDelay), maxOpenRetryDelay)
	return &delivery.Failure{Reason: c.failure.Reason, Operator: true, Blocked: true, Err: errCircuitOpen{delay}}
}

// trouble returns the reason of the failure that the operator has to fix, or of an outage. It is empty when there is none.
func (c *circuit) trouble() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil || time.Since(c.last) > staleAfter {
		return c.outage.trouble()
	}
	return c.failure.Reason
}
