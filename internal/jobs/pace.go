package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"invited/internal/delivery"
)

const (
	// maxPaceWait is how long a job waits for its turn before it goes back into the queue. It leaves time to send within
	// jobTimeout.
	maxPaceWait = 15 * time.Second
	// The pause after a reply about rate is an interval at first, and doubles until a message is accepted, within these
	// bounds. One message goes out after each pause, whatever the number that waits.
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Minute
	// maxRecipientPause bounds the interval and the pause after replies that recipients' servers may have caused.
	maxRecipientPause = 2 * time.Second
	// troublingPause is the pause above which the operator has to know.
	troublingPause = time.Minute
	// queuePause is the least time after which a job is taken from the queue again.
	queuePause = time.Second
	// shortestInterval is the interval below which a route is not paced any more, and longestInterval bounds it above: a
	// server that takes less is served by pauses.
	shortestInterval = 5 * time.Millisecond
	longestInterval  = 30 * time.Second
	// pacePeriod is the time over which accepted messages are counted, to learn the rate that a server takes.
	pacePeriod = time.Second
)

// pace is how fast messages go out on one route: the mail server, or the webhook. A reply about rate or volume slows down
// all messages of the route in this process. Each other process learns from its own replies.
//
// A reply about rate makes the interval between two messages a quarter longer; the first one sets the interval by the
// number of messages that the server has just accepted. Each accepted message makes the interval a hundredth shorter.
//
// A message that got such a reply is tried again after a pause of its own, which doubles. Some mail servers pass on replies of
// one recipient's server, and anybody may have a domain that always asks to slow down. After such a reply, messages to others
// wait for maxRecipientPause at most.
type pace struct {
	least    time.Duration // the interval that the operator sets; 0: none
	stopping chan struct{} // closed when the workers stop
	turn     chan struct{} // holds a value while a message waits until it may go; those behind wait in their order

	mu       sync.Mutex
	interval time.Duration
	next     time.Time     // when the next message may go
	pause    time.Duration // since the last reply about rate no message was accepted; 0: one was
	slowed   time.Time     // when the route was slowed down last
	accepted []time.Time   // of the last pacePeriod
	freed    chan struct{} // closed, and replaced, when next becomes earlier
}

// newPace returns the pace of a route on which the least time between two messages is least; 0: none.
func newPace(least time.Duration) *pace {
	return &pace{
		least: least, interval: least,
		stopping: make(chan struct{}), turn: make(chan struct{}, 1), freed: make(chan struct{}),
	}
}

// wait returns 0 when a message may go. Otherwise it returns after what time to ask again: the message could not go within
// maxPaceWait, ctx has ended, or the workers stop.
func (p *pace) wait(ctx context.Context) time.Duration {
	return p.begin(ctx, func() bool { return true })
}

// begin is wait, and calls f when a message may go. Where f returns false, there is no message, and the next one may go at
// once. While a route is slow, those behind wait for f: who finds the turn taken goes back into the queue.
func (p *pace) begin(ctx context.Context, f func() bool) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, maxPaceWait)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
	case <-p.stopping:
		return queuePause
	case <-ctx.Done():
		return max(queuePause, p.left())
	}
	release := sync.OnceFunc(func() { <-p.turn })
	defer release()
	for {
		left, slow, freed := p.look()
		if left <= 0 {
			if !slow {
				release()
			}
			if now := time.Now(); f() {
				p.take(now)
			}
			return 0
		}
		if deadline, _ := ctx.Deadline(); time.Now().Add(left).After(deadline) {
			return left
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-freed:
		case <-p.stopping:
			timer.Stop()
			return queuePause
		case <-ctx.Done():
			timer.Stop()
			return left
		}
		timer.Stop()
	}
}

// look returns the time that is left until a message may go, whether messages go one after the other, and what is closed when
// one may go earlier.
func (p *pace) look() (left time.Duration, slow bool, freed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.next), p.interval > 0 || p.pause > 0, p.freed
}

// take uses the turn of a time up.
func (p *pace) take(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if next := at.Add(max(p.interval, p.pause)); next.After(p.next) {
		p.next = next
	}
}

// giveBack gives back a turn that was taken before a time, and by which nothing was sent.
func (p *pace) giveBack(began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); !began.Before(p.slowed) && p.next.After(now) {
		p.next = now
		p.free()
	}
}

// free wakes those who wait: a message may go earlier than they knew. The caller holds mu.
func (p *pace) free() {
	close(p.freed)
	p.freed = make(chan struct{})
}

func (p *pace) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.next)
}

// done learns from the end of a message that began to be sent at a time. What was sent before the route slowed down says
// nothing about the slower pace.
func (p *pace) done(began time.Time, err error) {
	var f *delivery.Failure
	isFailure := errors.As(err, &f)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := time.Now(); {
	case began.Before(p.slowed):
	case isFailure && f.Throttled && f.Recipient:
		p.slowDown(now, maxRecipientPause)
	case isFailure && f.Throttled:
		p.slowDown(now, maxPause)
	case err == nil, isFailure && f.Final: // the server has looked at the message
		p.speedUp(now)
	}
}

// slowDown makes the interval or the pause longer, but not beyond longest.
func (p *pace) slowDown(now time.Time, longest time.Duration) {
	switch {
	case p.pause > 0:
		p.pause = max(p.pause, min(2*p.pause, longest))
	case p.interval == 0:
		p.interval = minPause
		if n := p.acceptedSince(now.Add(-pacePeriod)); n > 0 {
			p.interval = pacePeriod / time.Duration(n)
		}
		p.pause = max(minPause, p.interval)
	default:
		p.interval = max(p.interval, min(p.interval+p.interval/4, longestInterval, longest))
		p.pause = max(minPause, min(p.interval, longest))
	}
	p.slowed, p.next = now, now.Add(p.pause)
}

func (p *pace) speedUp(now time.Time) {
	p.acceptedSince(now.Add(-pacePeriod))
	p.accepted = append(p.accepted, now)
	if p.interval -= p.interval / 100; p.interval < max(p.least, shortestInterval) {
		p.interval = p.least
	}
	if p.pause > 0 {
		p.pause = 0
		if next := now.Add(p.interval); next.Before(p.next) {
			p.next = next
		}
		p.free()
	}
}

// acceptedSince forgets the messages that were accepted before a time, and returns the number of the others.
func (p *pace) acceptedSince(since time.Time) int {
	for len(p.accepted) > 0 && p.accepted[0].Before(since) {
		p.accepted = p.accepted[1:]
	}
	return len(p.accepted)
}

// trouble returns that the server takes next to nothing. It is empty when the pause is no longer than troublingPause, and when
// no message has met it for long.
func (p *pace) trouble() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pause <= troublingPause || time.Since(p.slowed) > staleAfter {
		return ""
	}
	return "The server asks to slow down, and takes next to no messages; the operator has to check its sending limits."
}
