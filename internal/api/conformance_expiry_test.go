package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestExpiryIsAFactOfTime walks up to the moment in which an invitation expires. Nothing sweeps.
func TestExpiryIsAFactOfTime(t *testing.T) {
	for _, each := range []struct{ name, scope, state, expires string }{
		{"plain", apollo, "pending", "2026-11-30T09:30:01.234567Z"},
		{"planned", artemis, "project", "2026-12-31T00:00:00.000000Z"},
	} {
		t.Run(each.name, func(t *testing.T) {
			inEachWorld(t, func(w *world) {
				w.clock.Advance(1_234_567_891 * time.Nanosecond) // what is less than a microsecond is cut off
				made := w.create("owner", "Invitee@University.example", admin, each.scope)
				id := made.UUID
				require.Equal(w.t, "2026-11-23T09:30:01.234567Z", made.Created)
				require.Equal(w.t, each.expires, made.Expires)
				look := func(w *world, state string) {
					w.t.Helper()
					seen := w.see(id)
					require.Equal(w.t, state, string(seen.State))
					require.Equal(w.t, each.expires, seen.Expires)
					listed, _ := w.list("owner", "")
					require.Equal(w.t, state, string(listed[0].State))
					for _, filter := range []string{each.state, "expired"} {
						length := 0
						if filter == state {
							length = 1
						}
						require.Len(w.t, w.emails("owner", "state="+filter), length, filter)
					}
					var shown struct{ State string }
					w.request("GET", at(id.String(), "details"), "owner", nil).is(http.StatusOK, "").into(&shown)
					require.Equal(w.t, state, shown.State)
				}

				w.wait(w.moment(each.expires).Add(-time.Microsecond))
				look(w, each.state)
				require.Len(w.t, w.emails("invitee", ""), 1)
				w.request("GET", at(id.String()), "invitee", nil).is(http.StatusOK, "")
				require.Equal(w.t, each.state == "pending", w.details("stranger", id))
				if each.state == "pending" {
					w.do("", id, "check").is(http.StatusOK, `{"email": "Invitee@University.example"}`)
				} else {
					w.do("", id, "check").is(http.StatusNotFound, notFound)
				}

				w.clock.Advance(time.Microsecond)
				look(w, "expired")
				require.Empty(w.t, w.emails("invitee", ""))
				w.request("GET", at(id.String()), "invitee", nil).is(http.StatusNotFound, notFound)
				require.True(w.t, w.details("stranger", id), "an expired invitation tells what it was")
				w.do("", id, "check").is(http.StatusNotFound, notFound)
				w.do("invitee", id, "accept").is(http.StatusNotFound, notFound)
				w.do("owner", id, "cancel").is(http.StatusBadRequest, rule("Only pending or planned invitations can be canceled."))

				w.clock.Advance(1000 * time.Hour)
				look(w, "expired")
			})
		})
	}
}

func TestTheLastMicrosecondIsGoodForAccepting(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.clock.Advance(999_999_999 * time.Nanosecond)
		first := w.create("owner", "a@x.example", admin, apollo)
		second := w.create("owner", "b@x.example", admin, hydraOf(w))
		w.wait(w.moment(first.Expires).Add(-time.Microsecond))
		w.do("stranger", first.UUID, "accept").is(http.StatusOK, accepted)
		w.clock.Advance(time.Microsecond)
		w.do("stranger", second.UUID, "accept").is(http.StatusNotFound, notFound)
		require.Equal(w.t, "accepted", w.state(first.UUID), "what was accepted does not expire")
	})
}

// hydraOf lets the owner manage hydra too.
func hydraOf(w *world) string {
	w.t.Helper()
	w.rewrite("{name: Hydra, uuid: "+hydra+"}", "{name: Hydra, uuid: "+hydra+", members: [{user: owner, role: PROJECT.MANAGER}]}")
	return hydra
}

func TestWhatIsOverDoesNotExpire(t *testing.T) {
	inEachWorld(t, func(w *world) {
		all := everyState(w)
		w.clock.Advance(100 * lifetime)
		for state, id := range all {
			expected := state
			if state == "pending" || state == "project" {
				expected = "expired"
			}
			require.Equal(w.t, expected, w.state(id))
		}
	}, onlyStaff)
}

// A start date that moves takes the expiry with it.
func TestExpiryFollowsTheStartOfTheProject(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.rewrite(apolloHead, apolloLater)
		require.Equal(w.t, "2026-12-31T00:00:00.000000Z", w.see(made.UUID).Expires)
		w.clock.Advance(lifetime)
		require.Equal(w.t, "pending", w.state(made.UUID))
		require.Len(w.t, w.emails("owner", "state=pending"), 1)
		w.rewrite()
		require.Equal(w.t, "expired", w.state(made.UUID))
		require.Len(w.t, w.emails("owner", "state=expired"), 1)
	})
}

func TestTimestampsHaveMicrosecondsInUTC(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for nanoseconds, created := range map[time.Duration]string{
			0:           "2026-11-23T09:30:00.000000Z",
			100_000_000: "2026-11-23T09:30:00.100000Z",
			100_001_999: "2026-11-23T09:30:00.100001Z",
		} {
			w.wait(time.Date(2026, 11, 23, 10, 30, 0, 0, time.FixedZone("CET", 3600)).Add(nanoseconds))
			made := w.create("owner", "a@x.example", admin, apollo)
			require.Equal(w.t, created, made.Created)
			seen := w.see(made.UUID)
			require.Equal(w.t, created, seen.Created)
			require.Equal(w.t, w.moment(created).Add(lifetime), w.moment(seen.Expires))
			w.do("staff", made.UUID, "delete").is(http.StatusOK, "")
		}
	})
}
