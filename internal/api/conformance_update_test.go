package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
)

var noEditing = rule("Only pending invitations can be edited.")

// edit changes an invitation: pairs of field and value.
func (w *world) edit(user string, id uuid.UUID, fields ...string) response {
	w.t.Helper()
	body := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i]] = fields[i+1]
	}
	return w.request("PATCH", at(id.String()), user, body)
}

// letter begins the newest delivery of an invitation.
func (w *world) letter(id uuid.UUID) (invitation.Deliver, *invitation.Message) {
	w.t.Helper()
	jobs := w.deliveries(id)
	newest := jobs[0]
	for _, each := range jobs {
		if each.Delivery > newest.Delivery {
			newest = each
		}
	}
	letter, err := w.service.BeginDelivery(w.t.Context(), newest)
	require.NoError(w.t, err)
	require.NotNil(w.t, letter)
	return newest, letter
}

// linkOf is the uuid in the link that an invitee is mailed.
func (w *world) linkOf(letter *invitation.Message) uuid.UUID {
	w.t.Helper()
	rest, ok := strings.CutPrefix(letter.Link, "https://front.example/invitation/")
	require.True(w.t, ok, letter.Link)
	link, err := uuid.Parse(strings.TrimSuffix(rest, "/"))
	require.NoError(w.t, err)
	return link
}

func (w *world) delivered(job invitation.Deliver, letter *invitation.Message, o invitation.Outcome) {
	w.t.Helper()
	require.NoError(w.t, w.service.FinishDelivery(w.t.Context(), job, letter, o))
}

func TestWhoMayUpdate(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(moreRoles)
		made := w.create("staff", "Invitee@University.example", admin, apollo)
		for _, user := range []string{
			"support", "reader", "invitee", // see it
			"founder", "planner", // manage it
			"member", "sibling", "rival", "stranger",
		} {
			w.edit(user, made.UUID, "email", "evil@x.example").is(http.StatusNotFound, notFound)
			w.request("PUT", at(made.UUID.String()), user, map[string]string{"email": "evil@x.example", "role": manager}).
				is(http.StatusNotFound, notFound)
		}
		require.Equal(w.t, made, w.see(made.UUID))
		for i, user := range []string{"staff", "owner", "manager"} {
			email := strings.Repeat("x", i+1) + "@x.example"
			require.Equal(w.t, email, w.edit(user, made.UUID, "email", email).is(http.StatusOK, "").shown().Email)
		}
		w.edit("staff", uuid.New(), "email", "a@x.example").is(http.StatusNotFound, notFound)
		w.request("PATCH", at("nonsense"), "staff", map[string]string{}).is(http.StatusNotFound, notFound)

		w.rewrite(apolloHead, apolloRemoved)
		for _, user := range []string{"staff", "owner", "manager"} {
			w.edit(user, made.UUID, "email", "a@x.example").is(http.StatusNotFound, notFound)
		}
	})
}

// What staff approved is not to become something else.
func TestWhereOnlyStaffInviteOnlyStaffEdit(t *testing.T) {
	inEachWorld(t, func(w *world) {
		all := everyState(w)
		for state, id := range all {
			before := w.see(id)
			w.edit("owner", id, "email", "evil@x.example").is(http.StatusForbidden, forbidden)
			w.edit("owner", id).is(http.StatusForbidden, forbidden)
			w.edit("rival", id, "email", "evil@x.example").is(http.StatusNotFound, notFound)
			require.Equal(w.t, before, w.see(id), state)
			answer := w.edit("staff", id, "email", "new@x.example")
			if state == "pending" || state == "project" {
				require.Equal(w.t, "new@x.example", answer.is(http.StatusOK, "").shown().Email)
			} else {
				answer.is(http.StatusBadRequest, noEditing)
				require.Equal(w.t, before, w.see(id), state)
			}
		}
	}, onlyStaff)
}

func TestUpdateAnswersTheInvitation(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo, "full_name", "A", "civil_number", "1")
		w.clock.Advance(time.Hour)
		want := made
		want.Email, want.Role, want.RoleName, want.RoleDescription = "B@x.example", uuid.MustParse(manager), "PROJECT.MANAGER", "Project manager"
		put := w.request("PUT", at(made.UUID.String()), "manager", map[string]any{
			"email": " B@x.example ", "role": manager, "full_name": "Evil", "civil_number": "2", "state": "accepted", "scope": scopeURL(hydra),
			"created": "2001-01-01T00:00:00Z", "unknown": []int{1},
		}).is(http.StatusOK, "")
		require.Equal(w.t, want, put.shown(), "its life, its creator and what else was said stay")
		require.Equal(w.t, want, w.see(made.UUID))

		put = w.request("PUT", at(made.UUID.String()), "owner", map[string]string{"email": "c@x.example"})
		put.is(http.StatusBadRequest, field("role", msgRequired))
		w.request("PUT", at(made.UUID.String()), "owner", nil).is(http.StatusBadRequest, `{"email": ["`+msgRequired+`"], "role": ["`+msgRequired+`"]}`)
		w.edit("owner", made.UUID, "email", "x", "role", "y").
			is(http.StatusBadRequest, `{"email": ["`+msgBadEmail+`"], "role": ["Must be a valid UUID."]}`)
		w.request("PATCH", at(made.UUID.String()), "owner", `{"email": null}`).
			is(http.StatusBadRequest, field("email", "This field may not be null."))
		// A name has case.
		require.Equal(w.t, want, w.request("PATCH", at(made.UUID.String()), "owner", `{"Email": "evil@x.example", "ROLE": 5}`).is(http.StatusOK, "").shown())
	})
}

// Nothing that is asked for is nothing that happened.
func TestAnUpdateThatChangesNothing(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.rewrite(adminRole, adminRoleRetired)
		done := w.untouched()
		require.Equal(w.t, made, w.edit("owner", made.UUID).is(http.StatusOK, "").shown())
		require.Equal(w.t, made, w.edit("owner", made.UUID, "email", "a@x.example", "role", admin).is(http.StatusOK, "").shown())
		done()
		require.Equal(w.t, "1", w.value("SELECT CAST(count(*) AS TEXT) FROM invitation_events"))
		require.Len(w.t, w.deliveries(made.UUID), 1)
	})
}

// An address is told from another without case.
func TestAnEmailInAnotherCaseIsNoOther(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		_, first := w.letter(made.UUID)
		require.Equal(w.t, "A@X.example", w.edit("owner", made.UUID, "email", "A@X.example").is(http.StatusOK, "").shown().Email)
		require.Len(w.t, w.deliveries(made.UUID), 1)
		require.Equal(w.t, made.UUID, w.linkOf(first))
		w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
	})
}

func TestAnotherEmailIsDeliveredTo(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		oldJob, oldLetter := w.letter(made.UUID)
		w.delivered(oldJob, oldLetter, invitation.Outcome{Failed: true, Reason: "No such mailbox."})
		require.Equal(w.t, "Erred", string(w.see(made.UUID).ExecutionState))

		edited := w.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "").shown()
		require.Equal(w.t, []string{"pending", "Scheduled", ""},
			[]string{string(edited.State), string(edited.ExecutionState), edited.ErrorMessage})
		require.Equal(w.t, []string{made.Created, made.Expires}, []string{edited.Created, edited.Expires})
		require.Len(w.t, w.deliveries(made.UUID), 2)

		again, err := w.service.BeginDelivery(w.t.Context(), oldJob) // as the queue would
		require.NoError(w.t, err)
		require.Nil(w.t, again, "the earlier address gets nothing more")
		job, letter := w.letter(made.UUID)
		require.Equal(w.t, "b@x.example", letter.To)
		require.Equal(w.t, made.UUID.String()+".1", letter.ID)
		require.NotEqual(w.t, oldLetter.ID, letter.ID)
		w.delivered(job, letter, invitation.Outcome{})
		require.Equal(w.t, "OK", string(w.see(made.UUID).ExecutionState))
	})
}

// How a delivery ended that was running when the e-mail was changed says nothing of the one to the new address.
func TestAnUpdateDuringADelivery(t *testing.T) {
	for _, outcome := range []invitation.Outcome{{}, {Failed: true, Reason: "No such mailbox."}} {
		t.Run(outcome.Reason, func(t *testing.T) {
			inEachWorld(t, func(w *world) {
				made := w.create("owner", "a@x.example", admin, apollo)
				job, letter := w.letter(made.UUID)
				edited := w.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "").shown()
				w.delivered(job, letter, outcome)
				require.Equal(w.t, edited, w.see(made.UUID), "still scheduled")
				require.Equal(w.t, "a@x.example", w.value("SELECT recipient FROM invitation_events WHERE event_type LIKE 'deliver%'"))

				// Of another role alone it does.
				job, letter = w.letter(made.UUID)
				w.edit("owner", made.UUID, "role", manager).is(http.StatusOK, "")
				w.delivered(job, letter, outcome)
				seen := w.see(made.UUID)
				require.Equal(w.t, outcome.Reason, seen.ErrorMessage)
				require.Equal(w.t, manager, seen.Role.String())
				require.Equal(w.t, first(outcome.Failed, 1, 0), strings.Count(string(seen.ExecutionState), "Erred"))
			})
		})
	}
}

// Whoever has the link that was mailed to the earlier address gains nothing by it: not the new address, not the details,
// not the role. Whoever has the new one, does; and so do those to whom the new address belongs.
func TestTheOldLinkIsWorthNothing(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(guests(4))
		made := w.create("owner", "guest0@acme.example", admin, apollo)
		_, letter := w.letter(made.UUID)
		old := w.linkOf(letter)
		require.Equal(w.t, made.UUID, old)
		link := old
		for _, email := range []string{"guest1@acme.example", "guest0@acme.example", "guest2@acme.example"} {
			dead := []uuid.UUID{link}
			edited := w.edit("owner", made.UUID, "email", email).is(http.StatusOK, "")
			_, letter = w.letter(made.UUID)
			link = w.linkOf(letter)
			require.NotContains(w.t, dead, link)
			for _, each := range []response{edited, w.request("GET", at(made.UUID.String()), "staff", nil), w.request("GET", base, "owner", nil)} {
				require.NotContains(w.t, each.Body, link.String())
			}
			require.Equal(w.t, email, w.do("", link, "check").is(http.StatusOK, "").email())
			for _, each := range append(dead, old) {
				w.do("", each, "check").is(http.StatusNotFound, notFound)
			}
			for _, user := range []string{"stranger", "guest3", "invitee"} {
				for _, each := range append(dead, old) {
					w.do(user, each, "accept").is(http.StatusNotFound, notFound)
					require.False(w.t, w.details(user, each))
				}
				require.True(w.t, w.details(user, link))
			}
		}
		// The last is for guest2; guest0 had it twice.
		for _, user := range []string{"guest0", "guest1"} {
			w.do(user, old, "accept").is(http.StatusNotFound, notFound)
			require.False(w.t, w.details(user, old))
			require.Empty(w.t, w.emails(user, ""))
			w.request("GET", at(old.String()), user, nil).is(http.StatusNotFound, notFound)
		}
		require.True(w.t, w.details("guest2", old), "they see it in their list")
		for _, user := range []string{"staff", "support", "owner", "manager", "member"} { // who see details anyway
			require.True(w.t, w.details(user, old), user)
		}
		// The link is no uuid of the invitation but for its invitee.
		w.request("GET", at(link.String()), "staff", nil).is(http.StatusNotFound, notFound)
		for _, action := range []string{"cancel", "send", "delete"} {
			w.do("staff", link, action).is(http.StatusNotFound, notFound)
		}
		w.edit("staff", link, "email", "x@x.example").is(http.StatusNotFound, notFound)
		w.request("DELETE", at(link.String()), "staff", nil).is(http.StatusNotFound, notFound)

		// One that is sent anew, or put up again, keeps its link.
		w.do("owner", made.UUID, "cancel").is(http.StatusOK, canceled)
		w.do("", link, "check").is(http.StatusNotFound, notFound)
		w.do("owner", made.UUID, "send").is(http.StatusOK, sent)
		_, letter = w.letter(made.UUID)
		require.Equal(w.t, link, w.linkOf(letter))
		w.do("stranger", old, "accept").is(http.StatusNotFound, notFound)
		w.do("stranger", link, "accept").is(http.StatusOK, accepted)
		require.Equal(w.t, "accepted", w.state(made.UUID))
		w.do("guest2", link, "accept").is(http.StatusNotFound, notFound)
	})
}

// A link that is changed while somebody waits to accept by it is worth nothing either.
func TestALinkThatEndsWhileItIsUsed(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "")
		_, letter := w.letter(made.UUID)
		accepting := w.newRequest("POST", at(w.linkOf(letter).String(), "accept"), "stranger", nil)
		waited := make(chan response, 1)
		require.NoError(w.t, w.db.Invitations().Write(w.t.Context(), func(tx invitation.Tx) error {
			was, err := tx.Lock(made.UUID)
			if err != nil {
				return err
			}
			another := uuid.New()
			changed := was
			changed.Email, changed.EmailFolded, changed.LinkUUID = "c@x.example", "c@x.example", &another
			err = tx.Replace(was, changed, invitation.Event{})
			go func() { waited <- w.race(accepting)[0] }()
			select {
			case answer := <-waited:
				require.Fail(w.t, "it did not wait", answer.Body)
			case <-time.After(200 * time.Millisecond):
			}
			return err
		}))
		(<-waited).is(http.StatusNotFound, notFound)
		require.Equal(w.t, "pending", w.state(made.UUID))
	})
}

func (r response) email() string {
	r.t.Helper()
	var seen server.InvitationCheck
	r.into(&seen)
	return seen.Email
}

func TestWhoHasTheNewEmailAcceptsByTheUUID(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.edit("owner", made.UUID, "email", "invitee@UNIVERSITY.example").is(http.StatusOK, "")
		require.Equal(w.t, []string{"invitee@UNIVERSITY.example"}, w.emails("invitee", ""))
		w.do("invitee", made.UUID, "accept").is(http.StatusOK, accepted)
	})
}

func TestTheNewLinkWhereTheEmailIsEnforced(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo, "civil_number", "1234")
		w.edit("owner", made.UUID, "email", "Invitee@university.example").is(http.StatusOK, "")
		_, letter := w.letter(made.UUID)
		w.do("stranger", w.linkOf(letter), "accept").is(http.StatusNotFound, notFound)
		require.JSONEq(w.t, `{"email": "Invitee@university.example", "civil_number_required": true}`, w.do("", w.linkOf(letter), "check").Body)
		w.do("invitee", w.linkOf(letter), "accept").is(http.StatusOK, accepted)
	}, validateEmail)
}

// Another role alone is not mailed: details and accept are of what is offered now.
func TestAnotherRoleIsOfferedByTheSameLink(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		job, letter := w.letter(made.UUID)
		w.delivered(job, letter, invitation.Outcome{})
		edited := w.edit("owner", made.UUID, "role", member).is(http.StatusOK, "").shown()
		require.Equal(w.t, "OK", string(edited.ExecutionState))
		require.Len(w.t, w.deliveries(made.UUID), 1)
		var seen server.VisibleInvitationDetails
		w.request("GET", at(made.UUID.String(), "details"), "stranger", nil).is(http.StatusOK, "").into(&seen)
		require.Equal(w.t, "PROJECT.MEMBER", seen.RoleName)
		w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
		require.Equal(w.t, member, w.value("SELECT role_uuid FROM memberships WHERE user_uuid = '"+w.userID("stranger").String()+"'"))
	})
}

// One that waits for its project is only changed, and goes out to the new address when the day comes.
func TestUpdateOfOneThatWaitsForItsProject(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, artemis)
		edited := w.edit("owner", made.UUID, "email", "b@x.example", "role", member).is(http.StatusOK, "").shown()
		require.Equal(w.t, "project", string(edited.State))
		require.Empty(w.t, w.deliveries(made.UUID))
		w.clock.Advance(artemisStarts)
		w.sweep()
		_, letter := w.letter(made.UUID)
		require.Equal(w.t, "b@x.example", letter.To)
		require.Equal(w.t, "PROJECT.MEMBER", letter.Invitation.Role.Name)
		w.do("", made.UUID, "check").is(http.StatusNotFound, notFound)
		w.do("stranger", w.linkOf(letter), "accept").is(http.StatusOK, accepted)
	})
}

func TestWhatAnUpdateMustNotMake(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@acme.example", admin, strict)
		w.create("owner", "b@acme.example", admin, strict)
		w.create("owner", "a@acme.example", member, strict)
		done := w.untouched()
		for _, each := range []struct {
			body string
			want string
		}{
			{`{"email": "B@acme.example"}`, field("email", msgTwice)},
			{`{"role": "` + member + `"}`, field("email", msgTwice)},
			{`{"email": "c@x.example"}`, field("email", msgPatterns)},
			{`{"role": "` + seller + `"}`, field("non_field_errors", msgRole)},
			{`{"role": "` + owner + `"}`, field("non_field_errors", msgRole)},
			{`{"role": "` + retired + `"}`, field("non_field_errors", msgRole)},
			{`{"role": "` + acme + `"}`, field("role", "Object with uuid="+acme+" does not exist.")},
			{
				`{"role": "` + acme + `", "email": "c@x.example"}`,
				`{"role": ["Object with uuid=` + acme + ` does not exist."], "email": ["` + msgPatterns + `"]}`,
			},
		} {
			w.request("PATCH", at(made.UUID.String()), "owner", each.body).is(http.StatusBadRequest, each.want)
		}
		done()

		// What was no longer admissible goes out to nobody else.
		w.rewrite(adminRole, adminRoleRetired)
		w.edit("owner", made.UUID, "email", "c@acme.example").is(http.StatusBadRequest, field("non_field_errors", msgRole))
		w.edit("owner", made.UUID, "email", "c@acme.example", "role", manager).is(http.StatusOK, "")
	})
}

func TestAnUpdateToTheOneManager(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.edit("owner", made.UUID, "role", manager).is(http.StatusBadRequest, field("non_field_errors", msgManager))
		made = w.create("owner", "a@acme.example", admin, strict)
		w.edit("owner", made.UUID, "role", manager).is(http.StatusOK, "")
	}, func(p *invitation.Policy) { p.OneProjectManager = true })
}

// One that time has ended, though no sweep has written it, does not stand in the way, and can't be edited itself.
func TestUpdateTakesTheRoomOfAnExpiredOne(t *testing.T) {
	inEachWorld(t, func(w *world) {
		old := w.create("owner", "a@x.example", admin, apollo)
		w.clock.Advance(lifetime)
		made := w.create("owner", "b@x.example", admin, apollo)
		w.edit("owner", old.UUID, "email", "c@x.example").is(http.StatusBadRequest, noEditing)
		w.edit("owner", made.UUID, "email", "A@x.example").is(http.StatusOK, "")
		require.Equal(w.t, invitation.Expired, w.stored(old.UUID).StoredState)
		require.Len(w.t, w.notices(old.UUID), 1, "its creator is told")
		w.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "")
		w.create("owner", "A@x.example", admin, apollo)
	})
}

// A new addressee is reminded as the one before was, unless they are told of it within the last day in any case.
func TestANewAddresseeIsReminded(t *testing.T) {
	inEachWorld(t, func(w *world) {
		early, late := w.create("owner", "early@x.example", admin, apollo), w.create("owner", "late@x.example", admin, apollo)
		w.clock.Advance(lifetime - 25*time.Hour)
		w.edit("owner", early.UUID, "email", "new-early@x.example").is(http.StatusOK, "")
		w.clock.Advance(2 * time.Hour)
		w.sweep()
		reminders := w.asked(invitation.NoticeReminder)
		require.Len(w.t, reminders, 2)
		w.edit("owner", late.UUID, "email", "new-late@x.example").is(http.StatusOK, "")
		w.sweep()
		require.Len(w.t, w.asked(invitation.NoticeReminder), 2)
		for _, each := range reminders {
			letter, err := w.service.BeginNotice(w.t.Context(), each)
			require.NoError(w.t, err)
			if each.Invitation == late.UUID {
				require.Nil(w.t, letter, "the earlier address gets nothing more")
				continue
			}
			require.Equal(w.t, "new-early@x.example", letter.To)
			require.NotEqual(w.t, early.UUID, w.linkOf(letter))
			w.do("", w.linkOf(letter), "check").is(http.StatusOK, "")
		}
	})
}

func TestAnUpdateIsAnEvent(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.edit("manager", made.UUID, "email", "b@x.example", "role", member).is(http.StatusOK, "")
		require.Equal(w.t, "manager b@x.example PROJECT.MEMBER pending pending Scheduled", w.value(
			"SELECT user_username || ' ' || email || ' ' || role_name || ' ' || from_state || ' ' || to_state || ' ' || execution_state"+
				" FROM invitation_events WHERE event_type = 'updated'"))
	})
}

// Of many edits at once to one address, one is made; and of many of one invitation each is whole.
func TestOneUpdateToAnAddressWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		var requests, swaps []*http.Request
		var ids []uuid.UUID
		for i := range rivals {
			made := w.create("owner", guest(i)+"@x.example", admin, apollo)
			ids = append(ids, made.UUID)
			requests = append(requests, w.newRequest("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": "one@x.example"}))
		}
		answers := w.race(requests...)
		require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: rivals - 1}, count(answers))
		for _, each := range answers {
			if each.Status != http.StatusOK {
				each.is(http.StatusBadRequest, field("email", msgTwice))
			}
		}
		require.Len(w.t, w.emails("owner", "email_exact=one@x.example"), 1)
		require.Equal(w.t, rivals+1, w.jobs(deliveries))

		// Each wants the place of the next, which is taken: nobody waits for anybody.
		for i, id := range ids {
			swaps = append(swaps, w.newRequest("PATCH", at(id.String()), "owner", map[string]string{
				"email": w.see(ids[(i+1)%len(ids)]).Email,
			}))
		}
		began := time.Now()
		require.Equal(w.t, map[int]int{http.StatusBadRequest: rivals}, count(w.race(swaps...)))
		require.Less(w.t, time.Since(began), 10*time.Second)
	})
}

func TestManyUpdatesOfOneInvitation(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		var requests []*http.Request
		for i := range rivals {
			body := map[string]string{"email": guest(i) + "@x.example", "role": admin}
			if i%2 == 1 {
				body["role"] = member
			}
			requests = append(requests, w.newRequest("PUT", at(made.UUID.String()), "owner", body))
		}
		answers := w.race(requests...)
		require.Equal(w.t, map[int]int{http.StatusOK: rivals}, count(answers))
		last := w.see(made.UUID)
		same := 0
		for _, each := range answers {
			if each.shown() == last {
				same++
			}
		}
		require.LessOrEqual(w.t, same, 1)
		require.Equal(w.t, rivals, w.stored(made.UUID).Delivery)
		require.Len(w.t, w.deliveries(made.UUID), rivals+1)
		_, letter := w.letter(made.UUID)
		require.Equal(w.t, last.Email, letter.To)
		require.Equal(w.t, last.Role, letter.Invitation.RoleUUID)
		number := strings.TrimPrefix(strings.Split(last.Email, "@")[0], "guest")
		require.Equal(w.t, strings.Contains("1357", number), last.Role.String() == member, "half of one and half of another")
	})
}
