package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

var (
	canceled  = detail("Invitation has been successfully canceled.")
	sent      = detail("Invitation sending has been successfully scheduled.")
	deleted   = detail("Invitation has been successfully deleted.")
	noCancel  = rule("Only pending or planned invitations can be canceled.")
	noSending = rule("Only pending, expired and canceled invitations can be resent.")
)

// TestWhoMayCancelAndSend is about those who see an invitation and do not manage it, and those who manage and do not
// see: both are told that there is none.
func TestWhoMayCancelAndSend(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(moreRoles)
		made := w.create("staff", "Invitee@University.example", admin, apollo)
		for _, user := range []string{
			"support", "reader", "invitee", // see it
			"founder", "planner", // manage it
			"member", "sibling", "rival", "stranger", "lister", "inviter", "seller", "former",
		} {
			w.do(user, made.UUID, "cancel").is(http.StatusNotFound, notFound)
			w.do(user, made.UUID, "send").is(http.StatusNotFound, notFound)
		}
		require.Equal(w.t, made, w.see(made.UUID))
		require.Len(w.t, w.deliveries(made.UUID), 1)
		for _, user := range []string{"staff", "owner", "manager", "leaving"} {
			w.do(user, made.UUID, "cancel").is(http.StatusOK, canceled)
			w.do(user, made.UUID, "send").is(http.StatusOK, sent)
		}
		for _, action := range []string{"cancel", "send"} {
			w.do("staff", uuid.New(), action).is(http.StatusNotFound, notFound)
			w.request("POST", at("nonsense", action), "staff", nil).is(http.StatusNotFound, notFound)
		}
	})
}

func TestNobodyManagesARemovedScope(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.rewrite(apolloHead, apolloRemoved)
		for _, user := range []string{"staff", "owner", "manager"} {
			w.do(user, made.UUID, "cancel").is(http.StatusNotFound, notFound)
			w.do(user, made.UUID, "send").is(http.StatusNotFound, notFound)
		}
		w.do("staff", made.UUID, "delete").is(http.StatusOK, deleted)
	})
}

func TestWhatCanBeCanceled(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for state, id := range everyState(w) {
			w.run(state, func(w *world) {
				if state == "pending" || state == "project" {
					w.do("owner", id, "cancel").is(http.StatusOK, canceled)
					require.Equal(w.t, "canceled", w.state(id))
				} else {
					w.do("owner", id, "cancel").is(http.StatusBadRequest, noCancel)
					require.Equal(w.t, state, w.state(id))
				}
				w.do("owner", id, "cancel").is(http.StatusBadRequest, noCancel)
			})
		}
	}, onlyStaff)
}

func TestWhatWasCanceledIsNoOffer(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "Invitee@University.example", admin, apollo)
		w.do("owner", made.UUID, "cancel").is(http.StatusOK, canceled)
		w.do("invitee", made.UUID, "accept").is(http.StatusNotFound, notFound)
		w.do("", made.UUID, "check").is(http.StatusNotFound, notFound)
		require.Empty(w.t, w.emails("invitee", ""))
		w.clock.Advance(2 * lifetime)
		require.Equal(w.t, "canceled", w.state(made.UUID))
	})
}

func TestWhatCanBeSent(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for state, id := range everyState(w) {
			w.run(state, func(w *world) {
				before, jobs := w.see(id), len(w.deliveries(id))
				w.clock.Advance(time.Second)
				switch state {
				case "pending", "expired", "canceled":
					w.do("owner", id, "send").is(http.StatusOK, sent)
					require.Equal(w.t, "pending", w.state(id))
					require.Len(w.t, w.deliveries(id), jobs+1)
				default:
					w.do("owner", id, "send").is(http.StatusBadRequest, noSending)
					require.Equal(w.t, before, w.see(id))
					require.Len(w.t, w.deliveries(id), jobs)
				}
			})
		}
	}, onlyStaff)
}

func TestSendingAPendingInvitationLeavesItsLifeAsItIs(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.fail(made.UUID)
		w.clock.Advance(lifetime / 2)
		w.do("manager", made.UUID, "send").is(http.StatusOK, sent)
		require.Equal(w.t, made, w.see(made.UUID), "created and creator untouched, delivery scheduled anew")
		jobs := w.deliveries(made.UUID)
		require.Len(w.t, jobs, 2)
		require.NotEqual(w.t, jobs[0], jobs[1], "the earlier delivery is told from this one")
	})
}

// fail makes the present delivery of an invitation fail.
func (w *world) fail(id uuid.UUID) {
	w.t.Helper()
	jobs := w.deliveries(id)
	job := jobs[len(jobs)-1]
	letter, err := w.service.BeginDelivery(w.t.Context(), job)
	require.NoError(w.t, err)
	require.NotNil(w.t, letter)
	require.Equal(w.t, "Processing", string(w.see(id).ExecutionState))
	require.NoError(w.t, w.service.FinishDelivery(w.t.Context(), job, letter, invitation.Outcome{Failed: true, Reason: "No such mailbox."}))
	failed := w.see(id)
	require.Equal(w.t, "Erred", string(failed.ExecutionState))
	require.Equal(w.t, "No such mailbox.", failed.ErrorMessage)
}

func TestSendingReopensWithAFullLife(t *testing.T) {
	for _, how := range []string{"canceled", "expired", "expired and swept"} {
		t.Run(how, func(t *testing.T) {
			inEachWorld(t, func(w *world) {
				made := w.create("owner", "a@x.example", admin, apollo)
				w.fail(made.UUID)
				if how == "canceled" {
					w.do("owner", made.UUID, "cancel").is(http.StatusOK, canceled)
					w.clock.Advance(time.Millisecond)
				} else {
					w.clock.Advance(lifetime)
				}
				if how == "expired and swept" {
					w.sweep()
				}
				w.do("manager", made.UUID, "send").is(http.StatusOK, sent)
				seen := w.see(made.UUID)
				require.Equal(w.t, w.clock.Now(), w.moment(seen.Created))
				require.Equal(w.t, w.clock.Now().Add(lifetime), w.moment(seen.Expires))
				seen.Created, seen.Expires = made.Created, made.Expires
				require.Equal(w.t, made, seen, "pending, scheduled, with no error message; the rest untouched")
				require.Len(w.t, w.deliveries(made.UUID), 2)
				w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
			})
		})
	}
}

func TestSendingWhereTheProjectStartsInTheFuture(t *testing.T) {
	for _, state := range []string{"pending", "canceled", "expired"} {
		t.Run(state, func(t *testing.T) {
			inEachWorld(t, func(w *world) {
				made := w.create("owner", "a@x.example", admin, apollo)
				switch state {
				case "canceled":
					w.do("owner", made.UUID, "cancel").is(http.StatusOK, canceled)
				case "expired":
					w.clock.Advance(lifetime)
				}
				w.clock.Advance(time.Millisecond)
				// An expired one stays so only if it was written before the project was put off.
				if state == "expired" {
					w.sweep()
				}
				w.rewrite(apolloHead, apolloLater)
				require.Equal(w.t, state, w.state(made.UUID))
				w.do("owner", made.UUID, "send").is(http.StatusOK, sent)
				seen := w.see(made.UUID)
				require.Equal(w.t, "project", string(seen.State))
				require.Equal(w.t, w.clock.Now(), w.moment(seen.Created))
				require.Equal(w.t, "2026-12-31T00:00:00.000000Z", seen.Expires)
				require.Len(w.t, w.deliveries(made.UUID), 1, "no mail yet")
				w.do("owner", made.UUID, "send").is(http.StatusBadRequest, noSending)
			})
		})
	}
}

func TestReopeningMeetsTheOpenOne(t *testing.T) {
	inEachWorld(t, func(w *world) {
		twice := field("email", msgTwice)
		was := w.create("owner", "a@x.example", admin, apollo)
		w.do("owner", was.UUID, "cancel").is(http.StatusOK, canceled)
		old := w.create("owner", "b@x.example", admin, apollo)
		w.clock.Advance(lifetime)
		open := w.create("owner", "A@X.example", admin, apollo)
		w.create("owner", "B@x.example", admin, apollo)

		before := w.see(was.UUID)
		w.do("owner", was.UUID, "send").is(http.StatusBadRequest, twice)
		w.do("owner", old.UUID, "send").is(http.StatusBadRequest, twice)
		require.Equal(w.t, before, w.see(was.UUID))
		require.Equal(w.t, "expired", w.state(old.UUID))
		require.Len(w.t, w.deliveries(was.UUID), 1)

		// One that time has ended, though no sweep has written it, does not stand in the way.
		w.clock.Advance(lifetime)
		w.do("owner", was.UUID, "send").is(http.StatusOK, sent)
		require.Equal(w.t, "expired", w.state(open.UUID))
		w.do("owner", open.UUID, "send").is(http.StatusBadRequest, twice)
	})
}

// Whether one may is looked at before the state is.
func TestCancelAndSendTellTheirStateOnlyToManagers(t *testing.T) {
	inEachWorld(t, func(w *world) {
		all := everyState(w)
		for _, user := range []string{"reader", "support", "rival"} {
			w.do(user, all["accepted"], "cancel").is(http.StatusNotFound, notFound)
			w.do(user, all["accepted"], "send").is(http.StatusNotFound, notFound)
		}
	}, onlyStaff)
}

func TestDeleteIsForStaff(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "Invitee@University.example", admin, apollo)
		for _, user := range []string{"owner", "manager", "reader", "support", "invitee"} { // who see it
			w.do(user, made.UUID, "delete").is(http.StatusForbidden, forbidden)
		}
		for _, user := range []string{"member", "sibling", "rival", "stranger"} { // who do not
			w.do(user, made.UUID, "delete").is(http.StatusNotFound, notFound)
		}
		w.do("staff", made.UUID, "delete").is(http.StatusOK, deleted)
		for _, action := range []string{"delete", "accept", "cancel", "send", "check"} {
			w.do("staff", made.UUID, action).is(http.StatusNotFound, notFound)
		}
		w.request("GET", at(made.UUID.String()), "staff", nil).is(http.StatusNotFound, notFound)
		require.False(w.t, w.details("staff", made.UUID))
		require.Empty(w.t, w.emails("staff", ""))
		w.create("owner", "Invitee@University.example", admin, apollo) // nothing is left that stands in the way
	})
}

func TestDestroyIsForWhoManages(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("staff", "Invitee@University.example", admin, apollo)
		path := at(made.UUID.String())
		for _, user := range []string{"reader", "support", "invitee", "member", "sibling", "rival", "stranger"} {
			w.request("DELETE", path, user, nil).is(http.StatusNotFound, notFound)
		}
		require.Equal(w.t, made, w.see(made.UUID))
		require.Empty(w.t, w.request("DELETE", path, "manager", nil).is(http.StatusNoContent, "").Body)
		w.request("DELETE", path, "manager", nil).is(http.StatusNotFound, notFound)
		require.Empty(w.t, w.emails("staff", ""))
		require.Equal(w.t, "manager", w.value("SELECT user_username FROM invitation_events WHERE event_type = 'deleted'"))

		// Of a removed scope nobody is manager; staff have POST …/delete/.
		made = w.create("owner", "Invitee@University.example", admin, apollo)
		w.rewrite(apolloHead, apolloRemoved)
		for _, user := range []string{"staff", "owner", "manager"} {
			w.request("DELETE", at(made.UUID.String()), user, nil).is(http.StatusNotFound, notFound)
		}
		w.do("staff", made.UUID, "delete").is(http.StatusOK, deleted)
	})
}

func TestEveryStateCanBeDestroyed(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, id := range everyState(w) {
			w.request("DELETE", at(id.String()), "owner", nil).is(http.StatusNoContent, "")
		}
		require.Empty(w.t, w.emails("staff", ""))
		// Who has accepted keeps the role.
		require.Equal(w.t, apollo, w.value("SELECT scope_uuid FROM memberships WHERE revoked IS NULL AND user_uuid = '"+
			w.userID("stranger").String()+"'"))
	}, onlyStaff)
}

func TestEveryStateCanBeDeleted(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, id := range everyState(w) {
			w.do("staff", id, "delete").is(http.StatusOK, deleted)
		}
		require.Empty(w.t, w.emails("staff", ""))
		// Who has accepted keeps the role.
		require.Equal(w.t, apollo, w.value("SELECT scope_uuid FROM memberships WHERE revoked IS NULL AND user_uuid = '"+
			w.userID("stranger").String()+"'"))
	}, onlyStaff)
}

func TestCheckTellsAnybodyOfAPendingInvitation(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for state, id := range everyState(w) {
			for _, user := range []string{"", "staff", "rival"} {
				if state == "pending" {
					w.do(user, id, "check").is(http.StatusOK, `{"email": "pending@states.example"}`)
				} else {
					w.do(user, id, "check").is(http.StatusNotFound, notFound)
				}
			}
		}
		civil := w.create("staff", "Anna@X.example", admin, apollo, "civil_number", "1234")
		w.do("", civil.UUID, "check").is(http.StatusOK, `{"email": "Anna@X.example", "civil_number_required": true}`)
		w.do("", uuid.New(), "check").is(http.StatusNotFound, notFound)
		w.request("POST", at("nonsense", "check"), "", nil).is(http.StatusNotFound, notFound)
	}, onlyStaff)
}

// goneOwner removes the user called owner from the database.
func (w *world) goneOwner() {
	w.t.Helper()
	w.exec("DELETE FROM users WHERE username = 'owner'")
}

func TestACreatorWhoIsGoneIsEmpty(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.create("staff", "b@x.example", admin, apollo)
		w.goneOwner()
		gone := func(path string) {
			w.t.Helper()
			var seen map[string]any
			w.request("GET", path, "staff", nil).is(http.StatusOK, "").into(&seen)
			require.Equal(w.t, []any{"", "", nil},
				[]any{seen["created_by_full_name"], seen["created_by_username"], seen["created_by_image"]})
			require.Contains(w.t, seen, "created_by_image")
		}
		gone(at(made.UUID.String()))
		gone(at(made.UUID.String(), "details"))
		require.Equal(w.t, []string{"a@x.example", "b@x.example"}, w.emails("staff", "o=created_by"))
		require.Equal(w.t, []string{"b@x.example", "a@x.example"}, w.emails("staff", "o=-created_by"))

		w.do("manager", made.UUID, "cancel").is(http.StatusOK, canceled)
		w.do("manager", made.UUID, "send").is(http.StatusOK, sent)
		w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
		require.Equal(w.t, "nobody", w.value("SELECT COALESCE(CAST(created_by_uuid AS TEXT), 'nobody') FROM memberships"+
			" WHERE user_uuid = '"+w.userID("stranger").String()+"'"))
	})
}

func TestACreatorWithoutNameOrImage(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("staff2", "a@x.example", admin, apollo)
		require.Empty(w.t, made.CreatedByFullName)
		require.Equal(w.t, "staff2", made.CreatedByUsername)
		require.Nil(w.t, made.CreatedByImage)
	})
}
