package mail

import (
	"slices"
	"sync"
	"time"
)

// The limits of one connection. Mail servers have limits of their own for all of these, and it is better to close a
// connection than to be disconnected.
const (
	maxIdle     = 8 // connections; no more workers than this send at once
	maxMessages = 100
	maxAge      = 5 * time.Minute
	idleTimeout = 10 * time.Second
)

// pool holds idle connections. A connection that get returned belongs to the caller.
type pool struct {
	mu      sync.Mutex
	idle    []*connection // last in, first out: connections that are not needed reach their idle timeout
	closed  bool
	closing sync.WaitGroup // connections that the pool is closing; added to under mu, and only until closed
}

// get removes a connection from the pool. It returns nil if the pool is empty.
func (p *pool) get() *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle = slices.Delete(p.idle, last, last+1)
	c.idleTimer.Stop()
	return c
}

// put adds a connection to the pool and reports whether it did. If not, the caller has to close the connection.
func (p *pool) put(c *connection) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle || c.messages >= maxMessages || time.Since(c.opened) >= maxAge {
		return false
	}
	c.idleTimer = time.AfterFunc(idleTimeout, func() { p.expire(c) })
	p.idle = append(p.idle, c)
	return true
}

// expire closes a connection if it is idle. A connection that was used and put back after its timer had fired is closed
// too early, which does no harm.
func (p *pool) expire(c *connection) {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.closing.Add(1)
	}
	p.mu.Unlock()
	if i >= 0 {
		c.quit()
		p.closing.Done()
	}
}

// close closes the idle connections, makes put refuse all further ones, and returns once all connections that the pool
// was closing are closed.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.idle {
		c.idleTimer.Stop()
		p.closing.Go(c.quit)
	}
	p.idle = nil
	p.mu.Unlock()
	p.closing.Wait()
}
