package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

// deliveryEvents describes the events about messages of an invitation, the oldest first.
func (env *testEnv) deliveryEvents(id uuid.UUID) (all []string) {
	env.t.Helper()
	for _, e := range slices.Backward(env.events(id)) {
		if e.Channel != "" {
			require.Nil(env.t, e.UserUUID)
			require.Empty(env.t, e.RequestID)
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s: %s", e.Type, e.Notice, e.Channel, e.Recipient, e.ErrorMessage)))
		}
	}
	return all
}

// An attempt that fails for the same reason as the attempt before it is no event: there can be one an hour for weeks.
func TestEventsOfDelivery(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.smtp.stop()
		env.startWorkers()
		id := env.invite("Ina@University.example")
		env.retry(env.waitForFailure(deliveryKind, 1))
		env.retry(env.waitForFailure(deliveryKind, 2))
		down := "delivery_failed  mail Ina@University.example: The conversation with the mail server broke off. It is tried again by itself."
		failed := env.waitForFailure(deliveryKind, 3)
		require.Equal(t, []string{down}, env.deliveryEvents(id))
		env.smtp.start()
		env.retry(failed)
		env.waitForState(id, invitation.OK)
		require.Equal(t, []string{down, "delivered  mail Ina@University.example:"}, env.deliveryEvents(id))
	})
}

func TestEventsOfNotices(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.smtp.respond(func(to string) error {
			switch to {
			case "sam@staff.example":
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
			case "sue@staff.example":
				return &smtp.SMTPError{Code: 450, Message: "later"}
			}
			return nil
		}, nil)
		env.startWorkers()
		id := env.invite("ina@university.example")
		failed := env.waitForFailure(noticeKind, 1)
		env.clock.Advance(time.Minute)
		env.retry(failed)
		failed = env.waitForFailure(noticeKind, 2)
		env.smtp.respond(nil, nil)
		env.clock.Advance(time.Minute)
		env.retry(failed)
		reject := env.waitForMail("sue@staff.example").link(t, "invitation_reject")
		env.waitUntilIdle(noticeKind)
		about := func(who string) (all []string) {
			for _, each := range env.deliveryEvents(id) {
				if strings.Contains(each, who) {
					all = append(all, each)
				}
			}
			return all
		}
		require.Len(t, env.deliveryEvents(id), 3)
		refused := about("sam@staff.example")
		require.Len(t, refused, 1)
		require.Regexp(t, `^notification_failed requested mail sam@staff\.example: .*550 5\.1\.1`, refused[0])
		later := about("sue@staff.example")
		require.Regexp(t, `^notification_failed requested mail sue@staff\.example: .*450.*tried again by itself\.$`, later[0])
		require.Equal(t, "notified requested mail sue@staff.example:", later[1])

		require.NoError(t, env.service.Reject(t.Context(), reject, ""))
		env.waitForMail("olivia@acme.example")
		env.waitUntilIdle(noticeKind)
		require.Equal(t, []string{"notified rejected mail olivia@acme.example:"}, about("olivia"))
	}, onlyStaffInvites)
}
