package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/token"
)

// The way from the link to the role: sign in with the address that goes along, accept, and be in.
func TestAcceptOnThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo, func(d *invitation.Draft) { d.ExtraInvitationText = "We start on Monday." })
		path := "/invitation/" + made.UUID.String() + "/"
		b := e.browser()
		first := b.get(path)
		require.Equal(e, http.StatusOK, first.status)
		require.Contains(e, first.body, `value="ina@university.example"`)
		require.Contains(e, first.body, `name="return_to" value="`+path+`"`)
		require.NotContains(e, first.body, "Apollo")
		require.Equal(e, path, b.post(path+"accept/").location, "nobody is signed in")

		b.signIn("ina@university.example")
		ready := b.get(path)
		for _, text := range []string{"Olivia Owner", "Apollo", "Acme", "System administrator", "We start on Monday.", "30 November 2026, 09:30 UTC", "Ina Invitee"} {
			require.Contains(e, ready.body, text)
		}
		require.Equal(e, path, b.post(path+"accept/").location)
		require.Equal(e, "You are in", b.get(path).heading(e))
		require.Len(e, e.user("ina").Grants, 1)
		require.Equal(e, path, b.post(path+"accept/").location, "a second click")
		require.Len(e, e.user("ina").Grants, 1)
	})
}

// Each state of an invitation has a page of its own.
func TestStatesOfThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ina, sam := e.browser(), e.browser()
		ina.signIn("ina@university.example")
		sam.signIn("sam@example.com")
		staff := e.user("sam")
		pathOf := func(v invitation.View) string { return "/invitation/" + v.UUID.String() + "/" }

		forOther := e.invite("bob@elsewhere.example", apollo)
		e.service.Policy.ValidateEmail = true
		got := ina.get(pathOf(forOther))
		require.Equal(e, "This invitation is for another address", got.heading(e))
		require.Contains(e, got.body, "b***@e***.example")
		require.NotContains(e, got.body, "bob@")
		require.Contains(e, got.body, "Switch account")
		e.service.Policy.ValidateEmail = false

		personal := e.invite("ina@university.example", apollo, func(d *invitation.Draft) { d.CivilNumber = "1234" })
		require.Equal(e, "You are invited", ina.get(pathOf(personal)).heading(e), "the field is hidden, so it is not stored")
		require.NoError(e, e.service.Cancel(e.Context(), staff, personal.UUID))
		require.Equal(e, "This invitation was taken back", ina.get(pathOf(personal)).heading(e))

		planned := e.invite("ina@university.example", artemis)
		got = ina.get(pathOf(planned))
		require.Equal(e, "The project has not started yet", got.heading(e))
		require.Contains(e, got.body, "24 December 2026")

		e.apply("customers: [{name: Acme, projects: [{name: Strict, uuid: " + strict + ", user_email_patterns: []}]}]")
		notAdmitted := e.invite("ina@university.example", strict)
		e.apply("customers: [{name: Acme, projects: [{name: Strict, uuid: " + strict + `, user_email_patterns: ['.*@acme\.example']}]}]`)
		got = ina.get(pathOf(notAdmitted))
		require.Equal(e, "You can’t accept this invitation now", got.heading(e))
		require.Contains(e, got.body, "Your address is not one of those")
		refused := ina.post(pathOf(notAdmitted) + "accept/")
		require.Equal(e, http.StatusBadRequest, refused.status)
		require.Equal(e, got.body, refused.body, "the same page")

		// What somebody else accepted and what never was look the same.
		require.NoError(e, e.service.Accept(e.Context(), staff, forOther.UUID))
		taken, never := ina.get(pathOf(forOther)), ina.get("/invitation/"+uuid.NewString()+"/")
		require.Equal(e, http.StatusNotFound, taken.status)
		require.Equal(e, never.body, taken.body)
		require.Equal(e, "This link is not valid", taken.heading(e))
		require.Equal(e, never.body, ina.get("/invitation/nonsense/").body)
		require.Equal(e, "You are in", sam.get(pathOf(forOther)).heading(e))

		late := e.invite("ina@university.example", apollo)
		e.clock.Advance(7 * 24 * time.Hour)
		ina.signIn("ina@university.example")
		got = ina.get(pathOf(late))
		require.Equal(e, "This invitation has expired", got.heading(e))
		require.Contains(e, got.body, "30 November 2026, 09:30 UTC")
		require.Contains(e, got.body, "Olivia Owner")
	})
}

// Staff decide on a page, by the link in their mail, and only a click decides.
func TestReviewOnThePage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.service.Policy.OnlyStaffCanInvite = true
		link := func(purpose token.Purpose, v invitation.View) string {
			return e.approval(purpose, v) + "/"
		}
		state := func(v invitation.View) invitation.State {
			found, err := e.service.Retrieve(e.Context(), e.user("sam"), v.UUID)
			require.NoError(e, err)
			return found.State
		}
		b := e.browser()
		made := e.invite("ina@university.example", apollo)
		path := "/invitation_approve/" + link(token.Approve, made)
		got := b.get(path)
		require.Equal(e, "Approve an invitation", got.heading(e))
		for _, text := range []string{"Olivia Owner", "ina@university.example", "Apollo", "System administrator"} {
			require.Contains(e, got.body, text)
		}
		require.Equal(e, invitation.Requested, state(made))
		require.Equal(e, "Approved", b.post(path).heading(e))
		require.Equal(e, invitation.Pending, state(made))
		for _, again := range []page{b.post(path), b.get(path), b.get("/invitation_reject/" + link(token.Reject, made))} {
			require.Equal(e, http.StatusGone, again.status)
			require.Equal(e, "Already approved", again.heading(e))
			require.Contains(e, again.body, "was already approved by sam on 23 November 2026, 09:30 UTC.")
		}

		hopeless := e.invite("hopeless@university.example", apollo)
		e.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, is_active: false}]")
		got = b.post("/invitation_approve/" + link(token.Approve, hopeless))
		require.Equal(e, http.StatusConflict, got.status)
		require.Equal(e, "Approve an invitation", got.heading(e))
		require.Contains(e, got.body, "Nobody could accept this invitation, and nothing was changed. "+string(invitation.RefusedRole))
		require.Equal(e, invitation.Requested, state(hopeless))
		e.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, is_active: true}]")

		other := e.invite("bob@university.example", apollo)
		require.Equal(e, http.StatusGone, b.get("/invitation_approve/"+link(token.Reject, other)).status, "the link of the other action")
		path = "/invitation_reject/" + link(token.Reject, other)
		require.Contains(e, b.get(path).body, `name="reason"`)
		tooLong := b.post(path, "reason", strings.Repeat("x", 1001))
		require.Equal(e, http.StatusBadRequest, tooLong.status)
		require.Contains(e, tooLong.body, "at most 1000 characters")
		require.Contains(e, tooLong.body, strings.Repeat("x", 1001), "what was typed stays")
		require.Equal(e, invitation.Requested, state(other))
		require.Equal(e, "Rejected", b.post(path, "reason", " <b>No</b> room. ").heading(e))
		require.Equal(e, invitation.Rejected, state(other))
		require.Equal(e, "Already rejected", b.get("/invitation_approve/"+link(token.Approve, other)).heading(e))
		events, err := e.service.Events(e.Context(), e.user("sam"), other.UUID, 1, 1)
		require.NoError(e, err)
		require.Equal(e, "<b>No</b> room.", events.Events[0].Reason)
		require.Equal(e, http.StatusGone, b.get("/invitation_approve/forged/").status)
	})
}

// A user without an address, as a proxy or an issuer can make one, has no invitations that wait: an empty address is none to
// look for.
func TestHomeOfUserWithoutAddress(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("guest@example.org", apollo)
		sam, olivia := e.browser(), e.browser()
		sam.signIn("sam@example.com")
		olivia.signIn("olivia@acme.example")
		e.apply("users: [{username: sam, is_staff: true, email: null}, {username: olivia, email: null}]")
		for _, b := range []*browser{sam, olivia} {
			require.Contains(e, b.get("/console/").body, "guest@example.org")
			home := b.get("/")
			require.Equal(e, http.StatusOK, home.status)
			require.Contains(e, home.body, "No invitation waits for you.")
			require.NotContains(e, home.body, "Apollo")
			require.NotContains(e, home.body, "signed in with the address")
		}
	})
}

// The page of an invitation asks a stranger for an address, which the link brings along.
func TestInvitationAsksToSignIn(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("ina@university.example", apollo)
		got := e.browser().get("/invitation/" + made.UUID.String() + "/")
		require.Equal(e, "You are invited", got.heading(e))
		require.Contains(e, got.body, `<form method="post" action="/sign-in/">`)
		require.Contains(e, got.body, `value="ina@university.example"`)
		require.Contains(e, got.body, `name="return_to" value="/invitation/`+made.UUID.String()+`/"`)
	})
}
