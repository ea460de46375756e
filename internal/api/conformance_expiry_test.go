package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every read shows an invitation as expired from the microsecond in which it expires, without a sweep.
func TestExpiryDependsOnTheClockOnly(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const expires = "2026-11-30T09:30:01.234567Z"
		e.clock.Advance(1_234_567_891 * time.Nanosecond) // nanoseconds are cut off
		made := e.create("owner", "Invitee@University.example", admin, apollo)
		id := made.UUID
		require.Equal(e.t, "2026-11-23T09:30:01.234567Z", made.Created)
		require.Equal(e.t, expires, made.Expires)
		look := func(state string) {
			e.t.Helper()
			seen := e.retrieve(id)
			require.Equal(e.t, state, string(seen.State))
			require.Equal(e.t, expires, seen.Expires)
			listed, _ := e.list("owner", "")
			require.Equal(e.t, state, string(listed[0].State))
			for _, filter := range []string{"pending", "expired"} {
				length := 0
				if filter == state {
					length = 1
				}
				require.Len(e.t, e.emails("owner", "state="+filter), length, filter)
			}
			var shown struct{ State string }
			e.request("GET", at(id.String(), "details"), "owner", nil).is(http.StatusOK, "").decode(&shown)
			require.Equal(e.t, state, shown.State)
		}

		e.setClock(e.parseTime(expires).Add(-time.Microsecond))
		look("pending")
		require.Len(e.t, e.emails("invitee", ""), 1)
		e.request("GET", at(id.String()), "invitee", nil).is(http.StatusOK, "")
		require.True(e.t, e.seesDetails("stranger", id))
		e.do("", id, "check").is(http.StatusOK, `{"email": "Invitee@University.example"}`)

		e.clock.Advance(time.Microsecond)
		look("expired")
		require.Empty(e.t, e.emails("invitee", ""))
		e.request("GET", at(id.String()), "invitee", nil).is(http.StatusNotFound, notFound)
		require.True(e.t, e.seesDetails("stranger", id), "the details of an expired invitation are visible")
		e.do("", id, "check").is(http.StatusNotFound, notFound)
		e.do("invitee", id, "accept").is(http.StatusNotFound, notFound)
		e.do("owner", id, "cancel").is(http.StatusBadRequest, ruleError("Only pending or planned invitations can be canceled."))

		e.clock.Advance(1000 * time.Hour)
		look("expired")
	})
}

func TestAcceptJustBeforeExpiry(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.clock.Advance(999_999_999 * time.Nanosecond)
		first := e.create("owner", "a@x.example", admin, apollo)
		second := e.create("owner", "b@x.example", admin, letOwnerManageHydra(e))
		e.setClock(e.parseTime(first.Expires).Add(-time.Microsecond))
		e.do("stranger", first.UUID, "accept").is(http.StatusOK, acceptedBody)
		e.clock.Advance(time.Microsecond)
		e.do("stranger", second.UUID, "accept").is(http.StatusNotFound, notFound)
		require.Equal(e.t, "accepted", e.state(first.UUID), "an accepted invitation does not expire")
	})
}

// letOwnerManageHydra makes the owner a manager of hydra and returns hydra.
func letOwnerManageHydra(e *env) string {
	e.t.Helper()
	e.applyReplaced("{name: Hydra, uuid: "+hydra+"}", "{name: Hydra, uuid: "+hydra+", members: [{user: owner, role: PROJECT.MANAGER}]}")
	return hydra
}

func TestClosedInvitationsDoNotExpire(t *testing.T) {
	onEachEngine(t, func(e *env) {
		all := oneInEachState(e)
		e.clock.Advance(100 * lifetime)
		for state, id := range all {
			expected := state
			if state == "pending" || state == "requested" {
				expected = "expired"
			}
			require.Equal(e.t, expected, e.state(id))
		}
	}, onlyStaff)
}

// The expiry changes with the start date of the project.
func TestExpiryFollowsProjectStart(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.applyReplaced(apolloUUID, apolloStartsLater)
		require.Equal(e.t, "2026-12-31T00:00:00.000000Z", e.retrieve(made.UUID).Expires)
		e.clock.Advance(lifetime)
		require.Equal(e.t, "pending", e.state(made.UUID))
		require.Len(e.t, e.emails("owner", "state=pending"), 1)
		e.applyReplaced()
		require.Equal(e.t, "expired", e.state(made.UUID))
		require.Len(e.t, e.emails("owner", "state=expired"), 1)
	})
}

func TestTimestampFormat(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for nanoseconds, created := range map[time.Duration]string{
			0:           "2026-11-23T09:30:00.000000Z",
			100_000_000: "2026-11-23T09:30:00.100000Z",
			100_001_999: "2026-11-23T09:30:00.100001Z",
		} {
			e.setClock(time.Date(2026, 11, 23, 10, 30, 0, 0, time.FixedZone("CET", 3600)).Add(nanoseconds))
			made := e.create("owner", "a@x.example", admin, apollo)
			require.Equal(e.t, created, made.Created)
			seen := e.retrieve(made.UUID)
			require.Equal(e.t, created, seen.Created)
			require.Equal(e.t, e.parseTime(created).Add(lifetime), e.parseTime(seen.Expires))
			e.do("staff", made.UUID, "delete").is(http.StatusOK, "")
		}
	})
}
