package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

func pathOf(v invitation.View) string { return "/invitation/" + v.UUID.String() + "/" }

// stateOf returns the state of an invitation, as staff see it.
func (e *env) stateOf(v invitation.View) invitation.State {
	e.Helper()
	found, err := e.service.Retrieve(e.Context(), e.user("sam"), v.UUID)
	require.NoError(e, err)
	return found.State
}

// The invitee declines with a reason, undoes that, declines again, and is too late to undo it.
func TestDeclineOnThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo)
		path := pathOf(made)
		b := e.browser()
		require.Equal(e, path, b.post(path+"decline/").location, "nobody is signed in")
		require.Equal(e, invitation.Pending, e.stateOf(made))
		b.signIn("ina@university.example")
		require.Contains(e, b.get(path).body, "Decline invitation")

		tooLong := b.post(path+"decline/", "reason", strings.Repeat("ж", 1001))
		require.Equal(e, http.StatusBadRequest, tooLong.status)
		require.Contains(e, tooLong.body, "at most 1000 characters")
		require.Contains(e, tooLong.body, strings.Repeat("ж", 1001))
		require.Equal(e, invitation.Pending, e.stateOf(made))

		require.Equal(e, path, b.post(path+"decline/", "reason", "<i>No time</i>").location)
		require.Equal(e, invitation.Canceled, e.stateOf(made))
		declined := b.get(path)
		require.Equal(e, "This invitation was declined", declined.heading(e))
		require.Contains(e, declined.body, "You declined the invitation")
		require.Contains(e, declined.body, "until 23 November 2026, 09:40 UTC")
		require.Equal(e, path, b.post(path+"accept/").location)
		require.Empty(e, e.user("ina").Grants)

		require.Equal(e, path, b.post(path+"undo-decline/").location)
		require.Equal(e, invitation.Pending, e.stateOf(made))
		require.Equal(e, "You are invited", b.get(path).heading(e))

		b.post(path + "decline/")
		e.clock.Advance(10 * time.Minute)
		require.NotContains(e, b.get(path).body, "Undo")
		late := b.post(path + "undo-decline/")
		require.Equal(e, http.StatusBadRequest, late.status)
		require.Contains(e, late.body, "It is too late")
		require.Equal(e, invitation.Canceled, e.stateOf(made))

		owner := e.browser()
		owner.signIn("olivia@acme.example")
		one := owner.get("/console/" + made.UUID.String() + "/")
		require.Contains(e, one.body, "&lt;i&gt;No time&lt;/i&gt;")
		require.NotContains(e, one.body, "<i>")
	})
}

// Whoever merely has the link can accept for themselves, and can't decline for somebody else.
func TestStrangersCanNotDecline(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("bob@elsewhere.example", apollo)
		path := pathOf(made)
		b := e.browser()
		b.signIn("ina@university.example")
		ready := b.get(path)
		require.Equal(e, "You are invited", ready.heading(e))
		require.NotContains(e, ready.body, "Decline")
		require.Equal(e, path, b.post(path+"decline/").location)
		require.Equal(e, invitation.Pending, e.stateOf(made))

		bob := directory.Actor{User: e.user("ina").User}
		bob.EmailFolded = "bob@elsewhere.example"
		require.True(e, fault.Is(e.service.Decline(e.Context(), bob, made.UUID, ""), fault.KindNotFound), "what counts is the user's row")

		declined := e.invite("gone@acme.example", apollo)
		e.apply("users: [{username: gone, email: gone@acme.example, is_active: true}]")
		require.NoError(e, e.service.Decline(e.Context(), e.user("gone"), declined.UUID, ""))
		got := b.get(pathOf(declined))
		require.Equal(e, "This invitation was declined", got.heading(e))
		require.NotContains(e, got.body, "Undo")
		require.NotContains(e, got.body, "You declined")
		b.post(pathOf(declined) + "undo-decline/")
		require.Equal(e, invitation.Canceled, e.stateOf(declined))
	})
}

// An undo gives way to another invitation that was sent meanwhile.
func TestUndoBesideAnotherInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo)
		b := e.browser()
		b.signIn("ina@university.example")
		b.post(pathOf(made) + "decline/")
		e.invite("ina@university.example", apollo)
		got := b.post(pathOf(made) + "undo-decline/")
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Contains(e, got.body, "Another invitation to the same role waits for you")
		require.Equal(e, invitation.Canceled, e.stateOf(made))
	})
}

// The invitee of an expired invitation asks for a new one, once a day.
func TestAskAgainOnThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo)
		path := pathOf(made)
		e.clock.Advance(7 * 24 * time.Hour)
		b := e.browser()
		require.Equal(e, path, b.post(path+"ask-again/").location, "nobody is signed in")
		b.signIn("ina@university.example")
		require.Contains(e, b.get(path).body, "Ask for a new one")
		asks := func() (n int) {
			page, err := e.service.Events(e.Context(), e.user("sam"), made.UUID, 1, 100)
			require.NoError(e, err)
			for _, each := range page.Events {
				if each.Type == invitation.EventRenewalAsked {
					n++
				}
			}
			return n
		}
		require.Zero(e, asks())
		require.Equal(e, path, b.post(path+"ask-again/").location)
		asked := b.get(path)
		require.Contains(e, asked.body, "A new one was asked for on 30 November 2026, 09:30 UTC")
		require.Contains(e, asked.body, "ask again on 1 December 2026, 09:30 UTC")
		require.NotContains(e, asked.body, "<button class=\"button\"")
		require.Equal(e, path, b.post(path+"ask-again/").location)
		require.Equal(e, 1, asks())
		e.clock.Advance(24 * time.Hour)
		b.signIn("ina@university.example")
		b.post(path + "ask-again/")
		require.Equal(e, 2, asks())

		require.NoError(e, e.service.Send(e.Context(), e.user("olivia"), made.UUID))
		require.Equal(e, "You are invited", b.get(path).heading(e))
	})
}

// Other standings of the page.
func TestMoreStatesOfThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ina := e.browser()
		ina.signIn("ina@university.example")
		made := e.invite("ina@university.example", apollo)
		again := e.invite("second@university.example", apollo)
		ina.post(pathOf(made) + "accept/")
		got := ina.get(pathOf(made))
		require.Equal(e, "You are in", got.heading(e))
		require.Contains(e, got.body, "You accepted this invitation on 23 November 2026, 09:30 UTC.")
		got = ina.get(pathOf(again))
		require.Equal(e, "You have this role already", got.heading(e))
		require.Contains(e, got.body, "Apollo")

		require.NoError(e, e.db.QueueDriver().GetExecutor().Exec(e.Context(),
			"DELETE FROM memberships WHERE user_uuid = '"+e.user("ina").UUID.String()+"'"))
		require.Empty(e, e.user("ina").Grants)
		got = ina.get(pathOf(made))
		require.Equal(e, "You have accepted this invitation", got.heading(e))
		require.Contains(e, got.body, "has ended since")

		// The inviter lost their role: the page says so when the invitee accepts.
		e.service.Policy.RecheckInviter = true
		e.apply("customers: [{name: Acme, members: [{user: olivia, role: CUSTOMER.OWNER, is_active: false}]}]")
		got = ina.post(pathOf(again) + "accept/")
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Equal(e, "You can’t accept this invitation now", got.heading(e))
		require.Contains(e, got.body, "Whoever invited you may not invite there any more.")

		// A user without a verified address.
		e.service.Policy.ValidateEmail = true
		e.apply("users: [{username: nora}]")
		session, err := e.identity.SignInAs(e.Context(), "nora", "127.0.0.1")
		require.NoError(e, err)
		nora := e.browser()
		nora.client.Jar.SetCookies(mustParse(e, e.server.URL), []*http.Cookie{{Name: "invited", Value: session, Path: "/"}})
		got = nora.get(pathOf(again))
		require.Equal(e, "Your address is not verified", got.heading(e))
		require.Contains(e, got.body, "s***@u***.example")
		require.NotContains(e, got.body, "second@")
	})
}

// Staff review requests in the console. Who is overtaken reads who has decided.
func TestRequestsInTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		owner, sam, sue := e.browser(), e.browser(), e.browser()
		e.apply("users: [{username: sue, email: sue@example.com, full_name: Sue Staff, is_staff: true}]")
		owner.signIn("olivia@acme.example")
		sam.signIn("sam@example.com")
		sue.signIn("sue@example.com")
		got := sam.get("/console/requests/")
		require.Contains(e, got.body, "No invitation waits for your approval.")
		require.Contains(e, got.body, `<a href="/console/">Invitations</a> <a href="/console/requests/" aria-current="page">To approve</a>`)
		require.Contains(e, sam.get("/console/").body, `<a href="/console/" aria-current="page">Invitations</a> <a href="/console/requests/">To approve</a>`)
		require.Contains(e, sam.get("/console/new/").body, `<a href="/console/" aria-current="true">Invitations</a>`)
		require.NotContains(e, sam.get("/account/").body, "aria-current")

		e.service.Policy.OnlyStaffCanInvite = true
		first := e.invite("first@university.example", apollo, func(d *invitation.Draft) { d.ExtraInvitationText = "<b>Please</b>" })
		e.clock.Advance(time.Minute)
		second := e.invite("second@university.example", apollo)
		got = sam.get("/console/requests/")
		require.Equal(e, "Invitations to approve", got.heading(e))
		for _, text := range []string{
			"Olivia Owner", "first@university.example", "Apollo", "Acme", "System administrator", "23 November 2026, 09:30 UTC", "&lt;b&gt;Please", "2 in all",
		} {
			require.Contains(e, got.body, text)
		}
		require.Less(e, strings.Index(got.body, "first@"), strings.Index(got.body, "second@"), "the oldest first")

		// Only staff see and decide.
		require.Equal(e, http.StatusForbidden, owner.get("/console/requests/").status)
		require.NotContains(e, owner.get("/console/").body, "/console/requests/")
		for _, action := range []string{"approve", "reject"} {
			require.Equal(e, http.StatusForbidden, owner.post("/console/requests/"+first.UUID.String()+"/"+action+"/").status)
			require.Equal(e, http.StatusSeeOther, e.browser().post("/console/requests/"+first.UUID.String()+"/"+action+"/").status)
			require.Equal(e, http.StatusNotFound, sam.post("/console/requests/"+apollo+"/"+action+"/").status)
		}
		require.Equal(e, invitation.Requested, e.stateOf(first))

		got = sue.post("/console/requests/" + first.UUID.String() + "/approve/")
		require.Equal(e, http.StatusOK, got.status)
		require.Contains(e, got.body, `role="status"`)
		require.NotContains(e, got.body, "first@university.example")
		require.Equal(e, invitation.Pending, e.stateOf(first))
		got = sam.post("/console/requests/"+first.UUID.String()+"/reject/", "reason", "No.")
		require.Equal(e, http.StatusConflict, got.status)
		require.Contains(e, got.body, "The invitation of first@university.example was already approved by Sue Staff on 23 November 2026, 09:31 UTC. Nothing was changed.")
		require.Equal(e, invitation.Pending, e.stateOf(first))

		got = sam.post("/console/requests/"+second.UUID.String()+"/reject/", "reason", strings.Repeat("x", 1001))
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Equal(e, invitation.Requested, e.stateOf(second))
		require.Equal(e, http.StatusOK, sam.post("/console/requests/"+second.UUID.String()+"/reject/", "reason", "No room.").status)
		require.Equal(e, invitation.Rejected, e.stateOf(second))
		decision, err := e.service.Decision(e.Context(), e.user("sam"), second.UUID)
		require.NoError(e, err)
		require.Equal(e, "No room.", decision.Reason)
	})
}

// The inviter of a request that was sent again is who sent it again; a second decision has its own words.
func TestRequestSentAgain(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.service.Policy.OnlyStaffCanInvite = true
		e.apply("users: [{username: max, email: max@acme.example, full_name: Max Manager}]\n" +
			"customers: [{name: Acme, members: [{user: max, role: CUSTOMER.OWNER}, {user: olivia, role: CUSTOMER.OWNER}]}]")
		made := e.invite("ina@university.example", apollo)
		sam := e.browser()
		sam.signIn("sam@example.com")
		sam.post("/console/requests/" + made.UUID.String() + "/approve/")
		e.clock.Advance(time.Minute)
		require.NoError(e, e.service.Cancel(e.Context(), e.user("max"), made.UUID))
		require.NoError(e, e.service.Send(e.Context(), e.user("max"), made.UUID))
		got := sam.get("/console/requests/")
		require.Contains(e, got.body, "Max Manager")
		require.NotContains(e, got.body, "Olivia Owner")
		_, err := e.service.Decision(e.Context(), e.user("sam"), made.UUID)
		require.True(e, fault.Is(err, fault.KindNotFound), "the decision about the earlier request is none about this one")
	})
}

// The page of one invitation has its link for whoever may give it.
func TestLinkInTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.service.Policy.LinkSecret = true
		made := e.invite("ina@university.example", apollo)
		path := "/console/" + made.UUID.String() + "/"
		link := "https://front.example/invitation/" + made.LinkUUID.String() + "/"
		owner, ina := e.browser(), e.browser()
		owner.signIn("olivia@acme.example")
		ina.signIn("ina@university.example")
		require.Contains(e, owner.get(path).body, `readonly value="`+link+`"`)
		require.NotContains(e, owner.get("/console/").body, made.LinkUUID.String())
		require.NotContains(e, ina.get(path).body, made.LinkUUID.String())
	})
}
