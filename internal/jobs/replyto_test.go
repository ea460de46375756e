package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/jobs"
)

// Replies to an invitation go to its inviter, unless the operator says otherwise. Nobody is asked to reply to themselves.
func TestRepliesGoToTheInviter(t *testing.T) {
	for name, test := range map[string]struct {
		settings          jobs.MailSettings
		toInvitee, toSelf string
	}{
		"the inviter": {jobs.MailSettings{Host: "mail.example", ReplyToInviter: true}, "<olivia@acme.example>", ""},
		"nobody":      {jobs.MailSettings{Host: "mail.example"}, "", ""},
		"an address": {
			jobs.MailSettings{Host: "mail.example", ReplyTo: "Help <help@acme.example>"},
			`"Help" <help@acme.example>`, `"Help" <help@acme.example>`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(t *testing.T, env *testEnv) {
				env.startWorkers(func(c *jobs.Config) { c.Mails = test.settings })
				id := env.invite("ina@university.example")
				require.Equal(t, test.toInvitee, env.waitForMail("ina@university.example").GetHeader("Reply-To"))
				env.waitForState(id, invitation.OK)
				require.NoError(t, env.service.Accept(t.Context(), env.user("ina"), id))
				require.Equal(t, test.toSelf, env.waitForMail("olivia@acme.example").GetHeader("Reply-To"))
			}, notifyAccepted)
		})
	}
}

// Staff reply to who asks, where the mail is about one request.
func TestRepliesOfStaffGoToTheInviter(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers()
		env.invite("ina@university.example")
		require.Equal(t, "<olivia@acme.example>", env.waitForMail("sam@staff.example").GetHeader("Reply-To"))
	}, onlyStaffInvites)
}
