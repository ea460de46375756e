package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	keyA = "the-old-key-that-signed-what-staff-have-in-their-mail"
	keyB = "the-new-key-that-signs-from-now-on-and-for-some-time"
)

// keyed is a site where others than staff have to ask, with a key and those before it.
func (x *trial) keyed(key string, fallbacks ...string) *site {
	return x.s.with("INVITED_ONLY_STAFF_CAN_INVITE_USERS=true", "INVITED_SECRET_KEY="+key,
		"INVITED_SECRET_KEY_FALLBACKS="+strings.Join(fallbacks, ","))
}

// asks has olivia ask for somebody, and returns the token to approve that staff was mailed by whoever mails.
func (x *trial) asks(p *served, name string) (id, token string) {
	x.t.Helper()
	ids := x.createQuickly(p, name, 1)
	require.Equal(x.t, "requested", p.see(ids[0]).State)
	x.until(patience, "staff are asked", func() bool {
		for _, each := range x.sink.got() {
			if found := approveLink.FindStringSubmatch(each.text); found != nil && strings.HasPrefix(each.id, ids[0]) {
				token = strings.ReplaceAll(found[1], "=3D", "=")
			}
		}
		return token != ""
	})
	return ids[0], token
}

func (p *served) approve(token string) answer {
	p.t.Helper()
	return p.ask("POST", invitations+"approve/", "", `{"token": "`+token+`"}`)
}

// refuses asserts that a process does not know the key of a token, and that nothing comes of it.
func (p *served) refuses(id, token string) {
	p.t.Helper()
	require.JSONEq(p.t, `["Invalid signature."]`, p.approve(token).is(400).body)
	require.Equal(p.t, "requested", p.see(id).State)
}

func TestFaultKeyRotation(t *testing.T) {
	onEachTrial(t, "secret key replaced", func(x *trial) {
		p := x.keyed(keyA).serve()
		one, ofA := x.asks(p, "one")
		two, alsoOfA := x.asks(p, "two")
		p.stop()

		p = x.keyed(keyB).serve()
		p.refuses(one, ofA)
		p.stop()

		p = x.keyed(keyB, keyA).serve()
		p.approve(ofA).is(200)
		three, ofB := x.asks(p, "three")
		p.stop()

		// Once the old key is gone, what it signed is worth nothing, and what was signed since holds.
		p = x.keyed(keyB).serve()
		p.refuses(two, alsoOfA)
		p.approve(ofB).is(200)
		x.healed()
		x.judge(patience, 0)
		require.Equal(x.t, "pending", p.see(one).State)
		require.Equal(x.t, "pending", p.see(three).State)
		for _, secret := range []string{keyA, keyB, ofA, ofB} {
			x.keeps(p, secret)
		}
		p.stop()
	})
}

// Replicas are restarted one after the other, and meanwhile each gets links that the other made. First all learn the
// new key, as one that verifies; then all sign with it; last all forget the old one. In that order each knows at every
// moment what any other signs with.
func TestFaultRollingKeyRotation(t *testing.T) {
	onEachTrial(t, "secret key replaced, replica by replica", func(x *trial) {
		steps := []*site{x.keyed(keyA), x.keyed(keyA, keyB), x.keyed(keyB, keyA)}
		count := 0
		for i := range steps[1:] {
			for _, mails := range []int{0, 1} { // which of the two signs
				count++
				replicas := make([]*served, 2)
				for r := range replicas {
					s := steps[i+r]
					if r != mails {
						s = s.with("INVITED_WORKERS=false")
					}
					replicas[r] = s.serve()
				}
				for r, approves := range replicas {
					id, token := x.asks(replicas[mails], "step"+strings.Repeat("i", 2*count+r))
					approves.approve(token).is(200)
					require.Equal(x.t, "pending", replicas[0].see(id).State)
				}
				x.judge(patience, 0)
				for _, each := range replicas {
					each.stop()
				}
			}
		}

		// Where the second step is the first, who was not restarted yet doesn't know the new key. Nobody's invitation is
		// lost for it: the same link works at the others, and there in the end.
		old, renewed := x.keyed(keyA).with("INVITED_WORKERS=false").serve(), x.keyed(keyB, keyA).serve()
		id, token := x.asks(old, "hasty")
		old.refuses(id, token)
		renewed.approve(token).is(200)
		x.healed()
		x.judge(patience, 0)
		old.stop()
		renewed.stop()
	})
}
