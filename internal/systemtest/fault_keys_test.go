package systemtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

const (
	keyA = "the-old-key-that-signed-what-staff-have-in-their-mail"
	keyB = "the-new-key-that-signs-from-now-on-and-for-some-time"
)

// withKeys returns an Env with a secret key and fallbacks, where everybody but staff needs approval.
func (f *faultCase) withKeys(key string, fallbacks ...string) *harness.Env {
	return f.env.With("INVITED_ONLY_STAFF_CAN_INVITE_USERS=true", "INVITED_SECRET_KEY="+key,
		"INVITED_SECRET_KEY_FALLBACKS="+strings.Join(fallbacks, ","))
}

// requestApproval invites name as olivia, who needs approval, and returns the uuid and the approval token that staff was
// mailed.
func (f *faultCase) requestApproval(p *harness.Process, name string) (id, token string) {
	f.t.Helper()
	ids := f.createQuickly(p, name, 1)
	require.Equal(f.t, "requested", p.Get(ids[0]).State)
	return ids[0], f.waitApprovalToken(ids[0], retryLimit)
}

func approve(p *harness.Process, token string) harness.Response {
	p.T.Helper()
	return p.Do("POST", harness.InvitationsPath+"approve/", "", `{"token": "`+token+`"}`)
}

// requireRefused asserts that a process refuses a token because it does not know the key, and leaves the invitation as it is.
func requireRefused(p *harness.Process, id, token string) {
	p.T.Helper()
	require.JSONEq(p.T, `["Invalid signature."]`, approve(p, token).Is(400).Body)
	require.Equal(p.T, "requested", p.Get(id).State)
}

func TestFaultKeyRotation(t *testing.T) {
	onEachFault(t, "secret key replaced", func(f *faultCase) {
		p := f.withKeys(keyA).Serve()
		one, tokenOne := f.requestApproval(p, "one")
		two, tokenTwo := f.requestApproval(p, "two")
		p.Stop()

		p = f.withKeys(keyB).Serve()
		requireRefused(p, one, tokenOne)
		p.Stop()

		p = f.withKeys(keyB, keyA).Serve()
		approve(p, tokenOne).Is(200)
		three, tokenThree := f.requestApproval(p, "three")
		p.Stop()

		// Once the old key is gone, tokens that it signed are invalid, and tokens of the new key are valid.
		p = f.withKeys(keyB).Serve()
		requireRefused(p, two, tokenTwo)
		approve(p, tokenThree).Is(200)
		f.markHealed()
		f.verify(retryLimit, 0)
		require.Equal(f.t, "pending", p.Get(one).State)
		require.Equal(f.t, "pending", p.Get(three).State)
		for _, secret := range []string{keyA, keyB, tokenOne, tokenThree} {
			f.assertNotLeaked(p, secret)
		}
		p.Stop()
	})
}

// Replicas are restarted one after the other, and each gets links that the other signed meanwhile. First all replicas get the
// new key as a fallback, then all sign with it, and last all drop the old one. In that order each replica knows the key of
// every other replica at any time.
func TestFaultRollingKeyRotation(t *testing.T) {
	onEachFault(t, "secret key replaced, replica by replica", func(f *faultCase) {
		steps := []*harness.Env{f.withKeys(keyA), f.withKeys(keyA, keyB), f.withKeys(keyB, keyA)}
		count := 0
		for i := range steps[1:] {
			for _, signer := range []int{0, 1} { // the index of the replica that signs
				count++
				replicas := make([]*harness.Process, 2)
				for r := range replicas {
					env := steps[i+r]
					if r != signer {
						env = env.With("INVITED_WORKERS=false")
					}
					replicas[r] = env.Serve()
				}
				for r, replica := range replicas {
					id, token := f.requestApproval(replicas[signer], "step"+strings.Repeat("i", 2*count+r))
					approve(replica, token).Is(200)
					require.Equal(f.t, "pending", replicas[0].Get(id).State)
				}
				f.verify(retryLimit, 0)
				for _, each := range replicas {
					each.Stop()
				}
			}
		}

		// Without the first step, a replica that was not restarted yet does not know the new key. No invitation is lost: the
		// same link works at the other replicas, and at this one after its restart.
		old, renewed := f.withKeys(keyA).With("INVITED_WORKERS=false").Serve(), f.withKeys(keyB, keyA).Serve()
		id, token := f.requestApproval(old, "hasty")
		requireRefused(old, id, token)
		approve(renewed, token).Is(200)
		f.markHealed()
		f.verify(retryLimit, 0)
		old.Stop()
		renewed.Stop()
	})
}
