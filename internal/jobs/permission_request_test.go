package jobs_test

import (
	"testing"

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
