package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/jobs"
	"invited/internal/joining"
)

// requestKind is the kind of the jobs that mail about permission requests.
var requestKind = joining.Notify{}.Kind()

// announceKind is the kind of the jobs that find who is to be told of a permission request.
var announceKind = joining.Announce{}.Kind()

// startJoining starts workers that know the use cases of group invitations, and makes one into Apollo.
func (env *testEnv) startJoining(policy ...joining.Policy) (service *joining.Service, group uuid.UUID) {
	env.t.Helper()
	service, group = env.joining(policy...)
	env.startWorkers(func(c *jobs.Config) { c.Joining = service })
	return service, group
}

// joining returns the use cases of group invitations, and makes one into Apollo.
func (env *testEnv) joining(policy ...joining.Policy) (service *joining.Service, group uuid.UUID) {
	env.t.Helper()
	service = &joining.Service{Store: env.db.Joining(), FrontendURL: "https://front.example/"}
	for _, each := range policy {
		service.Policy = each
	}
	role, address := projectAdmin, "https://any.example/api/projects/"+apollo.String()+"/"
	made, err := service.Create(env.t.Context(), env.user("olivia"), joining.Edit{Role: &role, ScopeURL: &address})
	require.NoError(env.t, err)
	return service, made.UUID
}

// An approver is told of a request, and the requester of its rejection with the comment. The requester is told of nothing
// else. An approval mails nobody.
func TestPermissionRequestMails(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		service, group := env.startJoining()
		asked, err := service.Submit(t.Context(), env.user("ina"), group, "", "")
		require.NoError(t, err)
		told := env.waitForMail("olivia@acme.example")
		require.Contains(t, told.Text, "ina (ina@university.example) asks to join the project Apollo of the organization Acme as System administrator")
		require.Contains(t, told.Text, "https://front.example/organizations/10000000-0000-4000-8000-000000000001/group-invitations/")
		require.NoError(t, service.Reject(t.Context(), env.user("olivia"), asked.Request.UUID, "Not now."))
		require.Contains(t, env.waitForMail("ina@university.example").Text, "> Not now.")

		again, err := service.Submit(t.Context(), env.user("ina"), group, "", "")
		require.NoError(t, err)
		env.waitFor("a second mail to olivia", func() bool { return len(env.smtp.mailsTo("olivia@acme.example")) == 2 })
		require.NoError(t, service.Approve(t.Context(), env.user("olivia"), again.Request.UUID, ""))
		for _, each := range env.waitUntilIdle(requestKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
			require.NotContains(t, string(each.EncodedArgs), "@", "the queue stores the uuids of people, not their addresses")
		}
		require.ElementsMatch(t, []string{"ina@university.example", "olivia@acme.example", "olivia@acme.example"}, env.smtp.recipients())
		events, _, err := service.Events(t.Context(), env.user("olivia"), group, 1, 20)
		require.NoError(t, err)
		var notified int
		for _, e := range events {
			if e.Type == joining.EventNotified {
				notified++
				require.NotEmpty(t, e.Recipient)
			}
		}
		require.Equal(t, 3, notified)
	})
}

// Where nobody with a role decides, active staff are told; and nobody is told of a request that is decided by then.
func TestPermissionRequestsOfNobody(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		service, group := env.startJoining()
		env.applyDirectory("users: [{username: olivia, notifications_enabled: false}]")
		_, err := service.Submit(t.Context(), env.user("ina"), group, "", "")
		require.NoError(t, err)
		env.waitForMail("sam@staff.example")
		env.waitForMail("sue@staff.example")
		env.waitUntilIdle(requestKind)
		require.Len(t, env.smtp.recipients(), 2)

		late, _, err := service.BeginNotice(t.Context(), joining.Notify{Notice: joining.NoticeSubmitted, Request: uuid.New(), User: env.user("sam").UUID})
		require.NoError(t, err)
		require.Nil(t, late)
	})
}

// A refused mail is an event with the reason.
func TestPermissionRequestMailRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		service, group := env.startJoining()
		env.smtp.respond(func(string) error {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}, nil)
		_, err := service.Submit(t.Context(), env.user("ina"), group, "", "")
		require.NoError(t, err)
		env.waitFor("the event", func() bool {
			events, _, err := service.Events(t.Context(), env.user("olivia"), group, 1, 20)
			require.NoError(t, err)
			return events[0].Type == joining.EventNotificationFailed && events[0].ErrorMessage != ""
		})
	})
}

// perMinute has the interval of the mails about requests.
var perMinute = joining.Policy{RequestMailInterval: time.Minute}

const secondOwner = "users: [{username: oscar, email: oscar@acme.example}]\n" +
	"customers: [{name: Acme, uuid: 10000000-0000-4000-8000-000000000001, members: [{user: olivia, role: CUSTOMER.OWNER}, {user: oscar, role: CUSTOMER.OWNER}]}]"

// students adds users whose names begin with a name.
func (env *testEnv) students(name string, n int) (usernames []string) {
	env.t.Helper()
	var users []string
	for i := range n {
		usernames = append(usernames, fmt.Sprintf("%s%02d", name, i))
		users = append(users, fmt.Sprintf("{username: %s, email: %s@university.example}", usernames[i], usernames[i]))
	}
	env.applyDirectory("users: [" + strings.Join(users, ", ") + "]")
	return usernames
}

// ask has a user ask to take up a group invitation, and waits until the mails about it are asked for.
func (env *testEnv) ask(service *joining.Service, username string, group uuid.UUID) uuid.UUID {
	env.t.Helper()
	asked, err := service.Submit(env.t.Context(), env.user(username), group, "", "")
	require.NoError(env.t, err)
	env.clock.Advance(time.Millisecond)
	return asked.Request.UUID
}

// askersIn returns who asks in a mail, in its order.
func askersIn(m receivedMail) (askers []string) {
	for _, line := range strings.Split(strings.ReplaceAll(m.Text, "\r", ""), "\n") {
		if name, _, found := strings.Cut(line, " ("); found && strings.Contains(line, " asks to join ") {
			askers = append(askers, name)
		}
	}
	return askers
}

// Thirty students by one public link are two mails to each approver: one at once, and one with the others when the interval is
// over, though two processes send. What does not fit into a mail follows in the next.
func TestPermissionRequestsAreGathered(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.applyDirectory(secondOwner)
		students := env.students("student", 90)
		service, _ := env.startJoining(perMinute)
		env.startWorkers(func(c *jobs.Config) { c.Joining = service })
		role, address, template, yes := projectAdmin, "https://any.example/api/customers/10000000-0000-4000-8000-000000000001/", "Lab of {username}", true
		nameTemplate := &template
		public, err := service.Create(t.Context(), env.user("sam"), joining.Edit{
			Role: &role, ScopeURL: &address, IsPublic: &yes, MakesProjects: &yes, NameTemplate: &nameTemplate,
		})
		require.NoError(t, err)
		env.ask(service, students[0], public.UUID)
		require.Contains(t, env.waitForMail("olivia@acme.example").Text, "student00 (student00@university.example) asks to join the project "+
			"Lab of student00 in the organization Acme as System administrator.")
		env.waitForMail("oscar@acme.example")
		askAll := func(some []string) {
			for _, each := range some {
				env.ask(service, each, public.UUID)
			}
			env.waitUntilIdle(announceKind)
			env.waitUntilIdle(requestKind)
		}
		askAll(students[1:30])
		for _, approver := range []string{"olivia@acme.example", "oscar@acme.example"} {
			require.Len(t, env.smtp.mailsTo(approver), 1)
		}
		env.advance(requestKind, time.Minute)
		env.waitUntilIdle(requestKind)
		askAll(students[30:])
		for range 2 {
			env.advance(requestKind, time.Minute)
			env.waitUntilIdle(requestKind)
		}
		for _, approver := range []string{"olivia@acme.example", "oscar@acme.example"} {
			got := env.smtp.mailsTo(approver)
			require.Len(t, got, 4)
			require.Equal(t, students[:1], askersIn(got[0]))
			require.Equal(t, students[1:30], askersIn(got[1]))
			require.Len(t, askersIn(got[2]), 50)
			require.Contains(t, got[2].Text, "\n10 more requests follow in other mails.")
			require.Contains(t, got[2].Text, "\n60 requests to join wait for a decision.")
			require.NotContains(t, got[3].Text, "more request")
			require.ElementsMatch(t, students[30:], slices.Concat(askersIn(got[2]), askersIn(got[3])), "each once")
			ids := map[string]bool{}
			for _, each := range got {
				ids[each.id()] = true
				require.Equal(t, "Permission request has been submitted.", each.GetHeader("Subject"))
				require.Equal(t, 1, strings.Count(each.Text, "/group-invitations/"))
			}
			require.Len(t, ids, 4)
		}
		env.advance(requestKind, time.Minute)
		require.Len(t, env.smtp.recipients(), 8, "nobody else is told")
		for _, each := range env.waitUntilIdle(requestKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		require.Equal(t, "0", env.noticesLeft())
		require.Equal(t, "180", env.queryText("SELECT CAST(count(*) AS text) FROM group_invitation_events WHERE event_type = 'notified'"))
	})
}

// Beyond the limit on recipients an approver has one mail about requests an hour, and not none until the limit's period is over.
func TestLimitOfMailsToApprovers(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		students := env.students("student", 5)
		service, group := env.startJoining(joining.Policy{RequestMailInterval: time.Second, LimitRecipient: joining.Limit{Count: 2, Per: 24 * time.Hour}})
		for i, each := range students[:2] {
			env.ask(service, each, group)
			env.waitFor("a mail", func() bool { return len(env.smtp.mailsTo("olivia@acme.example")) == i+1 })
			env.advance(requestKind, time.Second)
		}
		for _, each := range students[2:] {
			env.ask(service, each, group)
		}
		env.waitUntilIdle(announceKind)
		env.advance(requestKind, 59*time.Minute)
		env.waitUntilIdle(requestKind)
		require.Len(t, env.smtp.mailsTo("olivia@acme.example"), 2)
		env.advance(requestKind, time.Minute)
		env.advance(requestKind, time.Second)
		env.waitUntilIdle(requestKind)
		require.Len(t, env.smtp.mailsTo("olivia@acme.example"), 3)
		require.Equal(t, students[2:], askersIn(env.smtp.mailsTo("olivia@acme.example")[2]))
		require.Equal(t, "0", env.noticesLeft())
	})
}

// A request that was decided, and an approver who decides no more, are left out.
func TestPermissionRequestsThatAreObsolete(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.applyDirectory(secondOwner)
		students := env.students("student", 5)
		service, group := env.startJoining(perMinute)
		env.ask(service, students[0], group)
		env.waitForMail("olivia@acme.example")
		env.waitForMail("oscar@acme.example")
		approved, canceled := env.ask(service, students[1], group), env.ask(service, students[2], group)
		env.ask(service, students[3], group)
		env.waitUntilIdle(announceKind)
		require.NoError(t, service.Approve(t.Context(), env.user("olivia"), approved, ""))
		_, err := service.CancelRequest(t.Context(), env.user(students[2]), canceled)
		require.NoError(t, err)
		env.exec("UPDATE memberships SET revoked = created WHERE user_uuid = '" + env.user("oscar").UUID.String() + "'")
		for range 3 {
			env.advance(requestKind, time.Minute)
		}
		env.waitUntilIdle(requestKind)
		require.Len(t, env.smtp.mailsTo("oscar@acme.example"), 1)
		got := env.smtp.mailsTo("olivia@acme.example")
		require.Len(t, got, 2)
		require.Equal(t, students[3:4], askersIn(got[1]))
		require.Equal(t, "0", env.noticesLeft())

		// Nobody is looked for where the request is decided before the job runs.
		id := env.ask(service, students[4], group)
		env.waitUntilIdle(announceKind)
		require.NoError(t, service.Reject(t.Context(), env.user("olivia"), id, ""))
		require.NoError(t, service.DestroyRequest(t.Context(), env.user("sam"), id))
		before := len(env.jobs(requestKind))
		require.NoError(t, service.Announce(t.Context(), joining.Announce{Request: id}))
		require.NoError(t, service.Announce(t.Context(), joining.Announce{Request: approved}))
		require.Len(t, env.jobs(requestKind), before)
	})
}

// A process that dies after it has begun a mail costs the approver a minute, and no request is forgotten.
func TestPermissionRequestMailThatIsCutOff(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		students := env.students("student", 3)
		service, group := env.joining(perMinute)
		ids := make([]uuid.UUID, 0, len(students))
		for _, each := range students {
			ids = append(ids, env.ask(service, each, group))
			require.NoError(t, service.Announce(t.Context(), joining.Announce{Request: ids[len(ids)-1]}))
		}
		env.exec("DELETE FROM river_job WHERE kind = '" + announceKind + "'")
		for i, id := range ids {
			message, wait, err := service.BeginNotice(t.Context(), joining.Notify{Notice: joining.NoticeSubmitted, Request: id, User: env.user("olivia").UUID})
			require.NoError(t, err)
			require.Equal(t, i == 0, message != nil)
			require.Equal(t, i > 0, wait > 0)
		}
		env.startWorkers(func(c *jobs.Config) { c.Joining = service })
		env.waitUntilIdle(requestKind)
		require.Empty(t, env.smtp.recipients())
		env.advance(requestKind, time.Minute)
		require.Equal(t, students, askersIn(env.waitForMail("olivia@acme.example")))
	})
}

// While the mail server does not take a mail, each approver costs it one attempt a minute, and nothing is lost. A mail that it
// refuses for good is given up with all that it is about.
func TestPermissionRequestMailsThatFail(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.applyDirectory(secondOwner)
		students := env.students("student", 4)
		service, group := env.joining(perMinute)
		var attempts atomic.Int32
		env.smtp.respond(func(to string) error {
			if to == "oscar@acme.example" {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
			}
			attempts.Add(1)
			return &smtp.SMTPError{Code: 450, Message: "later"}
		}, nil)
		for _, each := range students {
			require.NoError(t, service.Announce(t.Context(), joining.Announce{Request: env.ask(service, each, group)}))
		}
		env.exec("DELETE FROM river_job WHERE kind = '" + announceKind + "'")
		env.startWorkers(func(c *jobs.Config) { c.Joining = service })
		for n := range 3 {
			env.waitUntilIdle(requestKind)
			require.Equal(t, int32(n+1), attempts.Load())
			env.advance(requestKind, time.Minute)
		}
		env.waitUntilIdle(requestKind)
		env.smtp.respond(nil, nil)
		env.advance(requestKind, time.Minute)
		require.Equal(t, students, askersIn(env.waitForMail("olivia@acme.example")))
		env.waitUntilIdle(requestKind)
		require.Empty(t, env.smtp.mailsTo("oscar@acme.example"))
		require.Equal(t, "0", env.noticesLeft())
		failed := "SELECT CAST(count(*) AS text) FROM group_invitation_events WHERE event_type = 'notification_failed' AND recipient = "
		require.Equal(t, "4", env.queryText(failed+"'oscar@acme.example'"), "one for each request")
		require.NotEqual(t, "0", env.queryText(failed+"'olivia@acme.example'"))
	})
}

// Requests into two organizations are one mail to who decides about both, with a link for each.
func TestPermissionRequestsOfTwoOrganizations(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.applyDirectory("customers: [{name: Hydra, uuid: 10000000-0000-4000-8000-000000000002, members: [{user: olivia, role: CUSTOMER.OWNER}], " +
			"projects: [{name: Gemini, uuid: 20000000-0000-4000-8000-000000000002}]}]")
		students := env.students("student", 3)
		service, inApollo := env.startJoining(perMinute)
		role, address := projectAdmin, "https://any.example/api/projects/20000000-0000-4000-8000-000000000002/"
		inGemini, err := service.Create(t.Context(), env.user("olivia"), joining.Edit{Role: &role, ScopeURL: &address})
		require.NoError(t, err)
		env.ask(service, students[0], inApollo)
		env.waitForMail("olivia@acme.example")
		env.ask(service, students[1], inGemini.UUID)
		env.ask(service, students[2], inApollo)
		env.waitUntilIdle(announceKind)
		env.advance(requestKind, time.Minute)
		env.waitUntilIdle(requestKind)
		got := env.smtp.mailsTo("olivia@acme.example")
		require.Len(t, got, 2)
		require.Equal(t, students[1:], askersIn(got[1]))
		first, second := "organizations/10000000-0000-4000-8000-000000000001/", "organizations/10000000-0000-4000-8000-000000000002/"
		require.Equal(t, []int{1, 1}, []int{strings.Count(got[1].Text, first), strings.Count(got[1].Text, second)})
		require.Less(t, strings.Index(got[1].Text, second), strings.Index(got[1].Text, first))
	})
}

// A rejected requester is told once. Where a process dies before it has recorded that the mail went out, the mail goes out
// again, as the same one. Who has no address is not told.
func TestRejectedRequester(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.applyDirectory("users: [{username: silence}]")
		service, group := env.joining()
		for _, username := range []string{"ina", "silence"} {
			require.NoError(t, service.Reject(t.Context(), env.user("olivia"), env.ask(service, username, group), "Not now.\nAsk in May."))
		}
		env.exec("DELETE FROM river_job WHERE kind = '" + announceKind + "'")
		rejected := joining.Notify{Notice: joining.NoticeRejected, User: env.user("ina").UUID}
		rejected.Request = uuid.MustParse(env.queryText("SELECT CAST(uuid AS text) FROM permission_requests WHERE created_by_uuid = '" + rejected.User.String() + "'"))
		begun, _, err := service.BeginNotice(t.Context(), rejected) // and the process dies
		require.NoError(t, err)
		env.startWorkers(func(c *jobs.Config) { c.Joining = service })
		told := env.waitForMail("ina@university.example")
		require.Equal(t, "Your permission request has been rejected", told.GetHeader("Subject"))
		require.Contains(t, told.Text, "Your request to join the project Apollo of the organization Acme as System administrator was rejected.")
		require.Contains(t, strings.ReplaceAll(told.Text, "\r", ""), "> Not now.\n> Ask in May.")
		require.Equal(t, "<"+begun.ID+"@mail.example>", told.id())
		for _, each := range env.waitUntilIdle(requestKind) {
			require.Equal(t, rivertype.JobStateCompleted, each.State)
		}
		require.Equal(t, []string{"ina@university.example"}, env.smtp.recipients())
		env.enqueue(rejected)
		env.waitFor("the same mail again", func() bool { return len(env.smtp.mailsTo("ina@university.example")) == 2 })
		require.Equal(t, told.id(), env.smtp.mailsTo("ina@university.example")[1].id())
	})
}
