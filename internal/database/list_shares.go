package database

import (
	"context"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
)

// listShares admits lists to the connections for lists. One caller's lists have at most half of the connections, so that
// other callers' lists need not wait for them.
type listShares struct {
	all     *semaphore.Weighted
	half    int64
	mu      sync.Mutex
	callers map[uuid.UUID]*listShare // of callers whose lists run or wait
}

type listShare struct {
	running *semaphore.Weighted
	lists   int // that run or wait
}

func newListShares(connections int64) *listShares {
	return &listShares{
		all: semaphore.NewWeighted(connections), half: (connections + 1) / 2, callers: map[uuid.UUID]*listShare{},
	}
}

// acquire waits for a connection of the caller's share, until ctx ends. The returned function gives the connection back.
// A list waits for its caller's others first: it has no place in everybody's queue meanwhile.
func (l *listShares) acquire(ctx context.Context, caller uuid.UUID) (release func(), err error) {
	share := l.enter(caller)
	if err := share.running.Acquire(ctx, 1); err != nil {
		l.leave(caller, share)
		return nil, err
	}
	if err := l.all.Acquire(ctx, 1); err != nil {
		share.running.Release(1)
		l.leave(caller, share)
		return nil, err
	}
	return func() {
		l.all.Release(1)
		share.running.Release(1)
		l.leave(caller, share)
	}, nil
}

func (l *listShares) enter(caller uuid.UUID) *listShare {
	l.mu.Lock()
	defer l.mu.Unlock()
	share := l.callers[caller]
	if share == nil {
		share = &listShare{running: semaphore.NewWeighted(l.half)}
		l.callers[caller] = share
	}
	share.lists++
	return share
}

func (l *listShares) leave(caller uuid.UUID, share *listShare) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if share.lists--; share.lists == 0 {
		delete(l.callers, caller)
	}
}
