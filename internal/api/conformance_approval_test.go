package api_test

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

var (
	approvedBody = detailBody("Invitation has been approved.")
	rejectedBody = detailBody("Invitation has been rejected.")
)

type decision struct {
	action  string
	purpose token.Purpose
	done    string // the body of the response
}

// decisions are the two actions that take an approval token.
var decisions = []decision{{"approve", token.Approve, approvedBody}, {"reject", token.Reject, rejectedBody}}

// onEachDecision runs a test for both actions on both engines, where staff approve the invitations of others.
func onEachDecision(t *testing.T, test func(e *env, d decision)) {
	t.Helper()
	for _, d := range decisions {
		t.Run(d.action, func(t *testing.T) { onEachEngine(t, func(e *env) { test(e, d) }, onlyStaff) })
	}
}

func TestApprove(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), made.UUID)).is(http.StatusOK, approvedBody)
		seen := e.retrieve(made.UUID)
		require.Equal(e.t, "pending", string(seen.State))
		require.Equal(e.t, "owner", seen.CreatedByUsername)
		require.Len(e.t, e.deliveryJobs(made.UUID), 1)
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	}, onlyStaff)
}

func TestApproveBeforeProjectStart(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, artemis)
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), made.UUID)).is(http.StatusOK, approvedBody)
		require.Equal(e.t, "project", e.state(made.UUID))
		require.Empty(e.t, e.deliveryJobs(made.UUID))
	}, onlyStaff)
}

func TestRejectNotifiesCreator(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		asked := e.noticeJobs(made.UUID)
		e.decide("reject", e.sign(token.Reject, e.userID("staff"), made.UUID)).is(http.StatusOK, rejectedBody)
		require.Equal(e.t, "rejected", e.state(made.UUID))
		require.Empty(e.t, e.deliveryJobs(made.UUID))
		require.ElementsMatch(e.t, append(asked, invitation.Notify{
			Notice: invitation.NoticeRejected, Invitation: made.UUID, User: e.userID("owner"),
		}), e.noticeJobs(made.UUID))
		e.do("stranger", made.UUID, "accept").is(http.StatusNotFound, notFound)
	}, onlyStaff)
}

func TestRejectWithRemovedCreator(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.deleteOwner()
		asked := e.noticeJobs(made.UUID)
		e.decide("reject", e.sign(token.Reject, e.userID("staff"), made.UUID)).is(http.StatusOK, rejectedBody)
		require.Equal(e.t, "rejected", e.state(made.UUID))
		require.Equal(e.t, asked, e.noticeJobs(made.UUID))
	}, onlyStaff)
}

func TestTokenIsForOneAction(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made, staff := e.create("owner", "a@x.example", admin, apollo), e.userID("staff")
		e.decide("approve", e.sign(token.Reject, staff, made.UUID)).is(http.StatusBadRequest, ruleError(msgPayload))
		e.decide("reject", e.sign(token.Approve, staff, made.UUID)).is(http.StatusBadRequest, ruleError(msgPayload))
		e.decide("reject", e.sign(7, staff, made.UUID)).is(http.StatusBadRequest, ruleError(msgPayload))
		require.Equal(e.t, "requested", e.state(made.UUID))
	}, onlyStaff)
}

func TestInvalidTokens(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(`users: [{username: keen, email: keen@example.com, is_staff: true}]`)
		made := e.create("owner", "a@x.example", admin, apollo)
		pending := e.create("staff", "b@x.example", admin, apollo)
		for _, each := range decisions {
			e.run(each.action, func(e *env) {
				refused := func(message, text string) {
					e.t.Helper()
					e.decide(each.action, text).is(http.StatusBadRequest, ruleError(message))
				}
				staff := e.userID("staff")
				good := e.sign(each.purpose, staff, made.UUID)
				for _, text := range []string{
					"nonsense", "v1.", "..", " ", good + "x", good[1:], good[:len(good)-1], " " + good, good + "=",
					strings.Replace(good, "v1.", "v2.", 1), strings.ToUpper(good), "é", strings.Repeat("x", 4096),
				} {
					refused(msgSignature, text)
				}
				stranger := token.NewSigner("another secret")
				refused(msgSignature, stranger.Sign(token.Approval{
					Purpose: each.purpose, User: staff, Invitation: made.UUID, Issued: e.clock.Now(),
				}))

				// Users who are not active staff.
				for _, user := range []string{"owner", "support", "inactive", "stranger"} {
					refused(msgBadUser, e.sign(each.purpose, e.userID(user), made.UUID))
				}
				refused(msgBadUser, e.sign(each.purpose, uuid.New(), made.UUID))
				refused(msgBadUser, e.sign(each.purpose, uuid.Nil, made.UUID))
				// Invitations that do not wait for approval.
				refused(msgBadID, e.sign(each.purpose, staff, uuid.New()))
				refused(msgBadID, e.sign(each.purpose, staff, pending.UUID))
				// The user is checked before the invitation.
				refused(msgBadUser, e.sign(each.purpose, e.userID("owner"), pending.UUID))
				// The signature and the age are checked before the payload, and the payload before the user.
				late := token.Approval{Purpose: 3, User: uuid.New(), Invitation: made.UUID, Issued: e.clock.Now().Add(-maxAge)}
				refused(msgSignature, signer.Sign(late))
				refused(msgPayload, e.sign(3, uuid.New(), made.UUID))
				require.Equal(e.t, "requested", e.state(made.UUID))
				require.Equal(e.t, "pending", e.state(pending.UUID))
			})
		}
	}, onlyStaff)
}

func TestApproveInRemovedScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.applyReplaced(apolloUUID, apolloRemoved)
		e.decide("approve", e.sign(token.Approve, e.userID("staff"), made.UUID)).is(http.StatusBadRequest, ruleError(msgBadID))
		require.Equal(e.t, "requested", e.state(made.UUID))
		require.Empty(e.t, e.deliveryJobs(made.UUID))
	}, onlyStaff)
}

// A valid token with other spellings would look like a new token to rate limits and logs.
func TestTokenHasOneSpelling(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		good := e.sign(token.Approve, e.userID("staff"), made.UUID)
		for _, text := range []string{good + "\n", good[:len(good)-5] + "\r\n" + good[len(good)-5:], "\n" + good} {
			e.decide("approve", text).is(http.StatusBadRequest, ruleError(msgSignature))
		}
	}, onlyStaff)
}

func TestTokenExpires(t *testing.T) {
	onEachDecision(t, func(e *env, each decision) {
		made := e.create("owner", "a@x.example", admin, apollo)
		text := e.sign(each.purpose, e.userID("staff"), made.UUID)
		e.clock.Advance(maxAge)
		e.decide(each.action, text).is(http.StatusBadRequest, ruleError(msgSignature))
		e.clock.Advance(-time.Microsecond)
		e.decide(each.action, text).is(http.StatusOK, each.done)
	})
}

func TestTokenEndsWithStaffStatus(t *testing.T) {
	onEachDecision(t, func(e *env, each decision) {
		made := e.create("owner", "a@x.example", admin, apollo)
		text := e.sign(each.purpose, e.userID("staff"), made.UUID)
		const flag = "full_name: Sam Staff, is_staff: true"
		e.applyReplaced(flag, "full_name: Sam Staff, is_staff: false")
		e.decide(each.action, text).is(http.StatusBadRequest, ruleError(msgBadUser))
		e.applyReplaced(flag, flag+", is_active: false")
		e.decide(each.action, text).is(http.StatusBadRequest, ruleError(msgBadUser))
		e.applyReplaced(flag, flag+", notifications_enabled: false") // still active staff
		e.decide(each.action, text).is(http.StatusOK, each.done)
	})
}

func TestTokenEndsWithState(t *testing.T) {
	onEachDecision(t, func(e *env, first decision) {
		made := e.create("owner", "a@x.example", admin, apollo)
		e.decide(first.action, e.sign(first.purpose, e.userID("staff"), made.UUID)).is(http.StatusOK, first.done)
		state, jobs := e.state(made.UUID), e.countJobs("notify_user")+e.countJobs("deliver_invitation")
		for _, second := range decisions {
			for _, user := range []string{"staff", "staff2"} {
				e.decide(second.action, e.sign(second.purpose, e.userID(user), made.UUID)).
					is(http.StatusBadRequest, ruleError(msgBadID))
			}
		}
		require.Equal(e.t, state, e.state(made.UUID))
		require.Equal(e.t, jobs, e.countJobs("notify_user")+e.countJobs("deliver_invitation"))
	})
}

func TestTokenIsRequired(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range decisions {
			for _, body := range []any{
				nil, "{}", `{"token": ""}`, `{"token": null}`, `{"token": 1}`, `{"token": ["x"]}`, `{"token": {}}`,
				`{"Token": "x"}`, `{"token": "` + strings.Repeat("x", 4097) + `"}`,
			} {
				answer := e.request("POST", base+each.action+"/", "", body)
				require.Equal(e.t, []string{"token"}, answer.invalidFields(), answer.Body)
			}
		}
	})
}

// The tokens come from the mail to staff, not from the test's signer.
func TestLinksInMailToStaff(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range decisions {
			made := e.create("owner", each.action+"@x.example", admin, apollo)
			message, _, err := e.service.BeginNotice(e.context(), e.noticeJobs(made.UUID)[0])
			require.NoError(e.t, err)
			link := message.Requests[0].ApproveLink
			if each.action == "reject" {
				link = message.Requests[0].RejectLink
			}
			text, found := strings.CutPrefix(link, "https://front.example/invitation_"+each.action+"/")
			require.True(e.t, found, link)
			e.decide(each.action, strings.TrimSuffix(text, "/")).is(http.StatusOK, each.done)
		}
	}, onlyStaff)
}

// An invitation that is approved later than a lifetime after its creation gets a new life.
func TestApproveAfterLifetime(t *testing.T) {
	onEachEngine(t, func(e *env) {
		early := e.create("owner", "early@example.com", admin, apollo)
		late := e.create("owner", "late@example.com", admin, apollo)
		approve := func(made string, id int) {
			notice := e.noticeJobsOf(invitation.NoticeRequested)[id]
			require.Equal(e.t, made, notice.Invitation.String())
			message, _, err := e.service.BeginNotice(e.context(), notice)
			require.NoError(e.t, err)
			text := strings.Split(strings.Trim(strings.TrimPrefix(message.Requests[0].ApproveLink, "https://front.example"), "/"), "/")[1]
			_, err = token.NewSigner("the secret of the tests").Verify(text, token.Approve, e.clock.Now(), maxAge)
			require.NoError(e.t, err)
			e.request("POST", base+"approve/", "", map[string]string{"token": text}).is(http.StatusOK, "")
		}
		e.clock.Advance(lifetime - 1)
		approve(early.UUID.String(), 0)
		require.Equal(e.t, early.Created, e.retrieve(early.UUID).Created)
		e.clock.Advance(1)
		require.Equal(e.t, "expired", e.state(late.UUID), "a request ends as every other invitation does")
		require.Equal(e.t, 1, e.countJobs("deliver_invitation"))
	}, onlyStaff)
}
