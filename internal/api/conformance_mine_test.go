package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
)

const minePath = base + "mine/"

// mine returns the invitations that a user has in their own list, and compares their number with HEAD.
func (e *env) mine(user, query string) (rows []server.OwnInvitation) {
	e.t.Helper()
	answer := e.request("GET", minePath+"?"+query, user, nil).is(http.StatusOK, "")
	answer.decode(&rows)
	count := e.request("HEAD", minePath+"?"+query, user, nil).is(http.StatusOK, "")
	require.Equal(e.t, answer.Header.Get("X-Result-Count"), count.Header.Get("X-Result-Count"))
	return rows
}

// An invitee finds what they can answer, with what the answer needs: by the uuid alone, whatever the link is.
func TestMine(t *testing.T) {
	for name, policies := range map[string][]func(*invitation.Policy){
		"waldur": nil, "secret links": {func(p *invitation.Policy) { p.LinkSecret, p.ValidateEmail = true, true }},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				address := "INVITEE@university.example"
				pending := e.create("owner", address, admin, apollo, "extra_invitation_text", "Welcome!").UUID
				e.clock.Advance(time.Minute)
				later := e.create("owner", address, admin, artemis).UUID
				e.create("owner", "other@example.org", admin, apollo)
				e.create("owner", address, reader, acme, "civil_number", "other")
				for _, other := range []string{"owner", "staff", "stranger", "rival"} {
					require.Empty(e.t, e.mine(other, ""), other)
				}
				rows := e.mine("invitee", "")
				require.Len(e.t, rows, 2)
				require.Equal(e.t, later, rows[0].UUID)
				require.Equal(e.t, server.InvitationState("project"), rows[0].State)
				own := rows[1]
				require.Equal(e.t, pending, own.UUID)
				require.Equal(e.t, []string{address, "pending", "Welcome!", "Apollo", "owner"},
					[]string{own.Email, string(own.State), own.ExtraInvitationText, own.ScopeName, own.CreatedByUsername})
				require.Nil(e.t, own.DeclinedAt)
				require.Nil(e.t, own.UndoUntil)
				whole := e.request("GET", minePath, "invitee", nil).Body
				for _, hidden := range []string{"civil_number", "error_message", "execution_state", "phone_number", "link", "decline_reason"} {
					require.NotContains(e.t, whole, hidden)
				}
				require.Len(e.t, e.mine("invitee", "state=pending"), 1)
				require.Len(e.t, e.mine("invitee", "state=project,pending"), 2)
				require.Empty(e.t, e.mine("invitee", "state=accepted"))
				require.Len(e.t, e.mine("invitee", "page=2&page_size=1"), 1)

				// What was declined is there for as long as the decline can be undone.
				e.request("POST", at(pending.String(), "decline"), "invitee", map[string]string{"reason": "Not now."}).is(http.StatusOK, "")
				declined := e.mine("invitee", "state=canceled")
				require.Len(e.t, declined, 1)
				require.Equal(e.t, e.clock.Now().Add(10*time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z"), *declined[0].UndoUntil)
				require.NotContains(e.t, e.request("GET", minePath, "invitee", nil).Body, "Not now.")
				e.clock.Advance(10*time.Minute - time.Microsecond)
				e.do("invitee", e.mine("invitee", "state=canceled")[0].UUID, "undo-decline").is(http.StatusOK, "")
				require.Len(e.t, e.mine("invitee", "state=pending"), 1)
				// A decline can be undone once.
				e.do("invitee", pending, "decline").is(http.StatusOK, "")
				require.Empty(e.t, e.mine("invitee", "state=canceled"))
				// Sent again, it is another life, and what is taken back by the inviter is nothing to undo.
				e.clock.Advance(time.Hour)
				e.do("owner", pending, "send").is(http.StatusOK, "")
				e.do("invitee", pending, "decline").is(http.StatusOK, "")
				require.Len(e.t, e.mine("invitee", "state=canceled"), 1)
				e.clock.Advance(10 * time.Minute)
				require.Empty(e.t, e.mine("invitee", "state=canceled"))
				e.do("owner", pending, "send").is(http.StatusOK, "")
				e.do("owner", pending, "cancel").is(http.StatusOK, "")
				require.Empty(e.t, e.mine("invitee", "state=canceled"))

				e.do("owner", pending, "send").is(http.StatusOK, "")
				e.do("invitee", e.mine("invitee", "state=pending")[0].UUID, "accept").is(http.StatusOK, "")
				require.Len(e.t, e.mine("invitee", ""), 1, "what was accepted is a role")
				e.do("owner", later, "cancel").is(http.StatusOK, "")
				pending = e.create("owner", address, owner, acme).UUID
				e.clock.Advance(lifetime - time.Microsecond)
				require.Equal(e.t, pending, e.mine("invitee", "")[0].UUID)
				e.clock.Advance(time.Microsecond)
				require.Empty(e.t, e.mine("invitee", ""), "expired")
			}, policies...)
		})
	}
}

// Nothing is meant for who has no address, nor into a scope that was removed; a page past the end is none.
func TestMineOfNobody(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.create("owner", "invitee@university.example", admin, apollo)
		require.Len(e.t, e.mine("invitee", ""), 1)
		e.request("GET", minePath+"?page=2", "invitee", nil).is(http.StatusNotFound, "")
		for _, query := range []string{"state=x", "page_size=0", "page=x"} {
			require.NotEqual(e.t, http.StatusOK, e.request("GET", minePath+"?"+query, "invitee", nil).Status, query)
		}
		e.request("GET", minePath, "", nil).is(http.StatusUnauthorized, "")
		answer := e.request("GET", minePath, "invitee", nil)
		require.Equal(e.t, http.StatusNotModified, e.askWith("GET", minePath, "invitee", answer.Header.Get("ETag")).Status)
		require.Equal(e.t, "1", answer.Header.Get("X-Result-Count"))
		require.Equal(e.t, 2, strings.Count(answer.Header.Get("Link"), "/api/user-invitations/mine/"))
		e.exec("UPDATE scopes SET is_removed = TRUE WHERE uuid = '" + apollo + "'")
		require.Empty(e.t, e.mine("invitee", ""))
		e.exec("UPDATE scopes SET is_removed = FALSE")
		e.exec("UPDATE users SET email = '', email_folded = '' WHERE username = 'invitee'")
		e.exec("UPDATE invitations SET email_folded = ''")
		require.Empty(e.t, e.mine("invitee", ""))
		require.Equal(e.t, strconv.Itoa(0), e.request("HEAD", minePath, "invitee", nil).Header.Get("X-Result-Count"))
	})
}
