package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/token"
)

// The links in mails to staff lead here where no front end was set. Whoever reads the log must not be able to decide.
func TestApprovalTokensAreNotLogged(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.com", admin, apollo)
		letter, err := w.service.BeginNotice(t.Context(), w.asked(invitation.NoticeRequested)[0])
		require.NoError(t, err)
		for _, link := range []string{letter.ApproveLink, letter.RejectLink} {
			path := strings.TrimPrefix(link, "https://front.example")
			w.request("GET", path, "", nil).is(http.StatusNotFound, notFound)
			secret := strings.Split(strings.Trim(path, "/"), "/")[1]
			require.NotContains(t, w.log.String(), secret)
			require.NotContains(t, w.log.String(), strings.Split(secret, ".")[2])
		}
		require.Contains(t, w.log.String(), "/invitation_approve/…")
		require.Equal(t, "requested", string(w.see(made.UUID).State))
	}, func(p *invitation.Policy) { p.OnlyStaffCanInvite = true })
}

func TestWhatIsLoggedAndEchoedHasAnEnd(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.request("GET", "/"+strings.Repeat("%01", 10_000), "", nil).is(http.StatusNotFound, "")
		for _, line := range strings.Split(w.log.String(), "\n") {
			require.Less(t, len(line), 2000)
		}
		r := w.newRequest("POST", base+"approve/", "", "{}")
		r.Header.Set("Content-Type", strings.Repeat("x", 20_000))
		require.Less(t, len(w.send(r).is(http.StatusUnsupportedMediaType, "").Body), 500)
	})
}

// A request that waited longer than an invitation lives goes out all the same when it is approved, with a full life.
func TestALateApprovalGoesOut(t *testing.T) {
	inEachWorld(t, func(w *world) {
		early := w.create("owner", "early@example.com", admin, apollo)
		late := w.create("owner", "late@example.com", admin, apollo)
		approve := func(made string, id int) {
			notice := w.asked(invitation.NoticeRequested)[id]
			require.Equal(t, made, notice.Invitation.String())
			letter, err := w.service.BeginNotice(t.Context(), notice)
			require.NoError(t, err)
			text := strings.Split(strings.Trim(strings.TrimPrefix(letter.ApproveLink, "https://front.example"), "/"), "/")[1]
			_, err = token.NewSigner("the secret of the tests").Verify(text, token.Approve, w.clock.Now(), maxAge)
			require.NoError(t, err)
			w.request("POST", base+"approve/", "", map[string]string{"token": text}).is(http.StatusOK, "")
		}
		w.clock.Advance(lifetime - 1)
		approve(early.UUID.String(), 0)
		require.Equal(t, early.Created, w.see(early.UUID).Created)
		w.clock.Advance(1)
		approve(late.UUID.String(), 1)
		seen := w.see(late.UUID)
		require.Equal(t, "pending", string(seen.State))
		require.Equal(t, "2026-11-30T09:30:00.000000Z", seen.Created)
		require.Equal(t, "2026-12-07T09:30:00.000000Z", seen.Expires)
		require.Equal(t, 2, w.jobs("deliver_invitation"))
	}, func(p *invitation.Policy) { p.OnlyStaffCanInvite = true })
}
