package idempotency

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"invited/internal/fault"
)

// Limits of what is kept of one user. A request with a new key beyond them is refused.
const (
	maxKeys = 10_000
	maxSize = 64 << 20 // bytes
)

// grants is the number of parts that the limits are granted in: a process counts a user's answers after each part,
// since to count many of them takes longer than a request. Each further process can exceed the limits by one part.
const grants = 10

// maxCounted is the number of users whose answers a process need not count for their next request.
const maxCounted = 10_000

// Usage counts the answers stored for one user.
type Usage struct {
	Keys   int
	Size   int       // of all answers, in bytes
	Oldest time.Time // when the oldest answer was kept; zero where there is none
	Now    time.Time
}

// quota holds users to the limits.
type quota struct {
	mu    sync.Mutex
	users map[uuid.UUID]allowance
}

// allowance bounds the answers of a user that are kept before the next count: their number, and their size in bytes.
type allowance struct{ keys, size int }

// admit admits a request with a new key. It returns a fault.KindThrottled where too much is kept of the user.
func (q *quota) admit(ctx context.Context, store Store, limits fault.Limits, user uuid.UUID) error {
	if q.spend(user, 1, 0) {
		return nil
	}
	used, err := store.Usage(ctx, user)
	if err != nil {
		return err
	}
	if used.Keys >= maxKeys || used.Size >= maxSize {
		return limits.Throttled("idempotency_keys", used.Oldest.Add(Kept).Sub(used.Now))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.users == nil || len(q.users) >= maxCounted {
		q.users = map[uuid.UUID]allowance{}
	}
	q.users[user] = allowance{min(maxKeys/grants, maxKeys-used.Keys) - 1, min(maxSize/grants, maxSize-used.Size)}
	return nil
}

// spend takes from a user's allowance. It reports false where there was nothing left.
func (q *quota) spend(user uuid.UUID, keys, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	left, counted := q.users[user]
	if !counted || left.keys <= 0 || left.size <= 0 {
		return false
	}
	q.users[user] = allowance{left.keys - keys, left.size - size}
	return true
}
