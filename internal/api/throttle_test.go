package api_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/signin"
	"invited/internal/store"
	"invited/internal/storetest"
)

// guesser is an API with a limit on unknown keys, and the statements that its database gets.
type guesser struct {
	*env
	statements *storetest.Statements
	handler    http.Handler
	address    string // of the client
	forwarded  string // X-Forwarded-For; empty: none
}

// onEachLimitedEngine runs a test on both engines, with 30 unknown keys a minute for each client address.
func onEachLimitedEngine(t *testing.T, test func(g *guesser), change func(*signin.ChainConfig)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		statements := &storetest.Statements{}
		e := newEnv(t, engine, envConfig{open: func(clock func() time.Time) *store.Store {
			return statements.Open(t, engine.Fresh(t), database.Options{Clock: clock})
		}})
		handler := e.handler(func(c *api.Config) {
			c.Callers = e.callers(func(c *signin.ChainConfig) {
				c.UnknownKeys = signin.Limit{Count: 30, Per: time.Minute}
				if change != nil {
					change(c)
				}
			})
		})
		test(&guesser{env: e, statements: statements, handler: handler, address: "192.0.2.1"})
	})
}

// try sends a request with a key.
func (g *guesser) try(key string) response {
	g.t.Helper()
	return g.tryAt(me, key)
}

// tryAt sends a request with a key, or without one where it is empty.
func (g *guesser) tryAt(path, key string) response {
	g.t.Helper()
	r := httptest.NewRequestWithContext(g.context(), "GET", path, http.NoBody)
	r.RemoteAddr = net.JoinHostPort(g.address, "40000")
	if key != "" {
		r.Header.Set("Authorization", "Token "+key)
	}
	if g.forwarded != "" {
		r.Header.Set("X-Forwarded-For", g.forwarded)
	}
	recorder := httptest.NewRecorder()
	g.handler.ServeHTTP(recorder, r)
	return response{g.t, recorder.Code, recorder.Header(), recorder.Body.String()}
}

// guess sends as many unknown keys as a client may.
func (g *guesser) guess() {
	g.t.Helper()
	for i := range 30 {
		g.try(fmt.Sprint("guess-", i)).isUnauthorized("Invalid token.")
	}
}

// A key can't be guessed by trying: the 31st unknown key in a minute is not looked up, nor is the right one.
func TestUnknownKeysAreThrottled(t *testing.T) {
	onEachLimitedEngine(t, func(g *guesser) {
		g.guess()
		g.statements.Take()
		for i := range 100 {
			g.try(fmt.Sprint("more-", i)).isThrottled(2 * time.Second)
		}
		g.try("staff-key").isThrottled(2 * time.Second)
		require.Empty(t, g.statements.Take(), "throttled keys are not looked up")

		g.clock.Advance(1500 * time.Millisecond)
		g.try("staff-key").isThrottled(time.Second)
		g.clock.Advance(500 * time.Millisecond)
		g.try("guess-31").isUnauthorized("Invalid token.")
		g.try("guess-32").isThrottled(2 * time.Second)
		g.clock.Advance(2 * time.Second)
		g.try("staff-key").is(http.StatusOK, "")
		g.try("guess-32").isUnauthorized("Invalid token.")
		g.clock.Advance(time.Minute)
		g.guess()
		g.try("guess-33").isThrottled(2 * time.Second)
	}, nil)
}

// Keys can't be guessed where none is needed either, and a client that is throttled reads there without one.
func TestUnknownKeysAreThrottledWhereNoneIsNeeded(t *testing.T) {
	onEachLimitedEngine(t, func(g *guesser) {
		public := g.publicGroup().UUID.String()
		for i := range 30 {
			g.tryAt([]string{groups, groupAt(public), rolesPath}[i%3], fmt.Sprint("guess-", i)).isUnauthorized("Invalid token.")
		}
		for _, path := range []string{groups, groupAt(public), rolesPath} {
			g.tryAt(path, "guess-31").isThrottled(2 * time.Second)
			g.tryAt(path, "").is(http.StatusOK, "")
		}
	}, nil)
}

// Whoever shares an address with a client that is throttled goes on working. A token that is revoked meanwhile is refused.
func TestThrottleSparesTokensInUse(t *testing.T) {
	onEachLimitedEngine(t, func(g *guesser) {
		g.try("owner-key").is(http.StatusOK, "")
		g.try("reader-key").is(http.StatusOK, "")
		g.guess()
		for range 100 {
			g.try("owner-key").is(http.StatusOK, "")
		}
		g.try("staff-key").isThrottled(2 * time.Second)

		_, err := directory.RevokeTokensOf(g.context(), g.db.FileStore(), "owner")
		require.NoError(g.t, err)
		g.try("owner-key").isUnauthorized("Invalid token.")
		g.try("owner-key").isThrottled(4 * time.Second)
		g.try("reader-key").is(http.StatusOK, "")
	}, nil)
}

// A token that is in use elsewhere can't be guessed either.
func TestThrottleHidesTokensInUseElsewhere(t *testing.T) {
	onEachLimitedEngine(t, func(g *guesser) {
		g.try("owner-key").is(http.StatusOK, "")
		g.address = "192.0.2.2"
		g.guess()
		g.try("owner-key").isThrottled(2 * time.Second)
		g.address = "192.0.2.1"
		g.try("owner-key").is(http.StatusOK, "")
	}, nil)
}

// Only keys that no token has count: not a missing or malformed credential, an expired token or an inactive user.
func TestThrottleCountsUnknownKeysOnly(t *testing.T) {
	onEachLimitedEngine(t, func(g *guesser) {
		expired, err := directory.IssueToken(g.context(), g.db.FileStore(), "owner", time.Second, "")
		require.NoError(g.t, err)
		g.clock.Advance(time.Second)
		for range 40 {
			g.try(expired).isUnauthorized("Token has expired.")
			g.try("inactive-key").isUnauthorized("User inactive or deleted.")
			g.try("two words").isUnauthorized("Invalid token.")
			g.try("owner-key").is(http.StatusOK, "")
		}
		g.guess()
		g.try("guess-31").isThrottled(2 * time.Second)
		g.try("two words").isUnauthorized("Invalid token.")
	}, nil)
}

// The address is that of the connection: whoever makes up X-Forwarded-For gets no limit of their own each time.
func TestThrottleBelievesNoForwardedAddress(t *testing.T) {
	onEachLimitedEngine(t, func(g *guesser) {
		for i := range 30 {
			g.forwarded = fmt.Sprintf("203.0.113.%d", i)
			g.try("guess").isUnauthorized("Invalid token.")
		}
		g.forwarded = "203.0.113.99"
		g.try("guess").isThrottled(2 * time.Second)
		g.address = "192.0.2.2"
		g.try("guess").isUnauthorized("Invalid token.")
	}, nil)
}

// Behind a trusted proxy the address is the one that the proxy appended, and an IPv6 network is one client.
func TestThrottleBehindATrustedProxy(t *testing.T) {
	_, proxies, err := net.ParseCIDR("192.0.2.0/24")
	require.NoError(t, err)
	onEachLimitedEngine(t, func(g *guesser) {
		for i := range 30 {
			g.forwarded = fmt.Sprintf("198.51.100.%d, 2001:db8:1:2::%x", i, i+1)
			g.try("guess").isUnauthorized("Invalid token.")
		}
		g.forwarded = "2001:db8:1:2:ffff::1"
		g.try("guess").isThrottled(2 * time.Second)
		g.forwarded = "2001:db8:1:3::1"
		g.try("guess").isUnauthorized("Invalid token.")
		g.try("staff-key").is(http.StatusOK, "")
	}, func(c *signin.ChainConfig) { c.ClientIP = api.ClientIP([]*net.IPNet{proxies}) })
}
