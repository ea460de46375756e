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
	approved = detail("Invitation has been approved.")
	rejected = detail("Invitation has been rejected.")
)

// decisions are the two things that staff can say to a request.
var decisions = []struct {
	action  string
	purpose token.Purpose
	done    string
}{{"approve", token.Approve, approved}, {"reject", token.Reject, rejected}}

func TestApproveLetsTheInvitationGoOut(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.decide("approve", w.sign(token.Approve, w.userID("staff"), made.UUID)).is(http.StatusOK, approved)
		seen := w.see(made.UUID)
		require.Equal(w.t, "pending", string(seen.State))
		require.Equal(w.t, "owner", seen.CreatedByUsername)
		require.Len(w.t, w.deliveries(made.UUID), 1)
		w.do("stranger", made.UUID, "accept").is(http.StatusOK, accepted)
	}, onlyStaff)
}

func TestApproveWaitsForTheStartOfTheProject(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, artemis)
		w.decide("approve", w.sign(token.Approve, w.userID("staff"), made.UUID)).is(http.StatusOK, approved)
		require.Equal(w.t, "project", w.state(made.UUID))
		require.Empty(w.t, w.deliveries(made.UUID))
	}, onlyStaff)
}

func TestRejectEndsTheInvitationAndTellsItsCreator(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		asked := w.notices(made.UUID)
		w.decide("reject", w.sign(token.Reject, w.userID("staff"), made.UUID)).is(http.StatusOK, rejected)
		require.Equal(w.t, "rejected", w.state(made.UUID))
		require.Empty(w.t, w.deliveries(made.UUID))
		require.ElementsMatch(w.t, append(asked, invitation.Notify{
			Notice: invitation.NoticeRejected, Invitation: made.UUID, User: w.userID("owner"),
		}), w.notices(made.UUID))
		w.do("stranger", made.UUID, "accept").is(http.StatusNotFound, notFound)
	}, onlyStaff)
}

func TestRejectWhereTheCreatorIsGone(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.goneOwner()
		asked := w.notices(made.UUID)
		w.decide("reject", w.sign(token.Reject, w.userID("staff"), made.UUID)).is(http.StatusOK, rejected)
		require.Equal(w.t, "rejected", w.state(made.UUID))
		require.Equal(w.t, asked, w.notices(made.UUID))
	}, onlyStaff)
}

func TestATokenIsGoodForItsActionOnly(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made, staff := w.create("owner", "a@x.example", admin, apollo), w.userID("staff")
		w.decide("approve", w.sign(token.Reject, staff, made.UUID)).is(http.StatusBadRequest, rule(msgPayload))
		w.decide("reject", w.sign(token.Approve, staff, made.UUID)).is(http.StatusBadRequest, rule(msgPayload))
		w.decide("reject", w.sign(7, staff, made.UUID)).is(http.StatusBadRequest, rule(msgPayload))
		require.Equal(w.t, "requested", w.state(made.UUID))
	}, onlyStaff)
}

func TestTokensThatDoNotHold(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(`users: [{username: keen, email: keen@example.com, is_staff: true}]`)
		made := w.create("owner", "a@x.example", admin, apollo)
		pending := w.create("staff", "b@x.example", admin, apollo)
		for _, each := range decisions {
			w.run(each.action, func(w *world) {
				refused := func(message, text string) {
					w.t.Helper()
					w.decide(each.action, text).is(http.StatusBadRequest, rule(message))
				}
				staff := w.userID("staff")
				good := w.sign(each.purpose, staff, made.UUID)
				for _, text := range []string{
					"nonsense", "v1.", "..", " ", good + "x", good[1:], good[:len(good)-1], " " + good, good + "=",
					strings.Replace(good, "v1.", "v2.", 1), strings.ToUpper(good), "é", strings.Repeat("x", 4096),
				} {
					refused(msgSignature, text)
				}
				stranger := token.NewSigner("another secret")
				refused(msgSignature, stranger.Sign(token.Approval{
					Purpose: each.purpose, User: staff, Invitation: made.UUID, Issued: w.clock.Now(),
				}))

				// Users who are no active staff.
				for _, user := range []string{"owner", "support", "inactive", "stranger"} {
					refused(msgBadUser, w.sign(each.purpose, w.userID(user), made.UUID))
				}
				refused(msgBadUser, w.sign(each.purpose, uuid.New(), made.UUID))
				refused(msgBadUser, w.sign(each.purpose, uuid.Nil, made.UUID))
				// Invitations that do not wait for approval.
				refused(msgBadID, w.sign(each.purpose, staff, uuid.New()))
				refused(msgBadID, w.sign(each.purpose, staff, pending.UUID))
				// The user is looked at first, then the invitation.
				refused(msgBadUser, w.sign(each.purpose, w.userID("owner"), pending.UUID))
				// The signature, with the age in it, comes before the payload, and the payload before the user.
				late := token.Approval{Purpose: 3, User: uuid.New(), Invitation: made.UUID, Issued: w.clock.Now().Add(-maxAge)}
				refused(msgSignature, signer.Sign(late))
				refused(msgPayload, w.sign(3, uuid.New(), made.UUID))
				require.Equal(w.t, "requested", w.state(made.UUID))
				require.Equal(w.t, "pending", w.state(pending.UUID))
			})
		}
	}, onlyStaff)
}

func TestNothingGoesOutForARemovedScope(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.rewrite(apolloHead, apolloRemoved)
		w.decide("approve", w.sign(token.Approve, w.userID("staff"), made.UUID)).is(http.StatusBadRequest, rule(msgBadID))
		require.Equal(w.t, "requested", w.state(made.UUID))
		require.Empty(w.t, w.deliveries(made.UUID))
	}, onlyStaff)
}

// A token that holds could otherwise be sent in any number of ways, and look new to whoever counts or logs them.
func TestATokenHasOneSpelling(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		good := w.sign(token.Approve, w.userID("staff"), made.UUID)
		for _, text := range []string{good + "\n", good[:len(good)-5] + "\r\n" + good[len(good)-5:], "\n" + good} {
			w.decide("approve", text).is(http.StatusBadRequest, rule(msgSignature))
		}
	}, onlyStaff)
}

func TestTokensDieOfAge(t *testing.T) {
	for _, each := range decisions {
		t.Run(each.action, func(t *testing.T) {
			inEachWorld(t, func(w *world) {
				made := w.create("owner", "a@x.example", admin, apollo)
				text := w.sign(each.purpose, w.userID("staff"), made.UUID)
				w.clock.Advance(maxAge)
				w.decide(each.action, text).is(http.StatusBadRequest, rule(msgSignature))
				w.clock.Advance(-time.Microsecond)
				w.decide(each.action, text).is(http.StatusOK, each.done)
			}, onlyStaff)
		})
	}
}

func TestTokensDieWithTheirUsersFlags(t *testing.T) {
	for _, each := range decisions {
		t.Run(each.action, func(t *testing.T) {
			inEachWorld(t, func(w *world) {
				made := w.create("owner", "a@x.example", admin, apollo)
				text := w.sign(each.purpose, w.userID("staff"), made.UUID)
				const flag = "full_name: Sam Staff, is_staff: true"
				w.rewrite(flag, "full_name: Sam Staff, is_staff: false")
				w.decide(each.action, text).is(http.StatusBadRequest, rule(msgBadUser))
				w.rewrite(flag, flag+", is_active: false")
				w.decide(each.action, text).is(http.StatusBadRequest, rule(msgBadUser))
				w.rewrite(flag, flag+", notifications_enabled: false") // they are staff all the same
				w.decide(each.action, text).is(http.StatusOK, each.done)
			}, onlyStaff)
		})
	}
}

func TestTokensDieWithTheState(t *testing.T) {
	for _, first := range decisions {
		t.Run(first.action, func(t *testing.T) {
			inEachWorld(t, func(w *world) {
				made := w.create("owner", "a@x.example", admin, apollo)
				w.decide(first.action, w.sign(first.purpose, w.userID("staff"), made.UUID)).is(http.StatusOK, first.done)
				state, jobs := w.state(made.UUID), w.jobs("notify_user")+w.jobs("deliver_invitation")
				for _, second := range decisions {
					for _, user := range []string{"staff", "staff2"} {
						w.decide(second.action, w.sign(second.purpose, w.userID(user), made.UUID)).
							is(http.StatusBadRequest, rule(msgBadID))
					}
				}
				require.Equal(w.t, state, w.state(made.UUID))
				require.Equal(w.t, jobs, w.jobs("notify_user")+w.jobs("deliver_invitation"))
			}, onlyStaff)
		})
	}
}

func TestATokenMustBeThere(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, each := range decisions {
			for _, body := range []any{
				nil, "{}", `{"token": ""}`, `{"token": null}`, `{"token": 1}`, `{"token": ["x"]}`, `{"token": {}}`,
				`{"Token": "x"}`, `{"token": "` + strings.Repeat("x", 4097) + `"}`,
			} {
				answer := w.request("POST", base+each.action+"/", "", body)
				require.Equal(w.t, []string{"token"}, answer.names(), answer.Body)
			}
		}
	})
}

// TestTheLinksInTheMailHold takes the tokens from the mail to staff rather than from the test's own signer.
func TestTheLinksInTheMailHold(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, each := range decisions {
			made := w.create("owner", each.action+"@x.example", admin, apollo)
			letter, err := w.service.BeginNotice(w.t.Context(), w.notices(made.UUID)[0])
			require.NoError(w.t, err)
			link := letter.ApproveLink
			if each.action == "reject" {
				link = letter.RejectLink
			}
			text, found := strings.CutPrefix(link, "https://front.example/invitation_"+each.action+"/")
			require.True(w.t, found, link)
			w.decide(each.action, strings.TrimSuffix(text, "/")).is(http.StatusOK, each.done)
		}
	}, onlyStaff)
}
