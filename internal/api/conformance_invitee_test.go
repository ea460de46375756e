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
	"invited/internal/token"
)

// A decline is told to the inviter ten minutes later, with the reason, and stands on the invitation and its event.
func TestDecline(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "Invitee@University.example", admin, apollo)
		require.Nil(e.t, made.DeclinedAt)
		e.request("POST", at(made.UUID.String(), "decline"), "invitee", map[string]string{"reason": " \n<b>No</b> time.\nSorry. \n"}).is(200, "")
		seen := e.retrieve(made.UUID)
		require.EqualValues(e.t, "canceled", seen.State)
		require.Equal(e.t, formatTime(e.clock.Now()), *seen.DeclinedAt)
		require.Equal(e.t, "<b>No</b> time.\nSorry.", seen.DeclineReason)
		events := e.events(made.UUID)
		require.Equal(e.t, "<b>No</b> time.\nSorry.", *events[1].Reason)
		require.Empty(e.t, *events[0].Reason)
		require.Equal(e.t, []invitation.Notify{{
			Notice: invitation.NoticeDeclined, Invitation: made.UUID, User: e.userID("owner"), DeclinedAt: e.clock.Now().UTC(),
		}}, e.noticeJobs(made.UUID))

		// The invitee and the inviter see it; a stranger with the link sees as much of it as of any canceled invitation.
		var details server.VisibleInvitationDetails
		e.request("GET", at(made.UUID.String(), "details"), "invitee", nil).is(200, "").decode(&details)
		require.Equal(e.t, seen.DeclinedAt, details.DeclinedAt)
		e.do("stranger", made.UUID, "accept").is(404, notFound)
		e.do("stranger", made.UUID, "undo-decline").is(404, notFound)

		// Who sends it again takes the decline off.
		e.do("owner", made.UUID, "send").is(200, "")
		require.Nil(e.t, e.retrieve(made.UUID).DeclinedAt)
		require.Empty(e.t, e.retrieve(made.UUID).DeclineReason)
		e.do("invitee", made.UUID, "undo-decline").is(404, notFound)
	})
}

// Bodies are as liberal as the reason is optional, and no longer than the contract says.
// A decline can be undone once: each undo is an event, and an invitee must not make any number of them.
func TestDeclineIsUndoneOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "invitee@university.example", admin, apollo)
		deliver := func() int { return len(e.deliveryJobs(made.UUID)) }
		e.exec("UPDATE invitations SET execution_state = 'OK'")
		e.do("invitee", made.UUID, "decline").is(200, "")
		e.do("invitee", made.UUID, "undo-decline").is(200, "")
		require.Equal(e.t, 1, deliver(), "the invitee has the mail")
		e.do("invitee", made.UUID, "decline").is(200, "")
		e.do("invitee", made.UUID, "undo-decline").is(400, ruleError("A decline can be undone once. Ask for another invitation."))
		require.Equal(e.t, "canceled", e.state(made.UUID))

		// Sent again, the invitation has a new life. What was not delivered before the decline is delivered after its undo.
		e.clock.Advance(time.Second)
		e.do("owner", made.UUID, "send").is(200, "")
		e.do("invitee", made.UUID, "decline").is(200, "")
		require.Equal(e.t, 2, deliver())
		e.do("invitee", made.UUID, "undo-decline").is(200, "")
		require.Equal(e.t, 3, deliver())
		require.EqualValues(e.t, "Scheduled", e.retrieve(made.UUID).ExecutionState)
	})
}

func TestReasonsInBodies(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, body := range []any{nil, "", "{}", `{"reason": ""}`, `{"reason": "\u0009 "}`, `{"other": 1}`} {
			made := e.create("owner", "invitee@university.example", admin, apollo)
			e.request("POST", at(made.UUID.String(), "decline"), "invitee", body).is(200, "")
		}
		made := e.create("owner", "invitee@university.example", admin, apollo)
		for body, want := range map[string]string{
			`{"reason": "` + strings.Repeat("x", 1001) + `"}`: "no more than 1000 characters",
			`{"reason": "a\u0000b"}`:                          "reason",
			`{"reason": {"a": 1}}`:                            "reason",
			`{"reason": ["a"]}`:                               "reason",
			`{"reason": null}`:                                "reason",
			`{`:                                               "JSON parse error",
		} {
			answer := e.request("POST", at(made.UUID.String(), "decline"), "invitee", body)
			require.Equal(e.t, http.StatusBadRequest, answer.Status, "%s: %s", body, answer.Body)
			require.Contains(e.t, answer.Body, want)
		}
		e.request("POST", at(made.UUID.String(), "decline"), "invitee", `{"reason": "`+strings.Repeat(" ", 16<<10)+`"}`).is(413, "")
		require.Equal(e.t, made, e.retrieve(made.UUID))
	})
}

// Where the address or the civil number is another one, nobody declines, whatever they may accept.
func TestDeclineForSomebodyElse(t *testing.T) {
	onEachEngine(t, func(e *env) {
		numbered := e.request("POST", base, "owner", map[string]string{
			"email": "invitee@university.example", "role": admin, "scope": scopeURL(apollo), "civil_number": "another",
		}).is(201, "").invitation()
		e.do("invitee", numbered.UUID, "decline").is(404, notFound)
		other := e.create("owner", "somebody@else.example", admin, apollo)
		for _, user := range []string{"invitee", "stranger", "owner", "staff", "support"} {
			e.do(user, other.UUID, "decline").is(404, notFound)
		}
		require.Equal(e.t, "pending", e.state(other.UUID))
		e.do("stranger", other.UUID, "accept").is(200, "")
	})
}

// A manager's cancel is not the invitee's to undo.
func TestUndoOfACancel(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "invitee@university.example", admin, apollo)
		e.do("invitee", made.UUID, "decline").is(200, "")
		e.do("invitee", made.UUID, "undo-decline").is(200, "")
		e.do("owner", made.UUID, "cancel").is(200, "")
		e.do("invitee", made.UUID, "undo-decline").is(404, notFound)
		require.Equal(e.t, "canceled", e.state(made.UUID))
		require.Nil(e.t, e.retrieve(made.UUID).DeclinedAt)
	})
}

// The inviter is asked for a new invitation; staff are where the inviter can't send it.
func TestAskAgain(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ask := func(change func()) []invitation.Notify {
			made := e.create("owner", "invitee@university.example", admin, apollo)
			e.clock.Advance(lifetime)
			if change != nil {
				change()
			}
			e.do("invitee", made.UUID, "ask-again").is(200, "")
			answer := e.do("invitee", made.UUID, "ask-again")
			require.Equal(e.t, http.StatusTooManyRequests, answer.Status)
			require.Equal(e.t, "86400", answer.Header.Get("Retry-After"))
			lines := eventLines(e.events(made.UUID))
			require.True(e.t, strings.HasPrefix(lines[1], "expired pending expired  "), lines)
			require.True(e.t, strings.HasPrefix(lines[2], "renewal_asked expired expired invitee "), lines)
			require.Len(e.t, lines, 3)
			return e.noticeJobs(made.UUID)
		}
		notice := invitation.Notify{Notice: invitation.NoticeRenewalAsked, Asker: e.userID("invitee")}
		jobs := ask(nil)
		notice.Invitation, notice.User = jobs[0].Invitation, e.userID("owner")
		require.Equal(e.t, []invitation.Notify{notice}, jobs)
		for _, change := range []func(){
			func() { e.apply("users: [{username: owner, is_active: false}]") },
			func() { e.apply("users: [{username: owner, is_active: true, email: ''}]") },
			func() {
				e.apply("users: [{username: owner, email: owner@acme.example}]\nroles: [{name: CUSTOMER.OWNER, scope_type: customer, permissions: []}]")
			},
		} {
			e.applyReplaced()
			jobs := ask(change)
			require.NotEmpty(e.t, jobs)
			for _, job := range jobs {
				require.Equal(e.t, invitation.NoticeRenewalAsked, job.Notice)
				require.NotEqual(e.t, e.userID("owner"), job.User)
			}
		}
	})
}

// A stranger hears the same of an expired invitation that is not meant for them as of none.
func TestAskAgainIsNoOracle(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "somebody@else.example", admin, apollo)
		e.clock.Advance(lifetime)
		done := e.expectNoChange()
		unknown := e.do("stranger", uuid.New(), "ask-again").is(404, notFound)
		require.Equal(e.t, unknown.Body, e.do("stranger", made.UUID, "ask-again").is(404, notFound).Body)
		done()
	}, validateEmail)
}

// Staff decide about a request without a token, with a reason, and once.
func TestReviewSignedIn(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		for user, status := range map[string]int{"owner": 403, "support": 403, "stranger": 404, "invitee": 404, "": 401} {
			e.do(user, made.UUID, "approve-request").is(status, "")
			e.do(user, made.UUID, "reject-request").is(status, "")
		}
		e.do("staff", made.UUID, "approve-request").is(200, approvedBody)
		require.Len(e.t, e.deliveryJobs(made.UUID), 1)
		e.decide("reject", e.sign(token.Reject, e.userID("staff"), made.UUID)).is(400, "")
		e.do("staff", made.UUID, "reject-request").is(400, reviewError)

		for _, reject := range []func(id uuid.UUID) response{
			func(id uuid.UUID) response {
				return e.request("POST", at(id.String(), "reject-request"), "staff", map[string]string{"reason": "\nNo room. "})
			},
			func(id uuid.UUID) response {
				return e.request("POST", base+"reject/", "", map[string]string{
					"reason": "\nNo room. ", "token": e.sign(token.Reject, e.userID("staff"), id),
				})
			},
		} {
			other := e.create("owner", "b@x.example", admin, apollo)
			reject(other.UUID).is(200, rejectedBody)
			events := e.events(other.UUID)
			require.Equal(e.t, "No room.", *events[len(events)-1].Reason)
			require.Equal(e.t, "rejected", e.state(other.UUID))
		}
	}, onlyStaff)
}

// Of decisions at the same time, by token and signed in, one wins.
func TestConcurrentReviews(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for round := range rounds {
			made := e.create("owner", strings.Repeat("a", round+1)+"@x.example", admin, apollo)
			staff := e.userID("staff")
			answers := e.sendAtOnce(
				e.newRequest("POST", at(made.UUID.String(), "approve-request"), "staff", nil),
				e.newRequest("POST", at(made.UUID.String(), "reject-request"), "staff", nil),
				e.newRequest("POST", base+"approve/", "", map[string]string{"token": e.sign(token.Approve, staff, made.UUID)}),
				e.newRequest("POST", base+"reject/", "", map[string]string{"token": e.sign(token.Reject, staff, made.UUID)}),
			)
			won := 0
			for _, each := range answers {
				if each.Status == 200 {
					won++
				} else {
					require.Equal(e.t, 400, each.Status, each.Body)
				}
			}
			require.Equal(e.t, 1, won)
			require.Len(e.t, e.events(made.UUID), 2)
		}
	}, onlyStaff)
}

// Of an accept and a decline at the same time one wins; so do one undo and one create of another invitation.
func TestConcurrentDeclines(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for range rounds {
			made := e.create("owner", "invitee@university.example", member, apollo)
			id := made.UUID.String()
			answers := e.sendAtOnce(
				e.newRequest("POST", at(id, "decline"), "invitee", nil), e.newRequest("POST", at(id, "decline"), "invitee", nil),
				e.acceptRequest(made.UUID, "stranger"),
			)
			won := 0
			for _, each := range answers {
				if each.Status == 200 {
					won++
				} else {
					require.Equal(e.t, 404, each.Status, each.Body)
				}
			}
			require.Equal(e.t, 1, won)
			if e.state(made.UUID) != "canceled" {
				e.exec("DELETE FROM memberships WHERE user_uuid = '" + e.userID("stranger").String() + "'")
				continue
			}
			answers = e.sendAtOnce(
				e.newRequest("POST", at(id, "undo-decline"), "invitee", nil),
				e.newRequest("POST", base, "owner", draft("invitee@university.example", member, apollo)),
			)
			require.NotEqual(e.t, answers[0].Status == 200, answers[1].Status == 201, "%s %s", answers[0].Body, answers[1].Body)
			e.exec("DELETE FROM invitations")
		}
	})
}

// Of several who ask for a new invitation at the same time one is told yes, and one mail goes out.
func TestConcurrentAsks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "invitee@university.example", admin, apollo)
		e.clock.Advance(lifetime)
		var all []*http.Request
		for range 8 {
			all = append(all, e.newRequest("POST", at(made.UUID.String(), "ask-again"), "invitee", nil))
		}
		counts := map[int]int{}
		for _, each := range e.sendAtOnce(all...) {
			counts[each.Status]++
		}
		require.Equal(e.t, map[int]int{200: 1, 429: 7}, counts)
		require.Len(e.t, e.noticeJobs(made.UUID), 1)
	})
}

// The link is for whoever may manage the invitation and, under the role ceiling, may offer its role.
func TestLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "invitee@university.example", admin, apollo)
		link := e.stored(made.UUID).LinkUUID.String()
		answer := e.request("GET", at(made.UUID.String(), "link"), "owner", nil)
		answer.is(200, `{"uuid": "`+link+`", "url": "https://front.example/invitation/`+link+`/"}`)
		for _, user := range []string{"reader", "support"} {
			require.NotContains(e.t, e.request("GET", base, user, nil).is(200, "").Body, link)
			e.request("GET", at(made.UUID.String(), "link"), user, nil).is(404, notFound)
		}
		e.request("GET", at(link, "link"), "owner", nil).is(404, notFound)
		e.clock.Advance(time.Minute)
		e.request("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": "other@university.example"}).is(200, "")
		require.NotContains(e.t, e.request("GET", at(made.UUID.String(), "link"), "owner", nil).is(200, "").Body, link)
	}, func(p *invitation.Policy) { p.LinkSecret = true })
}
