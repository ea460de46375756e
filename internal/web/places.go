package web

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"invited/internal/fault"
)

const (
	// tablePlaces is the number of tables of people that are in memory at once. One takes up to 100 MB.
	tablePlaces = 2
	// placeWait is how long a request waits for its place.
	placeWait = 5 * time.Second
)

// places are those of the requests that have a table in memory. Each user has one at most: nobody can take all.
type places struct {
	all   *semaphore.Weighted
	users sync.Map // has a channel for each user with a place, which is closed when the user gives it up
}

// take waits for a place. It returns fault.KindUnavailable where it waited in vain. The caller calls give where others
// may have the place, and end where the user may have another one; both may be called more than once.
func (p *places) take(ctx context.Context, user uuid.UUID) (give, end func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, placeWait)
	defer cancel()
	for mine := make(chan struct{}); ; {
		other, busy := p.users.LoadOrStore(user, mine)
		if !busy {
			end = sync.OnceFunc(func() {
				p.users.Delete(user)
				close(mine)
			})
			break
		}
		select {
		case <-other.(chan struct{}):
		case <-ctx.Done():
			return nil, nil, fault.Unavailable(fmt.Errorf("waiting for another table of the user: %w", ctx.Err()))
		}
	}
	if err := p.all.Acquire(ctx, 1); err != nil {
		end()
		return nil, nil, fault.Unavailable(fmt.Errorf("waiting for memory for a table: %w", err))
	}
	return sync.OnceFunc(func() { p.all.Release(1) }), end, nil
}

// takePlace takes a place for the request. Others may have it when the response is made: a browser that reads slowly
// keeps no place from them.
func (r *request) takePlace() (err error) {
	r.givePlace, r.endPlace, err = r.page.places.take(r.Context(), r.user.UUID)
	return err
}

// leavePlace gives the place of the request up, where it has one.
func (r *request) leavePlace() {
	if r.givePlace != nil {
		r.givePlace()
	}
}
