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
	canceledBody = detailBody("Invitation has been successfully canceled.")
	sentBody     = detailBody("Invitation sending has been successfully scheduled.")
	deletedBody  = detailBody("Invitation has been successfully deleted.")
)

// A user who sees an invitation but does not manage it gets a 404.
func TestWhoMayCancelAndSend(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(moreRoles)
		made := e.create("staff", "Invitee@University.example", admin, apollo)
		for _, user := range []string{
			"support", "reader", "invitee", // see it
			"member", "sibling", "rival", "stranger", "lister", "seller", "former",
		} {
			e.do(user, made.UUID, "cancel").is(http.StatusNotFound, notFound)
			e.do(user, made.UUID, "send").is(http.StatusNotFound, notFound)
		}
		require.Equal(e.t, made, e.retrieve(made.UUID))
		require.Len(e.t, e.deliveryJobs(made.UUID), 1)
		for _, user := range []string{"staff", "owner", "manager", "leaving"} {
			e.do(user, made.UUID, "cancel").is(http.StatusOK, canceledBody)
			e.do(user, made.UUID, "send").is(http.StatusOK, sentBody)
		}
		for _, action := range []string{"cancel", "send"} {
			e.do("staff", uuid.New(), action).is(http.StatusNotFound, notFound)
			e.request("POST", at("nonsense", action), "staff", nil).is(http.StatusNotFound, notFound)
		}
	})
}

func TestRemovedScopeHasNoManagers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.applyReplaced(apolloUUID, apolloRemoved)
		for _, user := range []string{"staff", "owner", "manager"} {
			e.do(user, made.UUID, "cancel").is(http.StatusNotFound, notFound)
			e.do(user, made.UUID, "send").is(http.StatusNotFound, notFound)
		}
		e.do("staff", made.UUID, "delete").is(http.StatusOK, deletedBody)
	})
}

func TestCancelByState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for state, id := range oneInEachState(e) {
			e.run(state, func(e *env) {
				if state == "pending" || state == "project" {
					e.do("owner", id, "cancel").is(http.StatusOK, canceledBody)
					require.Equal(e.t, "canceled", e.state(id))
				} else {
					e.do("owner", id, "cancel").is(http.StatusBadRequest, cancelError)
					require.Equal(e.t, state, e.state(id))
				}
				e.do("owner", id, "cancel").is(http.StatusBadRequest, cancelError)
			})
		}
	}, onlyStaff)
}

func TestCanceledInvitationCanNotBeAccepted(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "Invitee@University.example", admin, apollo)
		e.do("owner", made.UUID, "cancel").is(http.StatusOK, canceledBody)
		e.do("invitee", made.UUID, "accept").is(http.StatusNotFound, notFound)
		e.do("", made.UUID, "check").is(http.StatusNotFound, notFound)
		require.Empty(e.t, e.emails("invitee", ""))
		e.clock.Advance(2 * lifetime)
		require.Equal(e.t, "canceled", e.state(made.UUID))
	})
}

func TestSendByState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for state, id := range oneInEachState(e) {
			e.run(state, func(e *env) {
				before, jobs := e.retrieve(id), len(e.deliveryJobs(id))
				e.clock.Advance(time.Second)
				switch state {
				case "pending":
					e.do("owner", id, "send").is(http.StatusOK, sentBody)
					require.Equal(e.t, "pending", e.state(id))
					require.Len(e.t, e.deliveryJobs(id), jobs+1)
				case "expired", "canceled": // only staff can invite
					e.do("owner", id, "send").is(http.StatusOK, sentBody)
					require.Equal(e.t, "requested", e.state(id))
					require.Len(e.t, e.deliveryJobs(id), jobs)
				default:
					e.do("owner", id, "send").is(http.StatusBadRequest, sendError)
					require.Equal(e.t, before, e.retrieve(id))
					require.Len(e.t, e.deliveryJobs(id), jobs)
				}
			})
		}
	}, onlyStaff)
}

func TestSendPendingKeepsItsLife(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.failDelivery(made.UUID)
		e.clock.Advance(lifetime / 2)
		e.do("manager", made.UUID, "send").is(http.StatusOK, sentBody)
		require.Equal(e.t, made, e.retrieve(made.UUID), "created and creator are unchanged, the delivery is scheduled again")
		jobs := e.deliveryJobs(made.UUID)
		require.Len(e.t, jobs, 2)
		require.NotEqual(e.t, jobs[0], jobs[1], "the two deliveries have different numbers")
	})
}

// failDelivery makes the current delivery of an invitation fail.
func (e *env) failDelivery(id uuid.UUID) {
	e.t.Helper()
	jobs := e.deliveryJobs(id)
	job := jobs[len(jobs)-1]
	message, err := e.service.BeginDelivery(e.context(), job)
	require.NoError(e.t, err)
	require.NotNil(e.t, message)
	require.Equal(e.t, "Processing", string(e.retrieve(id).ExecutionState))
	require.NoError(e.t, e.service.FinishDelivery(e.context(), job, message, invitation.Outcome{Failed: true, Reason: "No such mailbox."}))
	failed := e.retrieve(id)
	require.Equal(e.t, "Erred", string(failed.ExecutionState))
	require.Equal(e.t, "No such mailbox.", failed.ErrorMessage)
}

func TestSendReopensWithANewLife(t *testing.T) {
	for _, how := range []string{"canceled", "expired", "expired and swept"} {
		t.Run(how, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				made := e.create("owner", "a@x.example", admin, apollo)
				e.failDelivery(made.UUID)
				if how == "canceled" {
					e.do("owner", made.UUID, "cancel").is(http.StatusOK, canceledBody)
					e.clock.Advance(time.Millisecond)
				} else {
					e.clock.Advance(lifetime)
				}
				if how == "expired and swept" {
					e.sweep()
				}
				e.do("manager", made.UUID, "send").is(http.StatusOK, sentBody)
				seen := e.retrieve(made.UUID)
				require.Equal(e.t, e.clock.Now(), e.parseTime(seen.Created))
				require.Equal(e.t, e.clock.Now().Add(lifetime), e.parseTime(seen.Expires))
				seen.Created, seen.Expires = made.Created, made.Expires
				require.Equal(e.t, made, seen, "pending and scheduled without an error message, the rest unchanged")
				require.Len(e.t, e.deliveryJobs(made.UUID), 2)
				e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
			})
		})
	}
}

func TestSendBeforeProjectStart(t *testing.T) {
	for _, state := range []string{"pending", "canceled", "expired"} {
		t.Run(state, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				made := e.create("owner", "a@x.example", admin, apollo)
				switch state {
				case "canceled":
					e.do("owner", made.UUID, "cancel").is(http.StatusOK, canceledBody)
				case "expired":
					e.clock.Advance(lifetime)
				}
				e.clock.Advance(time.Millisecond)
				// An expired invitation stays expired only if a sweep stored that before the start date moved.
				if state == "expired" {
					e.sweep()
				}
				e.applyReplaced(apolloUUID, apolloStartsLater)
				require.Equal(e.t, state, e.state(made.UUID))
				e.do("owner", made.UUID, "send").is(http.StatusOK, sentBody)
				seen := e.retrieve(made.UUID)
				require.Equal(e.t, "project", string(seen.State))
				require.Equal(e.t, e.clock.Now(), e.parseTime(seen.Created))
				require.Equal(e.t, "2026-12-31T00:00:00.000000Z", seen.Expires)
				require.Len(e.t, e.deliveryJobs(made.UUID), 1, "no mail yet")
				e.do("owner", made.UUID, "send").is(http.StatusBadRequest, sendError)
			})
		})
	}
}

func TestSendRejectsDuplicates(t *testing.T) {
	onEachEngine(t, func(e *env) {
		was := e.create("owner", "a@x.example", admin, apollo)
		e.do("owner", was.UUID, "cancel").is(http.StatusOK, canceledBody)
		old := e.create("owner", "b@x.example", admin, apollo)
		e.clock.Advance(lifetime)
		open := e.create("owner", "A@X.example", admin, apollo)
		e.create("owner", "B@x.example", admin, apollo)

		before := e.retrieve(was.UUID)
		e.do("owner", was.UUID, "send").is(http.StatusBadRequest, duplicateError)
		e.do("owner", old.UUID, "send").is(http.StatusBadRequest, duplicateError)
		require.Equal(e.t, before, e.retrieve(was.UUID))
		require.Equal(e.t, "expired", e.state(old.UUID))
		require.Len(e.t, e.deliveryJobs(was.UUID), 1)

		// An expired invitation is no duplicate, even where no sweep has stored that.
		e.clock.Advance(lifetime)
		e.do("owner", was.UUID, "send").is(http.StatusOK, sentBody)
		require.Equal(e.t, "expired", e.state(open.UUID))
		e.do("owner", open.UUID, "send").is(http.StatusBadRequest, duplicateError)
	})
}

// The permission is checked before the state, so that the state is shown to managers only.
func TestCancelAndSendCheckPermissionBeforeState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		all := oneInEachState(e)
		for _, user := range []string{"reader", "support", "rival"} {
			e.do(user, all["accepted"], "cancel").is(http.StatusNotFound, notFound)
			e.do(user, all["accepted"], "send").is(http.StatusNotFound, notFound)
		}
	}, onlyStaff)
}

func TestDeleteRequiresStaff(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "Invitee@University.example", admin, apollo)
		for _, user := range []string{"owner", "manager", "reader", "support", "invitee"} { // see it
			e.do(user, made.UUID, "delete").is(http.StatusForbidden, forbidden)
		}
		for _, user := range []string{"member", "sibling", "rival", "stranger"} { // do not see it
			e.do(user, made.UUID, "delete").is(http.StatusNotFound, notFound)
		}
		e.do("staff", made.UUID, "delete").is(http.StatusOK, deletedBody)
		for _, action := range []string{"delete", "accept", "cancel", "send", "check"} {
			e.do("staff", made.UUID, action).is(http.StatusNotFound, notFound)
		}
		e.request("GET", at(made.UUID.String()), "staff", nil).is(http.StatusNotFound, notFound)
		require.False(e.t, e.seesDetails("staff", made.UUID))
		require.Empty(e.t, e.emails("staff", ""))
		e.create("owner", "Invitee@University.example", admin, apollo) // the deleted one is no duplicate
	})
}

func TestDestroyRequiresManager(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("staff", "Invitee@University.example", admin, apollo)
		path := at(made.UUID.String())
		for _, user := range []string{"reader", "support", "invitee", "member", "sibling", "rival", "stranger"} {
			e.request("DELETE", path, user, nil).is(http.StatusNotFound, notFound)
		}
		require.Equal(e.t, made, e.retrieve(made.UUID))
		require.Empty(e.t, e.request("DELETE", path, "manager", nil).is(http.StatusNoContent, "").Body)
		e.request("DELETE", path, "manager", nil).is(http.StatusNotFound, notFound)
		require.Empty(e.t, e.emails("staff", ""))
		require.Equal(e.t, "manager", e.value("SELECT user_username FROM invitation_events WHERE event_type = 'deleted'"))

		// A removed scope has no managers. Staff can use POST …/delete/.
		made = e.create("owner", "Invitee@University.example", admin, apollo)
		e.applyReplaced(apolloUUID, apolloRemoved)
		for _, user := range []string{"staff", "owner", "manager"} {
			e.request("DELETE", at(made.UUID.String()), user, nil).is(http.StatusNotFound, notFound)
		}
		e.do("staff", made.UUID, "delete").is(http.StatusOK, deletedBody)
	})
}

func TestDeleteAndDestroyInEveryState(t *testing.T) {
	for name, remove := range map[string]func(e *env, id uuid.UUID){
		"delete": func(e *env, id uuid.UUID) { e.do("staff", id, "delete").is(http.StatusOK, deletedBody) },
		"destroy": func(e *env, id uuid.UUID) {
			e.request("DELETE", at(id.String()), "owner", nil).is(http.StatusNoContent, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				for _, id := range oneInEachState(e) {
					remove(e, id)
				}
				require.Empty(e.t, e.emails("staff", ""))
				// The user who accepted one keeps the role.
				require.Equal(e.t, apollo, e.value("SELECT scope_uuid FROM memberships WHERE revoked IS NULL AND user_uuid = '"+
					e.userID("stranger").String()+"'"))
			}, onlyStaff)
		})
	}
}

func TestCheckIsPublic(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for state, id := range oneInEachState(e) {
			for _, user := range []string{"", "staff", "rival"} {
				if state == "pending" {
					e.do(user, id, "check").is(http.StatusOK, `{"email": "pending@states.example"}`)
				} else {
					e.do(user, id, "check").is(http.StatusNotFound, notFound)
				}
			}
		}
		civil := e.create("staff", "Anna@X.example", admin, apollo, "civil_number", "1234")
		e.do("", civil.UUID, "check").is(http.StatusOK, `{"email": "Anna@X.example", "civil_number_required": true}`)
		e.do("", uuid.New(), "check").is(http.StatusNotFound, notFound)
		e.request("POST", at("nonsense", "check"), "", nil).is(http.StatusNotFound, notFound)
	}, onlyStaff)
}

func TestRemovedCreator(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.create("staff", "b@x.example", admin, apollo)
		e.deleteOwner()
		requireNoCreator := func(path string) {
			e.t.Helper()
			var seen map[string]any
			e.request("GET", path, "staff", nil).is(http.StatusOK, "").decode(&seen)
			require.Equal(e.t, []any{"", "", nil},
				[]any{seen["created_by_full_name"], seen["created_by_username"], seen["created_by_image"]})
			require.Contains(e.t, seen, "created_by_image")
		}
		requireNoCreator(at(made.UUID.String()))
		requireNoCreator(at(made.UUID.String(), "details"))
		require.Equal(e.t, []string{"a@x.example", "b@x.example"}, e.emails("staff", "o=created_by"))
		require.Equal(e.t, []string{"b@x.example", "a@x.example"}, e.emails("staff", "o=-created_by"))

		e.do("manager", made.UUID, "cancel").is(http.StatusOK, canceledBody)
		e.do("manager", made.UUID, "send").is(http.StatusOK, sentBody)
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
		require.Equal(e.t, "nobody", e.value("SELECT COALESCE(CAST(created_by_uuid AS TEXT), 'nobody') FROM memberships"+
			" WHERE user_uuid = '"+e.userID("stranger").String()+"'"))
	})
}

func TestCreatorWithoutNameOrImage(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("staff2", "a@x.example", admin, apollo)
		require.Empty(e.t, made.CreatedByFullName)
		require.Equal(e.t, "staff2", made.CreatedByUsername)
		require.Nil(e.t, made.CreatedByImage)
	})
}
