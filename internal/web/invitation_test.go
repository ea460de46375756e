package web_test

import (
	"net/http"
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
		require.Equal(e, "This invitation is for somebody else", got.heading(e))
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
		require.Equal(e, "The project has not started", got.heading(e))
		require.Contains(e, got.body, "24 December 2026")

		e.apply("customers: [{name: Acme, projects: [{name: Strict, uuid: " + strict + ", user_email_patterns: []}]}]")
		notAdmitted := e.invite("ina@university.example", strict)
		e.apply("customers: [{name: Acme, projects: [{name: Strict, uuid: " + strict + `, user_email_patterns: ['.*@acme\.example']}]}]`)
		got = ina.get(pathOf(notAdmitted))
		require.Equal(e, "You can’t accept this invitation", got.heading(e))
		require.Contains(e, got.body, "email patterns")
		require.Equal(e, http.StatusBadRequest, ina.post(pathOf(notAdmitted)+"accept/").status)

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
		require.Equal(e, "This link does not work any more", b.post(path).heading(e))
		require.Equal(e, http.StatusGone, b.get(path).status)

		other := e.invite("bob@university.example", apollo)
		require.Equal(e, http.StatusGone, b.get("/invitation_approve/"+link(token.Reject, other)).status, "the link of the other action")
		require.Equal(e, "Rejected", b.post("/invitation_reject/"+link(token.Reject, other)).heading(e))
		require.Equal(e, invitation.Rejected, state(other))
		require.Equal(e, http.StatusGone, b.get("/invitation_approve/forged/").status)
	})
}
