package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/token"
)

func (w *world) usersWith(email string) []directory.User {
	w.t.Helper()
	var found []directory.User
	require.NoError(w.t, w.db.Directory().Read(w.t.Context(), func(tx directory.FileTx) error {
		all, err := tx.UsersAfter("", 1000)
		for _, each := range all {
			if each.EmailFolded == directory.Fold(email) {
				found = append(found, each)
			}
		}
		return err
	}))
	return found
}

// An unknown invitee gets a user record before the mail goes out, and only then; somebody who is known is left alone.
func TestMissingUsersAreMadeWhereThatIsWanted(t *testing.T) {
	inEachWorld(t, func(w *world) {
		unknown := w.create("owner", "New.Person@Example.org", admin, apollo, "full_name", "New Person")
		known := w.create("owner", "INVITEE@university.example", admin, apollo)
		require.Empty(t, w.usersWith("new.person@example.org"))
		for _, each := range []invitation.Deliver{{Invitation: unknown.UUID}, {Invitation: known.UUID}} {
			for range 2 { // a second attempt makes no second user
				letter, err := w.service.BeginDelivery(t.Context(), each)
				require.NoError(t, err)
				require.NotNil(t, letter)
			}
		}
		made := w.usersWith("new.person@example.org")
		require.Len(t, made, 1)
		require.Equal(t, []any{"new.person@example.org", "New.Person@Example.org", "New Person", true, false, false}, []any{
			made[0].Username, made[0].Email, made[0].FullName, made[0].IsActive, made[0].IsStaff, made[0].IsSupport,
		})
		require.Len(t, w.usersWith("invitee@university.example"), 1)
	}, func(p *invitation.Policy) { p.CreateMissingUser = true })
}

func TestMissingUsersAreNotMadeOtherwise(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "new@example.org", admin, apollo)
		_, err := w.service.BeginDelivery(t.Context(), invitation.Deliver{Invitation: made.UUID})
		require.NoError(t, err)
		require.Empty(t, w.usersWith("new@example.org"))
	})
}

// Where the server died while it sent, and the invitation was ended before the job was taken up again, nobody knows
// whether the mail went out, and the row does not pretend to.
func TestADeliveryThatWasCutOffIsNotCalledUnsent(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		job := invitation.Deliver{Invitation: made.UUID}
		letter, err := w.service.BeginDelivery(t.Context(), job)
		require.NoError(t, err)
		require.NotNil(t, letter)
		w.request("POST", at(made.UUID.String(), "cancel"), "owner", nil).is(http.StatusOK, "")
		letter, err = w.service.BeginDelivery(t.Context(), job)
		require.NoError(t, err)
		require.Nil(t, letter)
		seen := w.see(made.UUID)
		require.Equal(t, "Erred", string(seen.ExecutionState))
		require.Contains(t, seen.ErrorMessage, "may have arrived or not")
	})
}

// Nobody is asked to act for a scope that is gone, but whoever created an invitation to it learns how that ended.
func TestNoticesAboutARemovedScope(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.org", admin, apollo)
		asked := w.asked(invitation.NoticeRequested)[0]
		w.rewrite(apolloHead, apolloRemoved)
		letter, err := w.service.BeginNotice(t.Context(), asked)
		require.NoError(t, err)
		require.Nil(t, letter)
		w.decide("reject", w.sign(token.Reject, w.userID("staff"), made.UUID)).is(http.StatusOK, "")
		letter, err = w.service.BeginNotice(t.Context(), w.asked(invitation.NoticeRejected)[0])
		require.NoError(t, err)
		require.NotNil(t, letter)
		require.Equal(t, "owner@acme.example", letter.To)
	}, func(p *invitation.Policy) { p.OnlyStaffCanInvite = true })
}

// CORS is off, or for exactly the origins that are set.
func TestCORS(t *testing.T) {
	t.Parallel()
	const origin = "https://portal.example"
	ask := func(set []string, method, from string) http.Header {
		handler, err := api.New(api.Config{
			Service: &invitation.Service{}, PublicURL: "https://api.example/", CORSOrigins: set, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), method, base, nil)
		r.Header.Set("Origin", from)
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", "POST")
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		return recorder.Header()
	}
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		require.Empty(t, ask(nil, method, origin).Values("Access-Control-Allow-Origin"))
		allowed := ask([]string{origin}, method, origin)
		require.Equal(t, origin, allowed.Get("Access-Control-Allow-Origin"))
		require.Empty(t, allowed.Get("Access-Control-Allow-Credentials"))
		require.Contains(t, allowed.Values("Vary"), "Origin")
		for _, other := range []string{"https://evil.example", "http://portal.example", origin + ".evil.example", "null"} {
			require.Empty(t, ask([]string{origin}, method, other).Values("Access-Control-Allow-Origin"), other)
		}
	}
	require.Contains(t, ask([]string{origin}, http.MethodGet, origin).Get("Access-Control-Expose-Headers"), "X-Result-Count")
	preflight := ask([]string{origin}, http.MethodOptions, origin)
	require.Contains(t, preflight.Get("Access-Control-Allow-Headers"), "Authorization")
	for _, item := range loadContract(t).Paths.Map() {
		for method := range item.Operations() {
			require.Contains(t, strings.Split(preflight.Get("Access-Control-Allow-Methods"), ","), method)
		}
	}
}
