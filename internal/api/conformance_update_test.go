package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/gen/server"
	"invited/internal/invitation"
)

// edit sends a PATCH of an invitation. fields has pairs of field and value.
func (e *env) edit(user string, id uuid.UUID, fields ...string) response {
	e.t.Helper()
	body := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i]] = fields[i+1]
	}
	return e.request("PATCH", at(id.String()), user, body)
}

// beginDelivery begins the newest delivery of an invitation.
func (e *env) beginDelivery(id uuid.UUID) (invitation.Deliver, *invitation.Message) {
	e.t.Helper()
	jobs := e.deliveryJobs(id)
	newest := jobs[0]
	for _, each := range jobs {
		if each.Delivery > newest.Delivery {
			newest = each
		}
	}
	message, err := e.service.BeginDelivery(e.context(), newest)
	require.NoError(e.t, err)
	require.NotNil(e.t, message)
	return newest, message
}

// linkUUID returns the uuid in the link of a mail to an invitee.
func (e *env) linkUUID(message *invitation.Message) uuid.UUID {
	e.t.Helper()
	rest, ok := strings.CutPrefix(message.Link, "https://front.example/invitation/")
	require.True(e.t, ok, message.Link)
	link, err := uuid.Parse(strings.TrimSuffix(rest, "/"))
	require.NoError(e.t, err)
	return link
}

func (e *env) finishDelivery(job invitation.Deliver, message *invitation.Message, o invitation.Outcome) {
	e.t.Helper()
	require.NoError(e.t, e.service.FinishDelivery(e.context(), job, message, o))
}

func TestWhoMayUpdate(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(moreRoles)
		made := e.create("staff", "Invitee@University.example", admin, apollo)
		for _, user := range []string{
			"support", "reader", "invitee", // see it
			"member", "sibling", "rival", "stranger",
		} {
			e.edit(user, made.UUID, "email", "evil@x.example").is(http.StatusNotFound, notFound)
			e.request("PUT", at(made.UUID.String()), user, map[string]string{"email": "evil@x.example", "role": manager}).
				is(http.StatusNotFound, notFound)
		}
		require.Equal(e.t, made, e.retrieve(made.UUID))
		for i, user := range []string{"staff", "owner", "manager"} {
			email := strings.Repeat("x", i+1) + "@x.example"
			require.Equal(e.t, email, e.edit(user, made.UUID, "email", email).is(http.StatusOK, "").invitation().Email)
		}
		e.edit("staff", uuid.New(), "email", "a@x.example").is(http.StatusNotFound, notFound)
		e.request("PATCH", at("nonsense"), "staff", map[string]string{}).is(http.StatusNotFound, notFound)

		e.applyReplaced(apolloUUID, apolloRemoved)
		for _, user := range []string{"staff", "owner", "manager"} {
			e.edit(user, made.UUID, "email", "a@x.example").is(http.StatusNotFound, notFound)
		}
	})
}

// Others can't change what staff approved.
func TestOnlyStaffUpdateWhereOnlyStaffInvite(t *testing.T) {
	onEachEngine(t, func(e *env) {
		all := oneInEachState(e)
		for state, id := range all {
			before := e.retrieve(id)
			e.edit("owner", id, "email", "evil@x.example").is(http.StatusForbidden, forbidden)
			e.edit("owner", id).is(http.StatusForbidden, forbidden)
			e.edit("rival", id, "email", "evil@x.example").is(http.StatusNotFound, notFound)
			require.Equal(e.t, before, e.retrieve(id), state)
			answer := e.edit("staff", id, "email", "new@x.example")
			if state == "pending" || state == "project" {
				require.Equal(e.t, "new@x.example", answer.is(http.StatusOK, "").invitation().Email)
			} else {
				answer.is(http.StatusBadRequest, editError)
				require.Equal(e.t, before, e.retrieve(id), state)
			}
		}
	}, onlyStaff)
}

func TestUpdateReturnsInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo, "full_name", "A", "civil_number", "1")
		e.clock.Advance(time.Hour)
		want := made
		want.Email, want.Role, want.RoleName, want.RoleDescription = "B@x.example", uuid.MustParse(manager), "PROJECT.MANAGER", "Project manager"
		put := e.request("PUT", at(made.UUID.String()), "manager", map[string]any{
			"email": " B@x.example ", "role": manager, "full_name": "Evil", "civil_number": "2", "state": "accepted", "scope": scopeURL(hydra),
			"created": "2001-01-01T00:00:00Z", "unknown": []int{1},
		}).is(http.StatusOK, "")
		require.Equal(e.t, want, put.invitation(), "created, expires, creator and the other fields are unchanged")
		require.Equal(e.t, want, e.retrieve(made.UUID))

		put = e.request("PUT", at(made.UUID.String()), "owner", map[string]string{"email": "B@x.example"})
		require.Equal(e.t, "PROJECT.MANAGER", put.is(http.StatusOK, "").invitation().RoleName, "a role that is left out stays")
		e.request("PUT", at(made.UUID.String()), "owner", nil).is(http.StatusBadRequest, fieldError("email", msgRequired))
		e.edit("owner", made.UUID, "email", "x", "role", "y").
			is(http.StatusBadRequest, `{"email": ["`+msgBadEmail+`"], "role": ["Object with uuid=y does not exist."]}`)
		e.request("PATCH", at(made.UUID.String()), "owner", `{"email": null}`).
			is(http.StatusBadRequest, fieldError("email", "This field may not be null."))
		// The names of fields are case-sensitive.
		require.Equal(e.t, want, e.request("PATCH", at(made.UUID.String()), "owner", `{"Email": "evil@x.example", "ROLE": 5}`).is(http.StatusOK, "").invitation())
	})
}

// An update that changes nothing adds no event and no delivery, and checks no rule.
func TestUpdateWithoutChange(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.applyReplaced(adminRole, adminRoleInactive)
		done := e.expectNoChange()
		require.Equal(e.t, made, e.edit("owner", made.UUID).is(http.StatusOK, "").invitation())
		require.Equal(e.t, made, e.edit("owner", made.UUID, "email", "a@x.example", "role", admin).is(http.StatusOK, "").invitation())
		done()
		require.Equal(e.t, "1", e.value("SELECT CAST(count(*) AS TEXT) FROM invitation_events"))
		require.Len(e.t, e.deliveryJobs(made.UUID), 1)
	})
}

// Addresses compare without case: the link stays, and nothing is delivered again.
func TestUpdateOfEmailCaseOnly(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		_, first := e.beginDelivery(made.UUID)
		require.Equal(e.t, "A@X.example", e.edit("owner", made.UUID, "email", "A@X.example").is(http.StatusOK, "").invitation().Email)
		require.Len(e.t, e.deliveryJobs(made.UUID), 1)
		require.Equal(e.t, made.UUID, e.linkUUID(first))
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestUpdateOfEmailDeliversAgain(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		oldJob, oldMessage := e.beginDelivery(made.UUID)
		e.finishDelivery(oldJob, oldMessage, invitation.Outcome{Failed: true, Reason: "No such mailbox."})
		require.Equal(e.t, "Erred", string(e.retrieve(made.UUID).ExecutionState))

		edited := e.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "").invitation()
		require.Equal(e.t, []string{"pending", "Scheduled", ""},
			[]string{string(edited.State), string(edited.ExecutionState), edited.ErrorMessage})
		require.Equal(e.t, []string{made.Created, made.Expires}, []string{edited.Created, edited.Expires})
		require.Len(e.t, e.deliveryJobs(made.UUID), 2)

		again, err := e.service.BeginDelivery(e.context(), oldJob) // the queue tries it again
		require.NoError(e.t, err)
		require.Nil(e.t, again, "nothing more is sent to the old address")
		job, message := e.beginDelivery(made.UUID)
		require.Equal(e.t, "b@x.example", message.To)
		require.Equal(e.t, made.UUID.String()+".1", message.ID)
		require.NotEqual(e.t, oldMessage.ID, message.ID)
		e.finishDelivery(job, message, invitation.Outcome{})
		require.Equal(e.t, "OK", string(e.retrieve(made.UUID).ExecutionState))
	})
}

// The result of a delivery to the old address does not change the state of the delivery to the new one.
func TestUpdateDuringDelivery(t *testing.T) {
	for _, outcome := range []invitation.Outcome{{}, {Failed: true, Reason: "No such mailbox."}} {
		t.Run(outcome.Reason, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				made := e.create("owner", "a@x.example", admin, apollo)
				job, message := e.beginDelivery(made.UUID)
				edited := e.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "").invitation()
				e.finishDelivery(job, message, outcome)
				require.Equal(e.t, edited, e.retrieve(made.UUID), "still scheduled")
				require.Equal(e.t, "a@x.example", e.value("SELECT recipient FROM invitation_events WHERE event_type LIKE 'deliver%'"))

				// An update of the role only keeps the delivery.
				job, message = e.beginDelivery(made.UUID)
				e.edit("owner", made.UUID, "role", manager).is(http.StatusOK, "")
				e.finishDelivery(job, message, outcome)
				seen := e.retrieve(made.UUID)
				require.Equal(e.t, outcome.Reason, seen.ErrorMessage)
				require.Equal(e.t, manager, seen.Role.String())
				require.Equal(e.t, either(outcome.Failed, 1, 0), strings.Count(string(seen.ExecutionState), "Erred"))
			})
		})
	}
}

// The link that was mailed to the old address shows neither the new address nor the details, and can't be accepted. The
// new link can, and so can the owner of the new address by the uuid.
func TestUpdateOfEmailEndsTheOldLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(guests(4))
		made := e.create("owner", "guest0@acme.example", admin, apollo)
		_, message := e.beginDelivery(made.UUID)
		old := e.linkUUID(message)
		require.Equal(e.t, made.UUID, old)
		link := old
		for _, email := range []string{"guest1@acme.example", "guest0@acme.example", "guest2@acme.example"} {
			dead := []uuid.UUID{link}
			edited := e.edit("owner", made.UUID, "email", email).is(http.StatusOK, "")
			_, message = e.beginDelivery(made.UUID)
			link = e.linkUUID(message)
			require.NotContains(e.t, dead, link)
			for _, each := range []response{edited, e.request("GET", at(made.UUID.String()), "staff", nil), e.request("GET", base, "owner", nil)} {
				require.NotContains(e.t, each.Body, link.String())
			}
			require.Equal(e.t, email, e.do("", link, "check").is(http.StatusOK, "").checkedEmail())
			for _, each := range append(dead, old) {
				e.do("", each, "check").is(http.StatusNotFound, notFound)
			}
			for _, user := range []string{"stranger", "guest3", "invitee"} {
				for _, each := range append(dead, old) {
					e.do(user, each, "accept").is(http.StatusNotFound, notFound)
					require.False(e.t, e.seesDetails(user, each))
				}
				require.True(e.t, e.seesDetails(user, link))
			}
		}
		// The invitation is for guest2 now. It was for guest0 twice.
		for _, user := range []string{"guest0", "guest1"} {
			e.do(user, old, "accept").is(http.StatusNotFound, notFound)
			require.False(e.t, e.seesDetails(user, old))
			require.Empty(e.t, e.emails(user, ""))
			e.request("GET", at(old.String()), user, nil).is(http.StatusNotFound, notFound)
		}
		require.True(e.t, e.seesDetails("guest2", old), "it is in the list of guest2")
		for _, user := range []string{"staff", "support", "owner", "manager", "member"} { // see the details for other reasons
			require.True(e.t, e.seesDetails(user, old), user)
		}
		// The uuid of the link works only for what an invitee does.
		e.request("GET", at(link.String()), "staff", nil).is(http.StatusNotFound, notFound)
		for _, action := range []string{"cancel", "send", "delete"} {
			e.do("staff", link, action).is(http.StatusNotFound, notFound)
		}
		e.edit("staff", link, "email", "x@x.example").is(http.StatusNotFound, notFound)
		e.request("DELETE", at(link.String()), "staff", nil).is(http.StatusNotFound, notFound)

		// Sending and reopening keep the link.
		e.do("owner", made.UUID, "cancel").is(http.StatusOK, canceledBody)
		e.do("", link, "check").is(http.StatusNotFound, notFound)
		e.do("owner", made.UUID, "send").is(http.StatusOK, sentBody)
		_, message = e.beginDelivery(made.UUID)
		require.Equal(e.t, link, e.linkUUID(message))
		e.do("stranger", old, "accept").is(http.StatusNotFound, notFound)
		e.do("stranger", link, "accept").is(http.StatusOK, acceptedBody)
		require.Equal(e.t, "accepted", e.state(made.UUID))
		e.do("guest2", link, "accept").is(http.StatusNotFound, notFound)
	})
}

// An accept that waits for the row's lock while the link changes is a 404.
func TestAcceptWaitsForLinkChange(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "")
		_, message := e.beginDelivery(made.UUID)
		accepting := e.newRequest("POST", at(e.linkUUID(message).String(), "accept"), "stranger", nil)
		accepted := make(chan response, 1)
		require.NoError(e.t, e.db.Write(e.context(), func(tx *gorm.DB, _ time.Time) error {
			err := tx.Exec("UPDATE invitations SET email = ?, email_folded = ?, link_uuid = ? WHERE uuid = ?",
				"c@x.example", "c@x.example", uuid.New(), made.UUID).Error
			go func() {
				defer close(accepted)
				accepted <- e.sendAtOnce(accepting)[0]
			}()
			select {
			case answer := <-accepted:
				return fmt.Errorf("the accept did not wait: %d %s", answer.Status, answer.Body)
			case <-time.After(200 * time.Millisecond):
			}
			return err
		}))
		answer, ok := <-accepted // sendAtOnce has a time limit
		require.True(e.t, ok, "the accept failed")
		answer.is(http.StatusNotFound, notFound)
		require.Equal(e.t, "pending", e.state(made.UUID))
	})
}

func (r response) checkedEmail() string {
	r.t.Helper()
	var seen server.InvitationCheck
	r.decode(&seen)
	return seen.Email
}

func TestOwnerOfNewEmailAcceptsByUUID(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.edit("owner", made.UUID, "email", "invitee@UNIVERSITY.example").is(http.StatusOK, "")
		require.Equal(e.t, []string{"invitee@UNIVERSITY.example"}, e.emails("invitee", ""))
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestNewLinkWithEmailValidation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo, "civil_number", "1234")
		e.edit("owner", made.UUID, "email", "Invitee@university.example").is(http.StatusOK, "")
		_, message := e.beginDelivery(made.UUID)
		e.do("stranger", e.linkUUID(message), "accept").is(http.StatusNotFound, notFound)
		require.JSONEq(e.t, `{"email": "Invitee@university.example", "civil_number_required": true}`, e.do("", e.linkUUID(message), "check").Body)
		e.do("invitee", e.linkUUID(message), "accept").is(http.StatusOK, acceptedBody)
	}, validateEmail)
}

// An update of the role sends no mail. Details and accept have the new role.
func TestUpdateOfRoleKeepsTheLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		job, message := e.beginDelivery(made.UUID)
		e.finishDelivery(job, message, invitation.Outcome{})
		edited := e.edit("owner", made.UUID, "role", member).is(http.StatusOK, "").invitation()
		require.Equal(e.t, "OK", string(edited.ExecutionState))
		require.Len(e.t, e.deliveryJobs(made.UUID), 1)
		var seen server.VisibleInvitationDetails
		e.request("GET", at(made.UUID.String(), "details"), "stranger", nil).is(http.StatusOK, "").decode(&seen)
		require.Equal(e.t, "PROJECT.MEMBER", seen.RoleName)
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
		require.Equal(e.t, member, e.value("SELECT role_uuid FROM memberships WHERE user_uuid = '"+e.userID("stranger").String()+"'"))
	})
}

// An invitation that waits for its project is delivered to the new address when the project starts.
func TestUpdateBeforeProjectStart(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, artemis)
		edited := e.edit("owner", made.UUID, "email", "b@x.example", "role", member).is(http.StatusOK, "").invitation()
		require.Equal(e.t, "project", string(edited.State))
		require.Empty(e.t, e.deliveryJobs(made.UUID))
		e.clock.Advance(artemisStarts)
		e.sweep()
		_, message := e.beginDelivery(made.UUID)
		require.Equal(e.t, "b@x.example", message.To)
		require.Equal(e.t, "PROJECT.MEMBER", message.Invitation.Role.Name)
		e.do("", made.UUID, "check").is(http.StatusNotFound, notFound)
		e.do("stranger", e.linkUUID(message), "accept").is(http.StatusOK, acceptedBody)
	})
}

func TestUpdateChecks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@acme.example", admin, strict)
		e.create("owner", "b@acme.example", admin, strict)
		e.create("owner", "a@acme.example", member, strict)
		done := e.expectNoChange()
		for _, each := range []struct {
			body string
			want string
		}{
			{`{"email": "B@acme.example"}`, fieldError("email", msgDuplicate)},
			{`{"role": "` + member + `"}`, fieldError("email", msgDuplicate)},
			{`{"email": "c@x.example"}`, fieldError("email", msgPatterns)},
			{`{"role": "` + seller + `"}`, fieldError("role", "Cannot change role type from project to offering. Role must remain within the same scope type.")},
			{`{"role": "` + owner + `"}`, fieldError("role", "Cannot change role type from project to customer. Role must remain within the same scope type.")},
			{`{"role": "` + retired + `"}`, fieldError("non_field_errors", msgRole)},
			{`{"role": "` + acme + `"}`, fieldError("role", "Object with uuid="+acme+" does not exist.")},
			{
				`{"role": "` + acme + `", "email": "c@x.example"}`,
				`{"role": ["Object with uuid=` + acme + ` does not exist."], "email": ["` + msgPatterns + `"]}`,
			},
		} {
			e.request("PATCH", at(made.UUID.String()), "owner", each.body).is(http.StatusBadRequest, each.want)
		}
		done()

		// An invitation with a role that is no longer active can't get a new address.
		e.applyReplaced(adminRole, adminRoleInactive)
		e.edit("owner", made.UUID, "email", "c@acme.example").is(http.StatusBadRequest, fieldError("non_field_errors", msgRole))
		e.edit("owner", made.UUID, "email", "c@acme.example", "role", manager).is(http.StatusOK, "")
	})
}

func TestUpdateWithOneProjectManager(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.edit("owner", made.UUID, "role", manager).is(http.StatusBadRequest, fieldError("non_field_errors", msgManager))
		made = e.create("owner", "a@acme.example", admin, strict)
		e.edit("owner", made.UUID, "role", manager).is(http.StatusOK, "")
	}, oneManager)
}

// An expired invitation is no duplicate, even where no sweep has stored that, and can't be updated.
func TestUpdateAfterExpiredInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		old := e.create("owner", "a@x.example", admin, apollo)
		e.clock.Advance(lifetime)
		made := e.create("owner", "b@x.example", admin, apollo)
		e.edit("owner", old.UUID, "email", "c@x.example").is(http.StatusBadRequest, editError)
		e.edit("owner", made.UUID, "email", "A@x.example").is(http.StatusOK, "")
		require.Equal(e.t, invitation.Expired, e.stored(old.UUID).StoredState)
		require.Len(e.t, e.noticeJobs(old.UUID), 1, "its creator is notified")
		e.edit("owner", made.UUID, "email", "b@x.example").is(http.StatusOK, "")
		e.create("owner", "A@x.example", admin, apollo)
	})
}

// A new addressee gets a reminder like the old one, unless the invitation is delivered within its last day anyway.
func TestUpdateAndReminder(t *testing.T) {
	onEachEngine(t, func(e *env) {
		early, late := e.create("owner", "early@x.example", admin, apollo), e.create("owner", "late@x.example", admin, apollo)
		e.clock.Advance(lifetime - 25*time.Hour)
		e.edit("owner", early.UUID, "email", "new-early@x.example").is(http.StatusOK, "")
		e.clock.Advance(2 * time.Hour)
		e.sweep()
		reminders := e.noticeJobsOf(invitation.NoticeReminder)
		require.Len(e.t, reminders, 2)
		e.edit("owner", late.UUID, "email", "new-late@x.example").is(http.StatusOK, "")
		e.sweep()
		require.Len(e.t, e.noticeJobsOf(invitation.NoticeReminder), 2)
		for _, each := range reminders {
			message, _, err := e.service.BeginNotice(e.context(), each)
			require.NoError(e.t, err)
			if each.Invitation == late.UUID {
				require.Nil(e.t, message, "nothing more is sent to the old address")
				continue
			}
			require.Equal(e.t, "new-early@x.example", message.To)
			require.NotEqual(e.t, early.UUID, e.linkUUID(message))
			e.do("", e.linkUUID(message), "check").is(http.StatusOK, "")
		}
	})
}

func TestUpdateAddsEvent(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.edit("manager", made.UUID, "email", "b@x.example", "role", member).is(http.StatusOK, "")
		require.Equal(e.t, "manager b@x.example PROJECT.MEMBER pending pending Scheduled", e.value(
			"SELECT user_username || ' ' || email || ' ' || role_name || ' ' || from_state || ' ' || to_state || ' ' || execution_state"+
				" FROM invitation_events WHERE event_type = 'updated'"))
	})
}

// Of concurrent updates of several invitations to one address, one succeeds.
func TestConcurrentUpdatesToOneAddress(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var requests, swaps []*http.Request
		var ids []uuid.UUID
		for i := range raceSize {
			made := e.create("owner", guestName(i)+"@x.example", admin, apollo)
			ids = append(ids, made.UUID)
			requests = append(requests, e.newRequest("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": "one@x.example"}))
		}
		answers := e.sendAtOnce(requests...)
		require.Equal(e.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: raceSize - 1}, countStatuses(answers))
		for _, each := range answers {
			if each.Status != http.StatusOK {
				each.is(http.StatusBadRequest, fieldError("email", msgDuplicate))
			}
		}
		require.Len(e.t, e.emails("owner", "email_exact=one@x.example"), 1)
		require.Equal(e.t, raceSize+1, e.countJobs(deliverKind))

		// Each takes the address of the next one, which is a duplicate. They do not wait for each other.
		for i, id := range ids {
			swaps = append(swaps, e.newRequest("PATCH", at(id.String()), "owner", map[string]string{
				"email": e.retrieve(ids[(i+1)%len(ids)]).Email,
			}))
		}
		began := time.Now()
		require.Equal(e.t, map[int]int{http.StatusBadRequest: raceSize}, countStatuses(e.sendAtOnce(swaps...)))
		require.Less(e.t, time.Since(began), 10*time.Second)
	})
}

func TestConcurrentUpdatesOfOneInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		var requests []*http.Request
		for i := range raceSize {
			body := map[string]string{"email": guestName(i) + "@x.example", "role": admin}
			if i%2 == 1 {
				body["role"] = member
			}
			requests = append(requests, e.newRequest("PUT", at(made.UUID.String()), "owner", body))
		}
		answers := e.sendAtOnce(requests...)
		require.Equal(e.t, map[int]int{http.StatusOK: raceSize}, countStatuses(answers))
		last := e.retrieve(made.UUID)
		same := 0
		for _, each := range answers {
			if each.invitation() == last {
				same++
			}
		}
		require.LessOrEqual(e.t, same, 1)
		require.Equal(e.t, raceSize, e.stored(made.UUID).Delivery)
		require.Len(e.t, e.deliveryJobs(made.UUID), raceSize+1)
		_, message := e.beginDelivery(made.UUID)
		require.Equal(e.t, last.Email, message.To)
		require.Equal(e.t, last.Role, message.Invitation.RoleUUID)
		number := strings.TrimPrefix(strings.Split(last.Email, "@")[0], "guest")
		require.Equal(e.t, strings.Contains("1357", number), last.Role.String() == member, "the address and the role are of different updates")
	})
}
