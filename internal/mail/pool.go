package mail

import (
	"slices"
	"sync"
	"time"
)

// How much is asked of one connection. Servers have limits of their own to all
// of it, and it is better to leave before being thrown out.
const (
	maxIdle     = 8 // of those that wait; no more workers send at once
	maxMessages = 100
	maxAge      = 5 * time.Minute
	idleTime    = 10 * time.Second
)

// pool has the connections that wait for a message. Whoever takes one out owns
// it.
type pool struct {
	mu      sync.Mutex
	waiting []*connection // last in, first out: no more than needed are kept awake
	closed  bool
	ending  sync.WaitGroup // those that are being ended; added to under mu and until closed
}

// take returns nil where none waits.
func (p *pool) take() *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.waiting) - 1
	if last < 0 {
		return nil
	}
	c := p.waiting[last]
	p.waiting = slices.Delete(p.waiting, last, last+1)
	c.expiry.Stop()
	return c
}

// keep is false where the connection stays the caller's, to be ended.
func (p *pool) keep(c *connection) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.waiting) >= maxIdle || c.messages >= maxMessages || time.Since(c.opened) >= maxAge {
		return false
	}
	c.expiry = time.AfterFunc(idleTime, func() { p.expire(c) })
	p.waiting = append(p.waiting, c)
	return true
}

// expire ends a connection that still waits. That it has been taken and put back
// since its timer fired ends it early, which does no harm.
func (p *pool) expire(c *connection) {
	p.mu.Lock()
	i := slices.Index(p.waiting, c)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.ending.Add(1)
	}
	p.mu.Unlock()
	if i >= 0 {
		c.quit()
		p.ending.Done()
	}
}

// close ends what waits, keeps nothing more, and returns when the last
// connection is gone that was the pool's.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.waiting {
		c.expiry.Stop()
		p.ending.Go(c.quit)
	}
	p.waiting = nil
	p.mu.Unlock()
	p.ending.Wait()
}
