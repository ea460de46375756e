package signin

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"invited/internal/identity"
)

// Limit allows Count of something in any period of the length Per. The zero Limit allows any number.
type Limit struct {
	Count int
	Per   time.Duration
}

// The numbers of clients and of credentials that a throttle remembers. An attacker with more addresses than that has a limit
// of their own for each of them anyway.
const (
	maxClients     = 10_000
	maxCredentials = 10_000
)

// throttle limits, for each client, the API keys that no token has, so that keys can't be guessed.
//
// The next key of a client that has sent too many is not looked up. Keys that were valid when they came from the same address
// before are excepted: one broken script does not lock out everybody behind its address. Keys that are in use elsewhere are
// not, or they could be guessed.
type throttle struct {
	limit Limit

	mu      sync.Mutex
	clients *simplelru.LRU[netip.Prefix, *rate.Limiter] // that sent unknown keys
	valid   *simplelru.LRU[credential, struct{}]
}

// credential is an API key as it comes from a client.
type credential struct {
	client netip.Prefix
	digest [sha256.Size]byte // of the key
}

func newThrottle(limit Limit) *throttle {
	clients, err := simplelru.NewLRU[netip.Prefix, *rate.Limiter](maxClients, nil)
	if err != nil {
		panic(err) // the size is positive
	}
	valid, err := simplelru.NewLRU[credential, struct{}](maxCredentials, nil)
	if err != nil {
		panic(err)
	}
	return &throttle{limit: limit, clients: clients, valid: valid}
}

// wait returns for how long a client may not send this key: 0 where the key can be looked up.
func (t *throttle) wait(address, key string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	client := identity.ClientNetwork(address)
	bucket, failed := t.clients.Get(client)
	if !failed || t.valid.Contains(credential{client, sha256.Sum256([]byte(key))}) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return max(0, time.Duration(missing/float64(bucket.Limit())*float64(time.Second)))
}

// succeed remembers that a client's key is valid.
func (t *throttle) succeed(address, key string) {
	if t.limit.Count == 0 {
		return
	}
	found := credential{identity.ClientNetwork(address), sha256.Sum256([]byte(key))}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.valid.Add(found, struct{}{})
}

// fail counts an unknown key of a client. The keys of requests that ran at the same time all count, also beyond the limit:
// they make the client wait the longer.
func (t *throttle) fail(address, key string, now time.Time) {
	if t.limit.Count == 0 {
		return
	}
	client := identity.ClientNetwork(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.valid.Remove(credential{client, sha256.Sum256([]byte(key))}) // the token was revoked
	bucket, failed := t.clients.Get(client)
	if !failed {
		bucket = rate.NewLimiter(rate.Every(t.limit.Per/time.Duration(t.limit.Count)), t.limit.Count)
		t.clients.Add(client, bucket)
	}
	bucket.ReserveN(now, 1)
}
