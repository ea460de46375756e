package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/token"
)

// after returns the API's form of the moment that is a time after now.
func (e *env) after(d time.Duration) string { return formatTime(e.clock.Now().Add(d)) }

// patch sends a PATCH of an invitation with a body in JSON.
func (e *env) patch(user string, id uuid.UUID, body string) response {
	e.t.Helper()
	return e.request("PATCH", at(id.String()), user, body)
}

const day = 24 * time.Hour

// An invitation ends when its request says, and not after the lifetime of the server; the role of whoever accepts ends when it
// says.
func TestEndsOfAnInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		end, last := e.after(10*day), e.after(20*day)
		made := e.create("owner", "invitee@university.example", admin, apollo, "expires", end, "membership_expires", last)
		require.Equal(e.t, end, made.Expires)
		require.Equal(e.t, last, *made.MembershipExpires)
		require.Equal(e.t, made, e.retrieve(made.UUID))
		listed, _ := e.list("owner", "field=expires&field=membership_expires")
		require.Equal(e.t, []string{end, last}, []string{listed[0].Expires, *listed[0].MembershipExpires})
		var details server.VisibleInvitationDetails
		e.request("GET", at(made.UUID.String(), "details"), "invitee", nil).is(http.StatusOK, "").decode(&details)
		require.Equal(e.t, last, *details.MembershipExpires)
		require.Nil(e.t, e.create("owner", "other@university.example", admin, apollo).MembershipExpires)

		e.setClock(e.parseTime(end).Add(-time.Microsecond))
		e.sweep()
		require.Equal(e.t, "pending", e.state(made.UUID))
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, acceptedBody)
		found := false
		for _, each := range e.memberships() {
			if each.Username == "invitee" {
				require.Equal(e.t, last, formatTime(*each.Expires))
				found = true
			}
		}
		require.True(e.t, found)
		e.setClock(e.parseTime(last))
		again := e.create("owner", "invitee@university.example", admin, apollo)
		e.do("invitee", again.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestPastItsOwnEndAnInvitationIsExpired(t *testing.T) {
	onEachEngine(t, func(e *env) {
		short := e.create("owner", "short@x.example", admin, apollo, "expires", e.after(time.Hour))
		member := e.create("owner", "member@x.example", admin, apollo, "membership_expires", e.after(time.Hour))
		long := e.create("owner", "long@x.example", admin, apollo, "expires", e.after(2*lifetime))
		require.Equal(e.t, short.Expires, member.Expires, "an invitation ends with its role")
		e.clock.Advance(time.Hour - time.Microsecond)
		require.Len(e.t, e.emails("owner", "state=pending"), 3)
		require.ElementsMatch(e.t, []string{"short@x.example", "member@x.example"}, e.emails("owner", "expires_before="+e.after(2*time.Microsecond)))
		require.Empty(e.t, e.emails("owner", "expires_before="+e.after(time.Microsecond)))
		e.clock.Advance(time.Microsecond)
		for _, ended := range []uuid.UUID{short.UUID, member.UUID} {
			require.Equal(e.t, "expired", e.state(ended))
			e.do("stranger", ended, "accept").is(http.StatusNotFound, notFound)
		}
		require.Equal(e.t, []string{"long@x.example"}, e.emails("staff", "state=pending"))
		require.Len(e.t, e.emails("staff", "state=expired"), 2)
		_, answer := e.list("staff", "state=expired")
		require.Equal(e.t, "2", answer.Header.Get("X-Result-Count"))
		e.sweep()
		require.Len(e.t, e.noticeJobsOf(invitation.NoticeExpired), 2)
		require.Equal(e.t, "expired", string(e.stored(short.UUID).StoredState))

		e.clock.Advance(2*lifetime - time.Hour - time.Microsecond)
		require.Equal(e.t, "pending", e.state(long.UUID))
		e.clock.Advance(time.Microsecond)
		require.Equal(e.t, "expired", e.state(long.UUID))
	})
}

func TestEndsThatAreRefused(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const window, least = "Enter a time from 2026-11-23T09:35:00Z to 2027-11-23T09:30:00Z.", "Enter a time at or after 2026-11-23T09:35:00Z."
		made := e.create("owner", "invitee@university.example", admin, apollo)
		for _, c := range []struct{ fields, want string }{
			{`"expires": "2026-11-23T09:34:59.999999Z"`, fieldError("expires", window)},
			{`"expires": "2027-11-23T09:30:00.000001Z"`, fieldError("expires", window)},
			{`"expires": "9999-12-31T23:59:59-23:59"`, fieldError("expires", window)},
			{`"expires": "0000-01-01T00:00:00Z"`, fieldError("expires", window)},
			{`"expires": "tomorrow"`, fieldError("expires", "Enter a date and time such as 2026-11-23T09:30:00Z.")},
			{`"expires": 1767225600`, fieldError("expires", "Enter a date and time such as 2026-11-23T09:30:00Z.")},
			{`"expires": []`, fieldError("expires", "Enter a date and time such as 2026-11-23T09:30:00Z.")},
			{`"membership_expires": "2026-11-23T09:34:59.999999Z"`, fieldError("membership_expires", least)},
			{
				`"membership_expires": "9999-12-31T23:59:59-00:01"`,
				fieldError("membership_expires", "Enter a time before the year 10000 in UTC, or null for no end."),
			},
			{
				`"membership_expires": "2026-12-01T00:00:00Z", "expires": "2026-12-01T00:00:00.000001Z"`,
				fieldError("expires", "Enter a time that is not after membership_expires."),
			},
			{
				`"membership_expires": "2026-11-22T00:00:00Z", "expires": "2026-11-22T00:00:00Z"`,
				fmt.Sprintf(`{"expires": [%q], "membership_expires": [%q]}`, window, least),
			},
		} {
			e.request("POST", base, "owner", fmt.Sprintf(`{"email": "a@x.example", "role": %q, "scope": %q, %s}`, admin, scopeURL(apollo), c.fields)).
				is(http.StatusBadRequest, c.want)
			e.patch("owner", made.UUID, "{"+c.fields+"}").is(http.StatusBadRequest, c.want)
			e.request("PUT", at(made.UUID.String()), "owner", `{"email": "b@x.example", `+c.fields+"}").is(http.StatusBadRequest, c.want)
		}
		require.Equal(e.t, made, e.retrieve(made.UUID))

		// All messages come together, also where the contract refuses another field.
		e.request("POST", base, "owner", fmt.Sprintf(`{"email": "nonsense", "role": %q, "scope": %q, "expires": "2026-11-22T00:00:00Z"}`, admin, scopeURL(apollo))).
			is(http.StatusBadRequest, fmt.Sprintf(`{"email": ["Enter a valid email address."], "expires": [%q]}`, window))
		e.request("POST", base, "owner", `{"expires": "2026-11-22T00:00:00Z"}`).is(http.StatusBadRequest,
			fmt.Sprintf(`{"email": ["This field is required."], "role": ["This field is required."], "scope": ["This field is required."], "expires": [%q]}`, window))
		// Who may not manage the scope learns nothing of the start of its project.
		e.request("POST", base, "member", fmt.Sprintf(`{"email": "a@x.example", "role": %q, "scope": %q, "expires": "2026-11-22T00:00:00Z"}`, admin, scopeURL(apollo))).
			is(http.StatusNotFound, notFound)
	})
}

// Of a project that starts later, an invitation ends after the start, counted from which its life has the limits.
func TestEndsOfAProjectThatStartsLater(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.applyReplaced(apolloUUID, apolloStartsLater)
		const window = "Enter a time from 2026-12-24T00:05:00Z to 2027-12-24T00:00:00Z."
		for _, wrong := range []string{"2026-12-23T00:00:00Z", "2027-12-24T00:00:01Z"} {
			e.request("POST", base, "owner", draft("a@x.example", admin, apollo, "expires", wrong)).
				is(http.StatusBadRequest, fieldError("expires", window))
		}
		e.request("POST", base, "owner", draft("a@x.example", admin, apollo, "membership_expires", "2026-12-23T00:00:00Z")).
			is(http.StatusBadRequest, fieldError("membership_expires", "Enter a time at or after 2026-12-24T00:05:00Z."))
		made := e.create("owner", "a@x.example", admin, apollo, "expires", "2026-12-26T00:00:00.000000Z")
		moved := e.create("owner", "b@x.example", admin, apollo, "expires", "2026-12-26T00:00:00.000000Z")
		require.Equal(e.t, "project", string(made.State))
		e.setClock(e.parseTime("2026-12-24T00:00:00.000000Z"))
		require.Equal(e.t, "2026-12-26T00:00:00.000000Z", e.retrieve(made.UUID).Expires, "an end of its own does not move with the sweep")
		e.changeStored(moved.UUID, func(i *invitation.Invitation) { i.ExpiresAt = new(e.clock.Now()) })
		e.sweep()
		require.Equal(e.t, "pending", e.state(made.UUID))
		require.Equal(e.t, "2026-12-26T00:00:00.000000Z", e.retrieve(made.UUID).Expires)
		require.Equal(e.t, "expired", e.state(moved.UUID))
		require.Empty(e.t, e.deliveryJobs(moved.UUID), "an invitation that ended while it waited does not go out")
		require.Len(e.t, e.noticeJobsOf(invitation.NoticeExpired), 1)
	})
}

// milliseconds returns a timestamp of a response as clients send it back whose clocks have no microseconds.
func milliseconds(timestamp string) string { return timestamp[:len("2026-11-23T09:30:00.000")] + "Z" }

// Another end is an event, and mails nobody. Null takes it away, and what is left out stays.
func TestUpdateOfEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "invitee@university.example", admin, apollo)
		jobs, events := len(e.deliveryJobs(made.UUID)), len(e.events(made.UUID))
		end, last := e.after(10*day+1999*time.Microsecond), e.after(20*day+1999*time.Microsecond)
		updated := func(body string) server.Invitation {
			e.t.Helper()
			events++
			edited := e.patch("owner", made.UUID, body).is(http.StatusOK, "").invitation()
			require.Equal(e.t, edited, e.retrieve(made.UUID))
			found := e.events(made.UUID)
			require.Len(e.t, found, events)
			require.Equal(e.t, server.InvitationEventTypeUpdated, *found[len(found)-1].EventType)
			return edited
		}
		edited := updated(fmt.Sprintf(`{"expires": %q, "membership_expires": %q}`, end, last))
		require.Equal(e.t, []string{end, last}, []string{edited.Expires, *edited.MembershipExpires})

		for _, unchanged := range []string{
			`{}`, `{"role": "` + admin + `"}`, fmt.Sprintf(`{"expires": %q}`, end), fmt.Sprintf(`{"membership_expires": %q, "email": "invitee@university.example"}`, last),
		} {
			require.Equal(e.t, edited, e.patch("owner", made.UUID, unchanged).is(http.StatusOK, "").invitation())
		}
		for _, echo := range []string{fmt.Sprintf(`{"expires": %q}`, milliseconds(end)), fmt.Sprintf(`{"membership_expires": %q}`, milliseconds(last))} {
			require.Equal(e.t, edited, e.patch("owner", made.UUID, echo).is(http.StatusOK, "").invitation())
		}
		put := e.request("PUT", at(made.UUID.String()), "owner", map[string]string{"email": "invitee@university.example"})
		require.Equal(e.t, edited, put.is(http.StatusOK, "").invitation(), "a client that knows no ends takes none away")
		require.Len(e.t, e.events(made.UUID), events)

		e.patch("owner", made.UUID, fmt.Sprintf(`{"membership_expires": %q}`, e.after(9*day))).
			is(http.StatusBadRequest, fieldError("membership_expires", "Enter a time that is not before expires, or change expires too."))
		e.patch("owner", made.UUID, fmt.Sprintf(`{"expires": %q}`, e.after(21*day))).
			is(http.StatusBadRequest, fieldError("expires", "Enter a time that is not after membership_expires."))

		edited = updated(`{"membership_expires": null}`)
		require.Nil(e.t, edited.MembershipExpires)
		require.Equal(e.t, end, edited.Expires)
		require.Equal(e.t, made, updated(`{"expires": null}`))
		require.Equal(e.t, end, updated(fmt.Sprintf(`{"expires": %q}`, end)).Expires)
		require.Len(e.t, e.deliveryJobs(made.UUID), jobs)
		require.Zero(e.t, e.stored(made.UUID).Delivery)

		e.clock.Advance(lifetime)
		e.patch("owner", made.UUID, `{"expires": null}`).is(http.StatusBadRequest,
			fieldError("expires", "Enter a time: without one, the invitation would have ended already."))
		e.patch("member", made.UUID, `{"expires": null}`).is(http.StatusNotFound, notFound)
		e.clock.Advance(3*day + time.Second)
		e.patch("owner", made.UUID, fmt.Sprintf(`{"expires": %q}`, e.after(day))).
			is(http.StatusBadRequest, ruleError("Only pending invitations can be edited."))
	})
}

// A client that sends back what it has read changes nothing by the end that it sends, although the end is near.
func TestUpdateWithTheEndThatItHas(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.clock.Advance(1999 * time.Microsecond)
		made := e.create("owner", "invitee@university.example", admin, apollo)
		e.clock.Advance(lifetime - time.Minute)
		read := e.retrieve(made.UUID)
		for _, end := range []string{read.Expires, milliseconds(read.Expires)} {
			read.Expires = end
			body, err := json.Marshal(read)
			require.NoError(e.t, err)
			e.request("PUT", at(made.UUID.String()), "owner", string(body)).is(http.StatusOK, "")
		}
		require.Nil(e.t, e.stored(made.UUID).ExpiresAt)
		require.Len(e.t, e.events(made.UUID), 1)
	})
}

// The reminder goes out a day before the end, once, and again where the end has moved away. A life of a day or less has none.
func TestRemindersOfEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.create("owner", "short@x.example", admin, apollo, "expires", e.after(day))
		e.create("owner", "role@x.example", admin, apollo, "membership_expires", e.after(day))
		made := e.create("owner", "long@x.example", admin, apollo, "expires", e.after(3*day))
		role := e.create("owner", "longrole@x.example", admin, apollo, "membership_expires", e.after(3*day))
		reminders := func(want ...uuid.UUID) {
			e.t.Helper()
			e.sweep()
			e.sweep()
			var got []uuid.UUID
			for _, each := range e.noticeJobsOf(invitation.NoticeReminder) {
				got = append(got, each.Invitation)
			}
			require.ElementsMatch(e.t, want, got)
		}
		e.clock.Advance(2*day - time.Microsecond)
		reminders()
		e.clock.Advance(time.Microsecond)
		reminders(made.UUID, role.UUID)
		e.patch("owner", made.UUID, fmt.Sprintf(`{"expires": %q}`, e.after(30*day))).is(http.StatusOK, "")
		e.clock.Advance(29*day - time.Microsecond)
		reminders(made.UUID, role.UUID)
		e.clock.Advance(time.Microsecond)
		reminders(made.UUID, role.UUID, made.UUID)
		require.Equal(e.t, "expired", e.state(role.UUID))
	})
}

// Send gives a life of the length that the former one had, which ends no later than the role.
func TestSendOfAnInvitationWithEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo, "expires", e.after(10*day))
		e.do("owner", made.UUID, "send").is(http.StatusOK, "")
		require.Equal(e.t, made.Expires, e.retrieve(made.UUID).Expires, "a pending one stays")
		bound := e.create("owner", "b@x.example", admin, apollo, "expires", e.after(10*day), "membership_expires", e.after(15*day))
		e.clock.Advance(10 * day)
		for _, id := range []uuid.UUID{made.UUID, bound.UUID} {
			e.do("owner", id, "send").is(http.StatusOK, "")
		}
		require.Equal(e.t, e.after(10*day), e.retrieve(made.UUID).Expires)
		require.Equal(e.t, e.after(5*day), e.retrieve(bound.UUID).Expires)
		e.clock.Advance(5 * day)
		e.do("owner", bound.UUID, "send").is(http.StatusBadRequest,
			ruleError("The role would end before anybody could accept: invite again, with a later end of the role."))
		require.Equal(e.t, "expired", e.state(bound.UUID))
	})
}

// A request to invite ends when the invitation would, and approval leaves the end as staff have seen it.
func TestApprovalOfAnInvitationWithEnds(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo, "expires", e.after(2*lifetime), "membership_expires", e.after(3*lifetime))
		late := e.create("owner", "b@x.example", admin, apollo, "expires", e.after(lifetime+time.Hour))
		require.Equal(e.t, "requested", string(made.State))
		e.patch("owner", made.UUID, `{"expires": null}`).is(http.StatusForbidden, forbidden)
		e.clock.Advance(lifetime + time.Hour)
		require.Equal(e.t, "expired", e.state(late.UUID))
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), made.UUID)).is(http.StatusOK, "")
		approved := e.retrieve(made.UUID)
		require.Equal(e.t, []string{"pending", made.Created, made.Expires, *made.MembershipExpires},
			[]string{string(approved.State), approved.Created, approved.Expires, *approved.MembershipExpires})
	}, onlyStaff)
}

// A declined invitation keeps its end, which can end it before the decline can be undone no more.
func TestUndoOfAnInvitationWithAnEnd(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "invitee@university.example", admin, apollo, "expires", e.after(10*time.Minute))
		e.clock.Advance(time.Minute)
		e.do("invitee", made.UUID, "decline").is(http.StatusOK, "")
		e.do("invitee", made.UUID, "undo-decline").is(http.StatusOK, "")
		require.Equal(e.t, made.Expires, e.retrieve(made.UUID).Expires)
		other := e.create("owner", "invitee@university.example", reader, acme, "expires", e.after(10*time.Minute))
		e.clock.Advance(9 * time.Minute)
		e.do("invitee", other.UUID, "decline").is(http.StatusOK, "")
		e.clock.Advance(time.Minute)
		e.do("invitee", other.UUID, "undo-decline").is(http.StatusBadRequest, ruleError("The invitation has expired. Ask for another invitation."))
	})
}
