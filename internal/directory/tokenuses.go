package directory

import (
	"context"
	"maps"
	"slices"
	"sync"

	"invited/internal/token"
)

// TokenUses collects which API tokens are used, so that a request costs no statement for it: one statement saves all of them
// from time to time. Any number of goroutines may use a TokenUses at the same time.
type TokenUses struct {
	store FileStore

	mu      sync.Mutex
	unsaved map[string]struct{} // digests
}

// NewTokenUses returns a TokenUses that saves into a store.
func NewTokenUses(store FileStore) *TokenUses {
	return &TokenUses{store: store, unsaved: map[string]struct{}{}}
}

// Add collects a use of the token with this API key.
func (u *TokenUses) Add(key string) {
	digest := token.Digest(key)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unsaved[digest] = struct{}{}
}

// Save writes into the database that the tokens collected since the last Save were used now. After an error, the next Save
// writes them. Save does nothing when no token was used.
func (u *TokenUses) Save(ctx context.Context) error {
	u.mu.Lock()
	digests := u.unsaved
	u.unsaved = map[string]struct{}{}
	u.mu.Unlock()
	if len(digests) == 0 {
		return nil
	}
	// In one order, so that two replicas that save at once do not wait for each other's rows.
	err := u.store.Write(ctx, func(tx FileTx) error { return tx.SaveTokenUses(slices.Sorted(maps.Keys(digests))) })
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		maps.Copy(u.unsaved, digests)
	}
	return err
}
