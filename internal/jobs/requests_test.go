package jobs_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/token"
)

// nextMinute ends the minute after a mail to staff: it makes the jobs available that wait for the minute or for another
// attempt.
func (env *testEnv) nextMinute() {
	env.t.Helper()
	env.advance(noticeKind, time.Minute)
}

// advance lets time pass once no job of a kind runs, and makes those available that wait.
func (env *testEnv) advance(kind string, d time.Duration) {
	env.t.Helper()
	env.waitUntilIdle(kind)
	env.clock.Advance(d)
	env.exec("UPDATE river_job SET state = 'available', scheduled_at = created_at WHERE kind = '" + kind +
		"' AND state IN ('scheduled', 'retryable')")
}

// inviteMany has olivia invite n people, whose addresses begin with a name.
func (env *testEnv) inviteMany(name string, n int) (ids []uuid.UUID) {
	env.t.Helper()
	for i := range n {
		ids = append(ids, env.invite(fmt.Sprintf("%s%d@university.example", name, i)))
		env.clock.Advance(time.Millisecond)
	}
	return ids
}

var decisionLink = regexp.MustCompile(`https://front\.example/invitation_(approve|reject)/([^/\s]+)/`)

// requestsIn returns the invitations that a mail asks about, in its order. Each has its own two links, for the recipient.
func (env *testEnv) requestsIn(m receivedMail) (ids []uuid.UUID) {
	env.t.Helper()
	links := decisionLink.FindAllStringSubmatch(m.Text, -1)
	for i, link := range links {
		require.Contains(env.t, m.HTML, link[0])
		purpose := []token.Purpose{token.Approve, token.Reject}[i%2]
		signed, err := env.service.Signer.Verify(link[2], purpose, env.clock.Now(), env.service.Policy.MaxAge)
		require.NoError(env.t, err)
		i := slices.IndexFunc(env.users(), func(u directory.User) bool { return u.UUID == signed.User })
		require.Equal(env.t, m.to, env.users()[i].Email)
		if purpose == token.Approve {
			ids = append(ids, signed.Invitation)
			require.Contains(env.t, m.Text, env.find(signed.Invitation).Email)
		} else {
			require.Equal(env.t, ids[len(ids)-1], signed.Invitation)
		}
	}
	return ids
}

// noticesLeft returns the number of requests that somebody is still to be told of.
func (env *testEnv) noticesLeft() string {
	env.t.Helper()
	return env.queryText("SELECT CAST(count(*) AS text) FROM request_notices")
}

// 130 requests within a minute are one mail at once, and as few as they fit into afterwards, one a minute, though two
// processes send.
func TestRequestsAreGathered(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		env.startWorkers()
		ids := env.inviteMany("first", 1)
		env.waitForMail("sam@staff.example")
		env.waitForMail("sue@staff.example")
		ids = append(ids, env.inviteMany("guest", 129)...)
		for mails := 1; mails <= 4; mails++ {
			env.waitUntilIdle(noticeKind)
			for _, staff := range []string{"sam@staff.example", "sue@staff.example"} {
				got := env.smtp.mailsTo(staff)
				require.Len(t, got, mails)
				subject := got[mails-1].GetHeader("Subject")
				switch left := 129 - 50*(mails-2); {
				case mails == 1:
					require.Equal(t, "Approval needed: invitation to Apollo project", subject)
				case left > 50:
					require.Equal(t, fmt.Sprintf("%d invitations wait for your approval", left), subject)
					require.Contains(t, got[mails-1].Text, fmt.Sprintf("\n%d more requests follow in other mails.", left-50))
				default:
					require.Equal(t, "29 invitations wait for your approval", subject)
					require.NotContains(t, got[mails-1].Text, "more request")
				}
			}
			env.nextMinute()
		}
		for _, each := range env.waitUntilIdle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		require.Equal(t, "0", env.noticesLeft())
		for _, staff := range []string{"sam@staff.example", "sue@staff.example"} {
			got := env.smtp.mailsTo(staff)
			require.Len(t, got, 4)
			var told []uuid.UUID
			messageIDs := map[string]bool{}
			for _, each := range got {
				in := env.requestsIn(each)
				require.True(t, slices.IsSortedFunc(in, func(a, b uuid.UUID) int {
					return slices.Index(ids, a) - slices.Index(ids, b)
				}), "as they were made")
				told = append(told, in...)
				messageIDs[each.id()] = true
			}
			require.Len(t, told, len(ids))
			require.ElementsMatch(t, ids, told, "each once")
			require.Len(t, messageIDs, 4)
		}
		for _, id := range ids {
			require.ElementsMatch(t, []string{
				"notified requested mail sam@staff.example:", "notified requested mail sue@staff.example:",
			}, env.deliveryEvents(id))
		}
		gathered := env.smtp.mailsTo("sam@staff.example")[2]
		approve := decisionLink.FindAllStringSubmatch(gathered.Text, -1)[20][2]
		require.NoError(t, env.service.Approve(t.Context(), approve))
		require.Equal(t, invitation.Pending, env.waitForState(env.requestsIn(gathered)[10], invitation.OK).StoredState)
	}, onlyStaffInvites)
}

// Requests that were decided, and users who are no staff any more, are left out.
func TestGatheredRequestsThatAreObsolete(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		env.invite("first@university.example")
		env.waitForMail("sam@staff.example")
		env.waitForMail("sue@staff.example")
		decided := env.inviteMany("decided", 3)
		approve := func(purpose token.Purpose, id uuid.UUID) string {
			return env.service.Signer.Sign(token.Approval{
				Purpose: purpose, User: env.user("sam").UUID, Invitation: id, Issued: env.clock.Now(),
			})
		}
		require.NoError(t, env.service.Approve(t.Context(), approve(token.Approve, decided[0])))
		require.NoError(t, env.service.Reject(t.Context(), approve(token.Reject, decided[1]), ""))
		require.NoError(t, env.service.Delete(t.Context(), env.user("sam"), decided[2]))
		env.nextMinute()
		env.waitUntilIdle(noticeKind)
		require.Len(t, env.smtp.mailsTo("sam@staff.example"), 1, "none is left")

		waiting := env.inviteMany("waiting", 2)
		env.applyDirectory("users: [{username: sue, email: sue@staff.example, is_staff: true, is_active: false}]")
		env.nextMinute()
		env.nextMinute()
		for _, each := range env.waitUntilIdle(noticeKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		var told []uuid.UUID
		for _, each := range env.smtp.mailsTo("sam@staff.example")[1:] {
			told = append(told, env.requestsIn(each)...)
		}
		require.Equal(t, waiting, told)
		require.LessOrEqual(t, len(env.smtp.mailsTo("sue@staff.example")), 2, "she may have had the mail about one of the two")
		require.Equal(t, "0", env.noticesLeft())
	}, onlyStaffInvites)
}

// A process that dies after it has begun a mail costs the user a minute. If the mail went out, it goes out again.
func TestRequestMailThatIsCutOff(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		ids := env.inviteMany("guest", 2)
		var begun int
		for _, each := range env.jobs(noticeKind) {
			var job invitation.Notify
			require.NoError(t, json.Unmarshal(each.EncodedArgs, &job))
			message, wait, err := env.service.BeginNotice(t.Context(), job)
			require.NoError(t, err)
			if message == nil {
				require.Equal(t, time.Minute, wait)
				continue
			}
			require.Len(t, message.Requests, 2)
			begun++
		}
		require.Equal(t, 2, begun, "one for each staff user")
		env.startWorkers()
		env.waitUntilIdle(noticeKind)
		require.Empty(t, env.smtp.mailsTo(""))
		env.nextMinute()
		require.Equal(t, ids, env.requestsIn(env.waitForMail("sam@staff.example")))
		require.Equal(t, ids, env.requestsIn(env.waitForMail("sue@staff.example")))
	}, onlyStaffInvites)
}

// While the mail server does not take a mail, each staff user costs it one attempt a minute, and nothing is lost. A mail
// that it refuses for good is given up with all that it is about.
func TestRequestMailsThatFail(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		var attempts atomic.Int32
		env.smtp.respond(func(to string) error {
			if to == "sam@staff.example" {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
			}
			attempts.Add(1)
			return &smtp.SMTPError{Code: 450, Message: "later"}
		}, nil)
		ids := env.inviteMany("guest", 4)
		env.startWorkers()
		for n := range 3 {
			env.waitUntilIdle(noticeKind)
			require.Equal(t, int32(n+1), attempts.Load())
			env.nextMinute()
		}
		env.waitUntilIdle(noticeKind)
		env.smtp.respond(nil, nil)
		env.nextMinute()
		require.Equal(t, ids, env.requestsIn(env.waitForMail("sue@staff.example")))
		env.nextMinute()
		env.waitUntilIdle(noticeKind)
		require.Empty(t, env.smtp.mailsTo("sam@staff.example"))
		require.Equal(t, "0", env.noticesLeft())
		refused, deferred := 0, 0
		for _, id := range ids {
			for _, line := range env.deliveryEvents(id) {
				switch {
				case strings.HasPrefix(line, "notification_failed requested mail sam@staff.example:"):
					refused++
				case strings.HasPrefix(line, "notification_failed requested mail sue@staff.example:"):
					deferred++
				}
			}
		}
		require.Equal(t, 4, refused, "one for each request")
		require.LessOrEqual(t, deferred, 4, "one for each job at most, however many attempts and requests")
	}, onlyStaffInvites)
}

// A job of the version before has no record of what its user is to be told. It is about one request, and does not wait.
func TestRequestsOfTheVersionBefore(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		ids := env.inviteMany("guest", 2)
		env.exec("DELETE FROM river_job")
		env.exec("DELETE FROM request_notices")
		for _, id := range ids {
			env.enqueue(invitation.Notify{Notice: invitation.NoticeRequested, Invitation: id, User: env.user("sam").UUID})
		}
		env.startWorkers()
		env.waitFor("two mails to sam", func() bool { return len(env.smtp.mailsTo("sam@staff.example")) == 2 })
		for _, each := range env.smtp.mailsTo("sam@staff.example") {
			require.Len(t, env.requestsIn(each), 1)
		}
	}, onlyStaffInvites)
}
